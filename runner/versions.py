"""The files of a task and their versions: as its log tells of them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from runner.base import Filter, Store
from runner.blobs import Blobs
from runner.events import Event, EventType
from runner.excerpts import FOLDER, whole
from runner.files import Artifact, File, Version
from runner.reading import decoded, pages
from runner.states import Status

_READ = Filter(frozenset({EventType.ARTIFACT, EventType.STATUS, EventType.RESULT}))


async def read_files(store: Store, blobs: Blobs, task_id: str, *, through: int | None = None) -> list[File]:
    """All files that a task's attempts have written, by path. Raises `TaskNotFound`.

    through: the last event that counts; None for all.
    Where retention has deleted the events that tell of them, they are the result's.
    """
    reader = _Reader()
    async for page in pages(store, task_id, _READ, through=through):
        if page.gap is not None:
            reader = _Reader()
            reader.take_result((await store.get_task(task_id)).final_result or {})
        for event in decoded(page, through):
            reader.take(await whole(event, blobs))
    return reader.files()


def versions(files: Iterable[File]) -> list[Artifact]:
    """All versions of these, each as the event told of it; of a file the oldest first."""
    return [
        Artifact(path=file.path, version=version.version, size=version.size, sha256=version.sha256)
        for file in files
        for version in file.versions
    ]


class _Reader:
    """Takes the events of a log in order."""

    def __init__(self) -> None:
        self._attempt: int | None = None
        self._versions: dict[str, dict[int, Version]] = {}  # by path and number
        self._now: dict[str, int] = {}  # the version that a file has, by path
        self._current: set[str] = set()  # the files of the last attempt, which began with an empty workspace

    def files(self) -> list[File]:
        return [self._file(path) for path in sorted(self._versions)]

    def take(self, event: Event) -> None:
        match event.event_type:
            case EventType.ARTIFACT:
                self._take_artifact(event)
            case EventType.RESULT:
                self.take_result(event.payload.get("final_result") or {})
            case EventType.STATUS if event.payload.get("status") == Status.QUEUED:
                self._attempt = event.payload.get("attempt")
                self._current.clear()

    def take_result(self, final_result: dict[str, Any]) -> None:
        """What is there at the end of a run that went well; what it has removed again is not."""
        found = msgspec.convert(final_result.get("artifacts", []), list[Artifact])
        self._current = {artifact.path for artifact in found}
        for artifact in found:
            self._add(artifact, Version(version=artifact.version, size=artifact.size, sha256=artifact.sha256))

    def _take_artifact(self, event: Event) -> None:
        artifact = msgspec.convert(event.payload, Artifact)
        if not artifact.path.startswith(FOLDER):  # what the log does not hold is no work of the team
            self._current.add(artifact.path)
        self._add(
            artifact,
            Version(
                version=artifact.version,
                size=artifact.size,
                sha256=artifact.sha256,
                agent_role=event.agent_role,
                action=event.payload.get("action"),
                event_id=event.event_id,
                timestamp=event.timestamp,
                attempt=self._attempt,
            ),
        )

    def _add(self, artifact: Artifact, version: Version) -> None:
        self._now[artifact.path] = artifact.version
        self._versions.setdefault(artifact.path, {}).setdefault(artifact.version, version)

    def _file(self, path: str) -> File:
        versions = self._versions[path]
        now = versions[self._now[path]]
        return File(
            path=path,
            version=now.version,
            size=now.size,
            sha256=now.sha256,
            current=path in self._current,
            versions=[versions[number] for number in sorted(versions)],
        )
