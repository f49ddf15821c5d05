"""The supervisor: the `Runner` that gives every attempt a child process of its own on this machine."""

import asyncio
import hashlib
import logging
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec
from structlog.contextvars import bind_contextvars, bound_contextvars

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
from runner.boot import boot_id
from runner.confinement import weaknesses
from runner.errors import Conflict, NotInTeam, TaskNotFound, TasksFull
from runner.events import now
from runner.files import Artifact, File
from runner.folder import DATABASE, hold
from runner.forkserver import ForkServer
from runner.limits import RunLimits
from runner.logfile import export_log, import_log
from runner.measures import TaskMetrics, Timeline
from runner.places import WAITING_LIMIT, Places
from runner.queue import QUEUE_LIMIT, Queue
from runner.recorder import Recorder
from runner.retention import retain
from runner.run import Run
from runner.states import IN_ATTEMPT, TERMINAL, Status, Trigger, follow
from runner.stats import How, RunnerStats
from runner.store import SqliteStore
from runner.task import NewTask, Task, derived_title
from runner.timeline import read_metrics, read_timeline
from runner.workspace import NotCopied, discard, keep_base, unfinished

_SHUTDOWN_GRACE = 1.0  # seconds that children have to end by themselves when the server ends
_ALL = 1_000_000  # tasks
_KEEPING_THREADS = 4  # for the files of runs
_READING_THREADS = 4  # for who looks at files: a zip may take long, and no run waits for it
_IMPORTED = "The task was imported: it shows a run of another server, and cannot be run or continued here."
_LEFT_QUEUED = "The server is shutting down, and leaves the task queued for the next one. Stop it there."

_log = logging.getLogger(__name__)


