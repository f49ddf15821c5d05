"""The files of a task, in any version: opened, compared, and packed."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runner.archive import archive
from runner.base import Difference, Opened, Store
from runner.blobs import Blobs
from runner.difference import compare
from runner.errors import ArtifactNotFound, ContentNotKept
from runner.files import Artifact, File
from runner.versions import read_files, versions


class Artifacts:
    """Each call reads the task's log. Raises `TaskNotFound` if there is none.

    reading: threads to read files in; None for the loop's own.
    """

    def __init__(self, store: Store, blobs: Blobs, task_id: str, *, reading: Executor | None) -> None:
        self._store = store
        self._blobs = blobs
        self._task_id = task_id
        self._reading = reading

    async def list(self, through: int | None = None) -> list[File]:
        return await read_files(self._store, self._blobs, self._task_id, through=through)

    async def open(self, path: str, version: int | None) -> Opened:
        """As `Runner.open_artifact`."""
        found = _version(await self._file(path), version)
        return Opened(found, await self.open_version(found))

    async def open_version(self, version: Artifact) -> BinaryIO:
        """As `Runner.open_version`."""
        with _kept(version):
            return await asyncio.get_running_loop().run_in_executor(self._reading, self._blobs.open, version.sha256)

    async def diff(self, path: str, old: int | None, new: int | None) -> Difference:
        """As `Runner.diff_artifact`."""
        file = await self._file(path)
        after = _version(file, new)
        if old is None:
            old = max((known.version for known in file.versions if known.version < after.version), default=0)
        before = self._blobs.path(_version(file, old).sha256) if old else Path(os.devnull)
        with _kept(after):
            new_text = (after.version, self._blobs.path(after.sha256))
            text = await compare(path, (old, before), new_text, reading=self._reading)
        return Difference(old, after.version, text)

    async def archive(self) -> BinaryIO:
        """As `Runner.open_archive`."""
        files = [file for file in await self.list() if file.current]
        return await asyncio.get_running_loop().run_in_executor(self._reading, archive, self._blobs, files)

    async def _file(self, path: str) -> File:
        file = next((file for file in await self.list() if file.path == path), None)
        if file is None:
            raise ArtifactNotFound(path)
        return file


def _version(file: File, number: int | None) -> Artifact:
    """A version of a file; without a number, the file as it is now."""
    if number is None:
        return file
    known = {artifact.version: artifact for artifact in versions([file])}
    if number not in known:
        raise ArtifactNotFound(file.path, number, list(known))
    return known[number]


@contextmanager
def _kept(artifact: Artifact) -> Iterator[None]:
    """Bytes are not there for a run that was imported, and no more for one that is deleted meanwhile."""
    try:
        yield
    except FileNotFoundError:
        raise ContentNotKept(artifact.path, artifact.version) from None
