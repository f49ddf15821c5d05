"""The supervisor: the `Runner` that gives every attempt a child process of its own on this machine."""

import asyncio
import hashlib
import logging
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
from structlog.contextvars import bound_contextvars

from runner.artifacts import Artifacts
from runner.attempt import Confinement, Llm, Origin, Role
from runner.base import (
    Commit,
    Deleted,
    Difference,
    Digest,
    Durability,
    Expired,
    Filter,
    Findings,
    Listener,
    Load,
    Opened,
    Page,
    Place,
    Stopped,
    Store,
    TaskPage,
)
from runner.blobs import Blobs
from runner.confinement import weaknesses
from runner.dispatcher import Dispatcher
from runner.errors import Conflict, LeftQueued, NotInTeam, TaskNotFound, TasksFull
from runner.events import now
from runner.files import Artifact, File
from runner.forkserver import ForkServer
from runner.limits import RunLimits
from runner.logfile import export_log, import_log
from runner.measures import TaskMetrics, Timeline
from runner.metrics_cache import MetricsCache
from runner.places import Places
from runner.queue import Queue
from runner.recorder import Recorder
from runner.run import Run
from runner.states import ACTIVE, IN_ATTEMPT, Status, Trigger, follow
from runner.stats import RunnerStats
from runner.task import NewTask, Task, derived_title
from runner.timeline import Timelines
from runner.workspace import NotCopied, discard, keep_base