class Supervisor:
    """A `Runner`. Make one with `open_supervisor`.

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
        self._queue = queue
        self._places = places
        self._limits = limits
        self._durability: Durability = durability
        self._keeping = keeping
        self._reading = reading
        self._creation = asyncio.Lock()
        self._runs: dict[str, Run] = {}
        self._attempts: set[asyncio.Task[None]] = set()
        self._stops: dict[How, int] = {"graceful": 0, "killed": 0}
        self._admission = asyncio.Lock()
        self._closing = False
        self._queue_doorbells: list[Callable[[], None]] = []

    @property
    def epoch(self) -> str:
        return self._store.epoch

    def watch(self, listener: Listener) -> None:
        self._recorder.watch(listener)

    def watch_queue(self, doorbell: Callable[[], None]) -> None:
        self._queue_doorbells.append(doorbell)

    def queue_place(self, task: Task) -> Place | None:
        if task.status is not Status.QUEUED:
            return None
        return self._queue.place(task.id, self._places)

    async def drain(self) -> None:
        self._queue.draining = True
        self._dispatch()

    async def resume(self) -> None:
        self._queue.draining = False
        self._dispatch()

    def load(self) -> Load:
        return Load(draining=self._queue.draining, running=len(self._attempts), queued=len(self._queue))

    def weaknesses(self) -> list[str]:
        return weaknesses(self._confinement)

    def ready(self) -> bool:
        return self._forks.ready

    async def stats(self) -> RunnerStats:
        return RunnerStats(
            tasks=await self._store.count_tasks(),
            queue_depth=len(self._queue),
            concurrency=self._places.count,
            attempts=[run.stats() for run in self._runs.values() if run.task.status in IN_ATTEMPT],
            commits=self._recorder.stats(),
            stops=dict(self._stops),
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
        kept = None
        try:
            if new.continues is not None:
                task = await self._continued(task, new.continues)
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
        if sum((await self._store.count_tasks()).values()) >= self._limits.tasks:
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
        async with self._admission:
            run = await self._active_run(task_id)
            if run is not None:
                raise Conflict(f"The task is {run.task.status}; stop it before deleting it.")
            await self._store.delete_task(task_id)
        self._recorder.announce(Deleted(task_id))
        await asyncio.to_thread(discard, self._folder / task_id)
        await self._purge()

    async def expire(self, before: str) -> list[str]:
        """Delete the events, not the tasks, of runs that ended before a time (RFC 3339 UTC); of these the task ids."""
        expired = await self._store.expire(before)
        for task_id in expired:
            self._recorder.announce(Expired(task_id))
        return expired

    async def start_task(self, task_id: str, origin: Origin = "checkpoint") -> Task:
        async with self._admission:
            active = await self._active_run(task_id)
            if active is not None:
                raise Conflict(f"The task is {active.task.status} already.")
            task = await self._store.get_task(task_id)
            if task.imported_at is not None:
                raise Conflict(_IMPORTED)
            follow(task.status, Trigger.RUN)
            self._queue.check_room(self._places)
            run = self._new_run(task)
            queued = run.queue(origin)
            self._admit(run)
            try:
                await queued
            except BaseException:
                if task_id in self._queue:
                    self._forget(run)
                raise
        self._dispatch()
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
        await self._check_room()
        task = await import_log(self._store, chunks, event_limit=self._limits.events)
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
        return await read_timeline(self._store, task_id, after=after, limit=limit)

    async def get_task_metrics(self, task_id: str, *, through: int | None = None) -> TaskMetrics:
        return await read_metrics(self._store, task_id, through=through)

    async def stop_task(self, task_id: str) -> Stopped:
        begun = time.monotonic()  # the loop's clock may stand still for a turn
        run = self._runs.get(task_id)
        if run is None:
            task = await self._store.get_task(task_id)
            if task.status is Status.QUEUED:
                raise Conflict(_LEFT_QUEUED)
            return Stopped(task_id=task_id, status=task.status, how="graceful", took_ms=0.0)
        last = await self._stop(run, "Stopped on request.")
        return last.stopped(took=time.monotonic() - begun)

    async def answer(self, task_id: str, request_id: str, answer: str) -> Task:
        run = await self._require_run(task_id)
        if reason := await run.answer(request_id, answer):
            run = await self._stop(run, reason)
        return run.task

    async def say(self, task_id: str, content: str, send_to: Role | None) -> None:
        run = await self._require_run(task_id)
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
        for task_id in await self._store.deleted():
            await asyncio.to_thread(discard, self._folder / task_id)
        await self._purge()
        for folder in unfinished:
            try:
                await self._store.get_task(folder.name)
            except TaskNotFound:
                await asyncio.to_thread(discard, folder)
            except sqlite3.Error:
                _log.exception("whether %s is in use could not be found out; the next start will", folder)

    async def _purge(self) -> None:
        try:
            await self._store.purge()
        except sqlite3.Error as error:  # they are deleted all the same, and found by nobody
            _log.error("what deleted tasks take could not be freed (%s); the next start will", error)

    async def resume_queue(self) -> None:
        """Go on with the tasks that the last server left queued."""
        for task in await self._left(frozenset({Status.QUEUED})):
            run = self._new_run(task)
            self._admit(run)
            self._recorder.announce(Commit(task, []))  # nobody here has heard of it yet
        self._dispatch()

    def end_runs(self) -> None:
        """Begin to end what runs. Queued tasks stay queued for the next server."""
        if self._closing:
            return
        self._closing = True
        self._recorder.hurry()
        for run in self._runs.values():
            if run.task.id not in self._queue:
                run.interrupt("The server was shut down while this run was going on.", grace=_SHUTDOWN_GRACE)

    async def aclose(self) -> None:
        """End what runs."""
        self.end_runs()
        await asyncio.gather(*self._attempts)

    async def _require_run(self, task_id: str) -> Run:
        run = self._runs.get(task_id)
        if run is None:
            task = await self._store.get_task(task_id)
            raise Conflict(f"The task is {task.status}; that is possible only while its team is at work.")
        return run

    async def _active_run(self, task_id: str) -> Run | None:
        """The run of a task, if it has one; one that has come to its end is waited for until it is gone."""
        run = self._runs.get(task_id)
        if run is not None and run.task.status in TERMINAL:
            await asyncio.shield(run.ended)
            return None
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

    def _admit(self, run: Run) -> None:
        self._runs[run.task.id] = run
        self._queue.put(run.task)
        self._expire(run)

    def _expire(self, run: Run) -> None:
        """End a queued run whose question nobody has answered in time: that takes no process, and so no place."""
        question = run.task.waiting
        if question is None or question.patience is None or run.task.id not in self._queue or self._closing:
            return
        if question.overdue:
            self._queue.remove(run.task.id)
            self._start(run)
        else:
            expiry = asyncio.get_running_loop().call_later(question.patience, self._expire, run)
            run.ended.add_done_callback(lambda _: expiry.cancel())

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
            on_waiting=self._reseat,
            keeping=self._keeping,
        )

    def _forget(self, run: Run) -> None:
        self._queue.remove(run.task.id)
        del self._runs[run.task.id]

    def _dispatch(self) -> None:
        """Start what may run, and let everyone know that the queue has changed."""
        while self._places.free and not self._closing and (task_id := self._queue.take()) is not None:
            self._start(self._runs[task_id])
        for doorbell in self._queue_doorbells:
            doorbell()

    def _start(self, run: Run) -> None:
        self._places.take(run)
        run.claim()
        attempt = asyncio.create_task(self._execute(run), name=f"attempt of {run.task.id}")
        self._attempts.add(attempt)
        attempt.add_done_callback(partial(self._free_place, run))

    async def _execute(self, run: Run) -> None:
        bind_contextvars(task_id=run.task.id, attempt=run.task.attempt)  # of this asyncio task, for its log records
        try:
            await run.execute()
        finally:
            self._end(run)

    def _end(self, run: Run) -> None:
        del self._runs[run.task.id]
        if run.task.status is Status.QUEUED and not self._closing:
            self._admit(self._new_run(run.task))
        if run.task.status is Status.CANCELLED:
            self._stops[run.how] += 1
        run.ended.set_result(None)

    def _free_place(self, run: Run, attempt: asyncio.Task[None]) -> None:
        self._attempts.discard(attempt)
        self._places.leave(run)
        self._dispatch()

    def _reseat(self, run: Run) -> None:
        """Have a run give its place back while it waits for a person, and go on afterwards."""
        if run.task.status is Status.WAITING:
            self._places.give_back(run)
        else:
            self._places.go_on(run)
        self._dispatch()

    async def _stop(self, run: Run, reason: str) -> Run:
        """Stop a run, or the one that goes on in its place because its process was lost just then. Returns which."""
        while True:
            if run.task.id in self._queue and self._runs[run.task.id] is run:
                await self._stop_queued(run, reason)
            else:
                run.stop(reason)
                await asyncio.shield(run.ended)
            next_run = self._runs.get(run.task.id)
            if run.task.status is not Status.QUEUED:
                return run
            if next_run is None:
                raise Conflict(_LEFT_QUEUED)
            run = next_run

    async def _stop_queued(self, run: Run, reason: str) -> None:
        self._queue.remove(run.task.id)
        try:
            await run.change(Trigger.STOP, reason=reason, completed_at=now(), waiting=None)
        finally:
            self._end(run)
            self._dispatch()


@asynccontextmanager
async def _threads(count: int, name: str) -> AsyncIterator[Executor]:
    executor = ThreadPoolExecutor(count, thread_name_prefix=name)
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


@asynccontextmanager
async def open_supervisor(
    data: Path,
    *,
    llm: Llm,
    limits: RunLimits,
    concurrency: int,
    queue_limit: int = QUEUE_LIMIT,
    waiting_limit: int = WAITING_LIMIT,
    durability: Durability = "normal",
    keep_days: float | None = None,
    allow_network: bool = False,
) -> AsyncIterator[Supervisor]:
    """A supervisor over the folder `data`, with everything it needs; closed in order at the end.

    Attempts that the last server left open are ended; what it left queued waits for `resume_queue`.

    concurrency: attempts at work at the same time. waiting_limit: attempts that may wait for a person beside them.
    queue_limit: tasks that may wait in the queue. keep_days: days after its end that a run's events are kept; None for
    ever. allow_network: whether the programs of runs have the network.

    Raises `DataFolderBusy` and `DatabaseUnusable`.
    """
    with hold(data):
        store = await SqliteStore.open(data / DATABASE, durability=durability, boot=boot_id())
        try:
            async with (
                Recorder(store) as recorder,
                ForkServer(data / "scratch") as forks,
                _threads(_KEEPING_THREADS, "keeping") as keeping,
                _threads(_READING_THREADS, "reading") as reading,
            ):
                supervisor = Supervisor(
                    store=store,
                    recorder=recorder,
                    forks=forks,
                    llm=llm,
                    folder=data / "tasks",
                    confinement=Confinement(hidden=str(data), allow_network=allow_network),
                    queue=Queue(limit=queue_limit),
                    places=Places(concurrency, waiting_limit=waiting_limit),
                    limits=limits,
                    durability=durability,
                    keeping=keeping,
                    reading=reading,
                )
                await supervisor.recover()
                left = unfinished(data / "tasks")
                retention = asyncio.create_task(retain(supervisor.expire, keep_days), name="retention")
                sweeping = asyncio.create_task(supervisor.sweep(left), name="sweep")
                try:
                    yield supervisor
                finally:
                    retention.cancel()
                    sweeping.cancel()
                    await supervisor.aclose()
        finally:
            await store.aclose()
