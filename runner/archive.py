"""A zip of a task's files, whose names are harmless wherever it is unpacked."""

import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import BinaryIO

from runner.blobs import Blobs
from runner.errors import ContentNotKept, StorageUnavailable
from runner.files import Artifact

# What some system takes for a separator, a drive or a pattern, and what makes a name look like another.
_HARMFUL = re.compile('[\\\\:*?"<>|\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')


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
    """A path, or a file's name, with an underscore for each character that is not harmless everywhere."""
    return _HARMFUL.sub("_", path)


def _pack(blobs: Blobs, artifacts: Sequence[Artifact], file: BinaryIO) -> int:
    """Returns how many of them are in it."""
    taken: Counter[str] = Counter()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for artifact in artifacts:
            with suppress(FileNotFoundError), blobs.open(artifact.sha256) as source:
                name = _unused(safe_name(artifact.path), taken)
                with packed.open(name, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target)
    return len(packed.namelist())


def _unused(name: str, taken: Counter[str]) -> str:
    """The name, or one with a number where it is taken."""
    while taken[name]:
        taken[name] += 1
        name = f"{name}_{taken[name]}"
    taken[name] += 1
    return name