_ALL = 1_000_000  # tasks
_IMPORTED = "The task was imported: it shows a run of another server, and cannot be run or continued here."
_NOT_WRITTEN = "Nothing is left of this run, but its end could not be written. The next start of the server will do so."

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Supervisor:
    """A `Runner`. Made by `runner.wiring`.

    folder: where each task has a folder of its own. places: for its attempts. durability: of the files that are kept,
    as that of the store. keeping, reading: threads for the files of runs, and for those who look at files; None for the
    loop's own.
    """

    def __init__(
        self,
        *,
        store: Store,
        recorder: Recorder,
        forks: ForkServer,
        llm: Llm,
        folder: Path,
        confinement: Confinement,
        queue: Queue,
        places: Places,
        limits: RunLimits,
        durability: Durability = "normal",
        keeping: Executor | None = None,
        reading: Executor | None = None,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._forks = forks
        self._llm = llm
        self._folder = folder
        self._confinement = confinement
        self._limits = limits
        self._durability: Durability = durability
        self._keeping = keeping
        self._reading = reading
        self._creation = asyncio.Lock()
        self._imports = 0  # that are under way
        self._metrics = MetricsCache(store)
        self._timelines = Timelines(store)
        self._dispatcher = Dispatcher(queue=queue, places=places, new_run=self._new_run)
        self._admission = asyncio.Lock()

    @property
    def epoch(self) -> str:
        return self._store.epoch

    def watch(self, listener: Listener) -> None:
        self._recorder.watch(listener)

    def watch_queue(self, doorbell: Callable[[], None]) -> None:
        self._dispatcher.watch(doorbell)

    def queue_place(self, task: Task) -> Place | None:
        return self._dispatcher.place(task)

    async def drain(self) -> None:
        self._dispatcher.drain()

    async def resume(self) -> None:
        self._dispatcher.resume()

    def load(self) -> Load:
        return self._dispatcher.load()

    def weaknesses(self) -> list[str]:
        return weaknesses(self._confinement)

    def ready(self) -> bool:
        return self._forks.ready

    async def stats(self) -> RunnerStats:
        return RunnerStats(
            tasks=await self._store.count_tasks(),
            queue_depth=self._dispatcher.load().queued,
            concurrency=self._dispatcher.concurrency,
            attempts=[run.stats() for run in self._dispatcher if run.task.status in IN_ATTEMPT],
            commits=self._recorder.stats(),
            stops=dict(self._dispatcher.stops),
        )

    async def create_task(self, new: NewTask, *, key: str | None = None) -> Task:
        for role in new.options.review:
            if role not in new.options.team:
                raise NotInTeam(role, new.options.team)
        fingerprint = hashlib.sha256(msgspec.json.encode(new)).hexdigest()
        known = None if key is None else await self._store.find_task(key, fingerprint)
        if known is not None:
            return known
        task = Task(
            id=secrets.token_hex(8),
            title=new.title or derived_title(new.input_prompt),
            input_prompt=new.input_prompt,
            priority=new.priority,
            options=new.options,
            created_at=now(),
            continues=new.continues,
        )
        return await _whole(self._create(task, key, fingerprint))

    async def _create(self, task: Task, key: str | None, fingerprint: str) -> Task:
        kept = None
        try:
            if task.continues is not None:
                task = await self._continued(task, task.continues)
            async with self._creation:
                await self._check_room()
                kept = await self._store.create_task(task, key=key, fingerprint=fingerprint)
        finally:
            if kept is not task:  # it was not made, or somebody else was first
                await asyncio.to_thread(discard, self._folder / task.id)
        if kept is task:
            self._recorder.announce(Commit(task, []))
        return kept

    async def _check_room(self) -> None:
        if sum((await self._store.count_tasks()).values()) + self._imports >= self._limits.tasks:
            raise TasksFull(self._limits.tasks)

    async def _continued(self, task: Task, source_id: str) -> Task:
        """A task with a copy of another one's project, in which it goes on. Raises `Conflict`."""
        source = await self._store.get_task(source_id)
        if source.imported_at is not None:
            raise Conflict(_IMPORTED)
        if source.status is not Status.SUCCEEDED:
            raise Conflict(f"Only a task that has SUCCEEDED can be continued; {source_id} is {source.status}.")
        project = str((source.final_result or {})["project"])
        folder = self._workspace(source_id) / project
        try:
            await asyncio.to_thread(keep_base, self._workspace(task.id), folder, limit=self._limits.workspace)
        except FileNotFoundError:
            raise Conflict(f"The files of {source_id} are not there any more: it cannot be continued.") from None
        except NotCopied as error:
            raise Conflict(f"{source_id} cannot be continued, its files cannot be copied: {error}.") from error
        return msgspec.structs.replace(task, project=project)

    async def list_tasks(self, *, statuses: frozenset[Status], query: str, limit: int, cursor: int | None) -> TaskPage:
        return await self._store.list_tasks(statuses=statuses, query=query, limit=limit, cursor=cursor)

    async def delete_task(self, task_id: str) -> None:
        await _whole(self._delete(task_id))

    async def _delete(self, task_id: str) -> None:
        await self._check_writable(task_id)
        async with self._admission:
            run = await self._dispatcher.active_run_of(task_id)
            if run is not None:
                raise Conflict(f"The task is {run.task.status}; stop it before deleting it.")
            await self._store.delete_task(task_id)
        self._recorder.announce(Deleted(task_id))
        await asyncio.to_thread(discard, self._folder / task_id)
        await self._store.purge()

    async def expire(self, before: str) -> list[str]:
        """Delete the events, not the tasks, of runs that ended before a time (RFC 3339 UTC); of these the task ids."""
        expired = await self._store.expire(before)
        for task_id in expired:
            self._recorder.announce(Expired(task_id))
        return expired

    async def start_task(self, task_id: str, origin: Origin = "checkpoint") -> Task:
        await self._check_writable(task_id)
        async with self._admission:
            active = await self._dispatcher.active_run_of(task_id)
            if active is not None:
                raise Conflict(f"The task is {active.task.status} already.")
            task = await self._store.get_task(task_id)
            if task.imported_at is not None:
                raise Conflict(_IMPORTED)
            follow(task.status, Trigger.RUN)
            self._dispatcher.check_room()
            run = self._new_run(task)
            queued = run.queue(origin)
            self._dispatcher.admit_new(run, queued)
        await asyncio.shield(queued)  # whoever has asked may be gone by then, and the task is queued all the same
        return run.task

    async def get_task_state(self, task_id: str) -> Task:
        return await self._store.get_task(task_id)

    async def get_task_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
        return await self._store.read_events(task_id, after=after, limit=limit, size=size, filter=filter)

    async def get_task_events_before(self, task_id: str, *, before: int, limit: int, size: int, filter: Filter) -> Page:
        return await self._store.read_events_before(task_id, before=before, limit=limit, size=size, filter=filter)

    async def search_task_events(self, task_id: str, *, query: str, limit: int, before: int | None) -> Findings:
        return await self._store.search_events(task_id, query=query, limit=limit, before=before)

    async def get_task_digest(self, task_id: str, through: int | None) -> Digest:
        if through is None:
            through = (await self._store.get_task(task_id)).head
        return await self._store.digest(task_id, through)

    async def export_log(self, task_id: str, *, size: int) -> AsyncIterator[bytes]:
        return await export_log(self._store, task_id, size=size)

    async def import_log(self, chunks: AsyncIterator[bytes]) -> Task:
        async with self._creation:
            await self._check_room()
            self._imports += 1
        try:
            task = await import_log(self._store, chunks, event_limit=self._limits.events)
        finally:
            self._imports -= 1
        self._recorder.announce(Commit(task, []))
        return task

    async def get_task_artifacts(self, task_id: str, *, through: int | None = None) -> list[File]:
        return await self._artifacts(task_id).list(through)

    async def open_artifact(self, task_id: str, path: str, version: int | None) -> Opened:
        return await self._artifacts(task_id).open(path, version)

    async def open_version(self, task_id: str, version: Artifact) -> BinaryIO:
        return await self._artifacts(task_id).open_version(version)

    async def diff_artifact(self, task_id: str, path: str, old: int | None, new: int | None) -> Difference:
        return await self._artifacts(task_id).diff(path, old, new)

    async def open_archive(self, task_id: str) -> BinaryIO:
        return await self._artifacts(task_id).archive()

    async def get_task_timeline(self, task_id: str, *, after: int, limit: int) -> Timeline:
        return await self._timelines.read(task_id, after=after, limit=limit)

    async def get_task_metrics(self, task_id: str, *, through: int | None = None) -> TaskMetrics:
        return await self._metrics.read(task_id, through=through)

    async def stop_task(self, task_id: str) -> Stopped:
        begun = time.monotonic()  # the loop's clock may stand still for a turn
        run = self._dispatcher.run_of(task_id)
        if run is None:
            task = await self._store.get_task(task_id)
            if task.status is Status.QUEUED and self._dispatcher.closing:
                raise LeftQueued
            if task.status in ACTIVE:
                raise Conflict(_NOT_WRITTEN)
            return Stopped(task_id=task_id, status=task.status, how="graceful", took_ms=0.0)
        last = await self._dispatcher.stop(run, "Stopped on request.")
        return last.stopped(took=time.monotonic() - begun)

    async def answer(self, task_id: str, request_id: str, answer: str) -> Task:
        run = await self._run_to_tell(task_id)
        if reason := await run.answer(request_id, answer):
            run = await self._dispatcher.stop(run, reason)
        return run.task

    async def say(self, task_id: str, content: str, send_to: Role | None) -> None:
        run = await self._run_to_tell(task_id)
        await run.say(content, send_to)

    async def recover(self) -> None:
        """End every attempt that the last server left open: its process is gone. What can go on is queued."""
        for task in await self._left(IN_ATTEMPT):
            with bound_contextvars(task_id=task.id, attempt=task.attempt):
                _log.warning("the attempt was interrupted by the end of the server")
                await self._new_run(task).recover()

    async def sweep(self, unfinished: Iterable[Path]) -> None:
        """Finish what the last server has begun to delete, or to make.

        unfinished: folders of before this server makes any.
        """
        for task_id in await self._deleted():
            await asyncio.to_thread(discard, self._folder / task_id)
        await self._store.purge()
        for folder in unfinished:
            try:
                await self._store.get_task(folder.name)
            except TaskNotFound:
                await asyncio.to_thread(discard, folder)
            except sqlite3.Error as error:
                _log.error("whether %s is in use could not be found out (%s); the next start will", folder, error)

    async def _deleted(self) -> list[str]:
        try:
            return await self._store.deleted()
        except sqlite3.Error as error:
            _log.error("what was deleted, and is there still, could not be found out (%s); the next start will", error)
            return []

    async def resume_queue(self) -> None:
        """Go on with the tasks that the last server left queued."""
        for task in await self._left(frozenset({Status.QUEUED})):
            run = self._new_run(task)
            self._dispatcher.admit(run)
            self._recorder.announce(Commit(task, []))  # nobody here has heard of it yet
        self._dispatcher.dispatch()

    def end_runs(self) -> None:
        """Begin to end what runs. Queued tasks stay queued for the next server."""
        if not self._dispatcher.closing:
            self._recorder.hurry()
            self._dispatcher.close()

    async def aclose(self) -> None:
        """End what runs."""
        self.end_runs()
        await self._dispatcher.aclose()

    async def _check_writable(self, task_id: str) -> None:
        """Raise `TaskNotFound`, or `StorageUnavailable` if what is asked of a task cannot be written now."""
        await self._store.get_task(task_id)
        await self._store.check_writable()

    async def _run_to_tell(self, task_id: str) -> Run:
        """The run of a task, for what a person says to it. Raises `Conflict`, and as `_check_writable`."""
        await self._require_run(task_id)
        await self._store.check_writable()
        return await self._require_run(task_id)  # another may stand in its place by now

    async def _require_run(self, task_id: str) -> Run:
        run = self._dispatcher.run_of(task_id)
        if run is None:
            task = await self._store.get_task(task_id)
            raise Conflict(f"The task is {task.status}; that is possible only while its team is at work.")
        return run

    def _workspace(self, task_id: str) -> Path:
        return self._folder / task_id / "workspace"

    def _blobs(self, task_id: str) -> Blobs:
        return Blobs(self._folder / task_id / "blobs", self._durability)

    def _artifacts(self, task_id: str) -> Artifacts:
        return Artifacts(self._store, self._blobs(task_id), task_id, reading=self._reading)

    async def _left(self, statuses: frozenset[Status]) -> list[Task]:
        """The tasks of these statuses, whole, oldest first."""
        page = await self._store.list_tasks(statuses=statuses, query="", limit=_ALL, cursor=None)
        return [await self._store.get_task(row.id) for row in reversed(page.tasks)]

    def _new_run(self, task: Task) -> Run:
        return Run(
            task,
            store=self._store,
            recorder=self._recorder,
            forks=self._forks,
            llm=self._llm,
            workspace=self._workspace(task.id),
            blobs=self._blobs(task.id),
            confinement=self._confinement,
            limits=self._limits,
            on_waiting=self._dispatcher.reseat,
            keeping=self._keeping,
        )


async def _whole(work: Coroutine[Any, Any, _T]) -> _T:
    """The outcome of what goes on to its end also when whoever has asked for it waits no more."""
    return await asyncio.shield(asyncio.create_task(work))
