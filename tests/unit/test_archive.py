import zipfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from runner.archive import archive, safe_name
from runner.blobs import Blobs, stage
from runner.files import Artifact

CONTENT = b"x"
DIGEST = sha256(CONTENT).hexdigest()


def test_an_archive_that_is_harmless_everywhere(tmp_path: Path) -> None:
    """Names lead nowhere on any system, and none hides another; what is gone is left out."""
    blobs = Blobs(tmp_path / "blobs", "normal")
    stage(tmp_path, BytesIO(CONTENT))
    paths = ("a/b.py", "a\\..\\b", "a:..:b", "A", "a/B.py", "caf\u00e9", "cafe\u0301")
    artifacts = [Artifact(path, 1, len(CONTENT), DIGEST) for path in paths]
    blobs.keep(artifacts[0], tmp_path)
    gone = Artifact("gone", 1, 0, sha256(b"gone").hexdigest())
    with archive(blobs, [gone, *artifacts]) as file, zipfile.ZipFile(file) as packed:
        assert packed.namelist() == [
            "a/b.py", "a_.._b", "a_.._b_2", "A_2", "a/B.py_2", "caf\u00e9", "cafe\u0301_2",
        ]  # fmt: skip


def test_a_name_that_deceives() -> None:
    """What turns a name round, ends its line or is half of a character is made visible."""
    assert safe_name("a\u202egnp.exe\n\ud800é😀.py") == "a_gnp.exe__é😀.py"


def test_names_that_windows_takes_for_others() -> None:
    """No name is a device's, and none ends with what is dropped there; those that only look like it stay."""
    assert safe_name("nul/CON.tar.gz/com1.") == "nul_/CON_.tar.gz/com1_"
    assert safe_name("a . /.../console.py/.com1/x.") == "a___/___/console.py/.com1/x_"
