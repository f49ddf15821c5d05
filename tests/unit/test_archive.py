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
    artifacts = [Artifact(path, 1, len(CONTENT), DIGEST) for path in ("a/b.py", "a\\..\\b", "a:..:b")]
    blobs.keep(artifacts[0], tmp_path)
    gone = Artifact("gone", 1, 0, sha256(b"gone").hexdigest())
    with archive(blobs, [gone, *artifacts]) as file, zipfile.ZipFile(file) as packed:
        assert packed.namelist() == ["a/b.py", "a_.._b", "a_.._b_2"]


def test_a_name_that_deceives() -> None:
    """What turns a name round, ends its line or is half of a character is made visible."""
    assert safe_name("a\u202egnp.exe\n\ud800é😀.py") == "a_gnp.exe__é😀.py"
