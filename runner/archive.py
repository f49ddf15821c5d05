"""A zip of a task's files, whose names are harmless wherever it is unpacked."""

import re
import shutil
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import BinaryIO

from runner.blobs import Blobs
from runner.errors import ContentNotKept, StorageUnavailable
from runner.files import Artifact

# What some system takes for a separator, a drive or a pattern, and what makes a name look like another.
_HARMFUL = re.compile('[\\\\:*?"<>|\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')

# What Windows takes for a device, whatever ending it has, and what it drops from the end of a name.
_DEVICE = re.compile(r"(?i)(?<![^/])(con|prn|aux|nul|com\d|lpt\d)(?![^./])")
_DROPPED = re.compile(r"[. ](?=[. ]*(?:/|\Z))")


def archive(blobs: Blobs, artifacts: Sequence[Artifact]) -> BinaryIO:
    """A zip of these, open for reading; what is not kept any more is left out.

    Raises `ContentNotKept` if that is all of them, and `StorageUnavailable`.
    """
    file = TemporaryFile()
    try:
        packed = _pack(blobs, artifacts, file)
    except OSError as error:
        with suppress(OSError):  # what is still in its buffer cannot be written, either
            file.close()
        raise StorageUnavailable(error) from error
    if artifacts and not packed:
        file.close()
        raise ContentNotKept(artifacts[0].path, artifacts[0].version)
    file.seek(0)
    return file


def safe_name(path: str) -> str:
    """A path, or a file's name, with an underscore for each character that is not harmless everywhere, and behind what
    would be a device.
    """
    return _DEVICE.sub(r"\1_", _DROPPED.sub("_", _HARMFUL.sub("_", path)))


def _pack(blobs: Blobs, artifacts: Sequence[Artifact], file: BinaryIO) -> int:
    """Returns how many of them are in it."""
    taken = Counter({_same(folder): 1 for artifact in artifacts for folder in _folders(safe_name(artifact.path))})
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for artifact in artifacts:
            with suppress(FileNotFoundError), blobs.open(artifact.sha256) as source:
                name = _unused(safe_name(artifact.path), taken)
                with packed.open(name, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target)
    return len(packed.namelist())


def _unused(name: str, taken: Counter[str]) -> str:
    """The name, or one with a number where it is taken, on some system at least."""
    unused, wanted = name, _same(name)
    while taken[_same(unused)]:
        taken[wanted] += 1
        unused = f"{name}_{taken[wanted]}"
    taken[_same(unused)] += 1
    return unused


def _same(name: str) -> str:
    """What is the same for two names if one hides the other on some system."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _folders(path: str) -> Iterator[str]:
    """Those in which a file is."""
    while path := path.rpartition("/")[0]:
        yield path
