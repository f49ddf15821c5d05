"""The files that a run has written: as its log tells of them, and as they are on disk now.

A workspace holds what an LLM wrote, and where it wrote it: a path is opened step by step from the workspace's own
folder, and a symbolic link on the way ends the search.
"""

import os
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import msgspec

from runner.base import Artifact, Filter, Store
from runner.errors import ArtifactNotFound
from runner.events import Event, EventType
from runner.states import Status

_LISTED = Filter(frozenset({EventType.ARTIFACT, EventType.STATUS}))
_PAGE = 1000  # events
_PAGE_BYTES = 4 * 1024 * 1024


async def list_artifacts(store: Store, task_id: str) -> list[Artifact]:
    """The newest version of every file of the last attempt, by path. Raises `TaskNotFound`.

    Where retention has deleted the events that tell of them, they are the result's.
    """
    found: dict[str, Artifact] = {}
    cursor, head = 0, 1
    while cursor < head:
        page = await store.read_events(task_id, after=cursor, limit=_PAGE, size=_PAGE_BYTES, filter=_LISTED)
        cursor, head = page.cursor, page.head
        if page.gap is not None:
            result = (await store.get_task(task_id)).final_result or {}
            found = {known.path: known for known in msgspec.convert(result.get("artifacts", []), list[Artifact])}
        for event in page.events:
            _fold(found, msgspec.json.decode(event, type=Event))
    return [found[path] for path in sorted(found)]


def _fold(found: dict[str, Artifact], event: Event) -> None:
    """What files there are after an event: each attempt begins with an empty workspace."""
    if event.event_type is EventType.ARTIFACT:
        artifact = msgspec.convert(event.payload, Artifact)
        found[artifact.path] = artifact
    elif event.payload["status"] == Status.QUEUED:
        found.clear()


def open_inside(folder: Path, path: str) -> BinaryIO:
    """A regular file below a folder, open for reading. path: relative, with forward slashes.

    Raises `ArtifactNotFound` for anything else: a link, a folder, a path that leads out.
    """
    *parents, name = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in (*parents, name)):
        raise ArtifactNotFound(path)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        for parent in parents:
            descriptor = _step(descriptor, parent, os.O_DIRECTORY)
        descriptor = _step(descriptor, name, os.O_NONBLOCK)  # or opening a pipe would wait for its writer
    except OSError:
        raise ArtifactNotFound(path) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ArtifactNotFound(path)
    return os.fdopen(descriptor, "rb")


def archive(folder: Path, paths: Iterable[str]) -> BinaryIO:
    """A zip of files below a folder, open for reading; those that are there no more are left out."""
    file = TemporaryFile()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in paths:
            try:
                source = open_inside(folder, path)
            except ArtifactNotFound:
                continue
            with source:
                packed.writestr(path, source.read())
    file.seek(0)
    return file


def _step(descriptor: int, name: str, flags: int) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=descriptor)
    finally:
        os.close(descriptor)
