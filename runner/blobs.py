"""The bytes of all versions of a task's files, each kept once, under its SHA-256.

A child puts a copy of what it has found written into its workspace (`stage`), and then tells of it. The supervisor
takes the copy from there, checks it, and keeps it before the event that tells of it is committed. So the bytes of a
listed version are there, and they are what the event says, whoever is killed when, and whatever the programs that a
model has written do in the workspace meanwhile.
"""

import fcntl
import os
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, BinaryIO

from runner.base import Durability
from runner.errors import FileNotKept
from runner.files import Artifact
from runner.inside import is_plain, open_inside, remove_inside

STAGE = ".scratch/versions"  # in the workspace
_UNFINISHED = "unfinished-"  # before the name of a file that is being written
_CHUNK = 1024 * 1024  # bytes


def stage(workspace: Path, source: BinaryIO) -> tuple[str, int]:
    """Copy into the workspace what is to be kept; its SHA-256 and its size in bytes."""
    folder = workspace / STAGE
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder, prefix=_UNFINISHED, delete=False) as target:
        digest, size = _copy(source, target)
    os.rename(target.name, folder / digest)
    return digest, size


def check_path(artifact: Artifact) -> None:
    """Raise `FileNotKept` unless the path of what a run has told of leads nowhere but down."""
    if not is_plain(artifact.path):
        raise FileNotKept(artifact.path, "its path leads elsewhere")


class Blobs:
    """folder: of this task, made when it is needed. durability: as of the log that tells of the files."""

    def __init__(self, folder: Path, durability: Durability) -> None:
        self._folder = folder
        self._durability = durability

    def keep(self, artifact: Artifact, workspace: Path) -> None:
        """Keep what was staged in the workspace for an artifact, unless it is kept already. Raises `FileNotKept`."""
        check_path(artifact)
        staged = f"{STAGE}/{artifact.sha256}"
        try:
            if not self.path(artifact.sha256).exists():
                with open_inside(workspace, staged) as source:
                    self._take(source, artifact)
        except OSError as error:
            raise FileNotKept(artifact.path, error.strerror or str(error)) from error
        with suppress(FileNotFoundError):
            remove_inside(workspace, staged)

    def keep_content(self, artifact: Artifact, content: bytes) -> None:
        """Keep what was written nowhere else, unless it is kept already. Raises `FileNotKept`."""
        try:
            if not self.path(artifact.sha256).exists():
                self._take(BytesIO(content), artifact)
        except OSError as error:
            raise FileNotKept(artifact.path, error.strerror or str(error)) from error

    def open(self, digest: str) -> BinaryIO:
        """Raises `FileNotFoundError` for what is not kept."""
        return self.path(digest).open("rb")

    def path(self, digest: str) -> Path:
        """Where bytes are, if they are kept. digest: their SHA-256, hexadecimal."""
        return self._folder / digest

    def tidy(self) -> None:
        """Remove what a server that was killed has not finished."""
        for file in self._folder.glob(f"{_UNFINISHED}*"):
            file.unlink()

    def _take(self, source: BinaryIO, artifact: Artifact) -> None:
        self._folder.mkdir(exist_ok=True, mode=0o700)
        with NamedTemporaryFile(dir=self._folder, prefix=_UNFINISHED, delete=False) as target:
            try:
                found = _copy(source, target)
                if found != (artifact.sha256, artifact.size):
                    raise FileNotKept(artifact.path, "it is not what the run has told of")
                if self._durability == "full":
                    target.flush()
                    _sync(target.fileno())
            except BaseException:
                os.unlink(target.name)
                raise
        os.rename(target.name, self.path(artifact.sha256))
        if self._durability == "full":
            _sync_folder(self._folder)


def _copy(source: BinaryIO, target: IO[bytes]) -> tuple[str, int]:
    """Copy from here to the end; the SHA-256 and the size in bytes."""
    digest, size = sha256(), 0
    while chunk := source.read(_CHUNK):
        target.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    full = getattr(fcntl, "F_FULLFSYNC", None)  # on macOS, where fsync leaves the drive its cache
    if full is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, full)
