"""The recorder: every event of every task passes here, and gets its place in the log.

A store that cannot write now (locked by another process, disk full) is asked again until it can; meanwhile whoever
produces events waits for their commit, so nothing piles up.

Group commit: while one transaction runs, what arrives is collected; the next transaction takes all of it. No timer is
involved, so a lone event is committed at once and a burst costs one commit. Listeners hear of events only after their
commit, in the order of the log.
"""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Sequence

import msgspec

from runner.base import Change, Commit, Entry, Listener, Placed, Store
from runner.errors import StaleAttempt, StorageUnavailable
from runner.events import Draft
from runner.stats import COMMIT_BOUNDS, CommitStats, Histogram
from runner.task import Task

_RETRY_PAUSE = 1.0  # seconds

_log = logging.getLogger(__name__)

Committed = asyncio.Future[None]
"""Done after the commit; it may hold an error instead, see `Recorder.append`."""

_Awaited = tuple[Commit, Committed]


class Recorder:
    """The only writer of logs. Use it as an async context manager, in the loop that runs the supervisor."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: list[Listener] = []
        self._pending: list[_Awaited] = []
        self._work = asyncio.Event()
        self._closing = False
        self._seconds = Histogram(COMMIT_BOUNDS)
        self._events = 0
        self._retries = 0
        self._hurried = asyncio.Event()  # set once it is not worth to wait for the store any more

    async def __aenter__(self) -> "Recorder":
        self._writer = asyncio.create_task(self._write(), name="recorder")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._work.set()
        await self._writer

    def stats(self) -> CommitStats:
        """Of the commits so far."""
        return CommitStats(seconds=self._seconds.read(), events=self._events, retries=self._retries)

    def hurry(self) -> None:
        """From now on a commit that fails is not tried again: the server is about to end."""
        self._hurried.set()

    def watch(self, listener: Listener) -> None:
        """Call `listener` after every change; it must not block and must not raise."""
        self._listeners.append(listener)

    def announce(self, change: Change) -> None:
        """Tell the listeners of a change that was made to the store."""
        for listener in self._listeners:
            listener(change)

    def append(self, task: Task, entries: Sequence[Entry]) -> tuple[Task, Committed]:
        """Put entries into a task's log. task: as of the last of them, but for its head, which is still the old one.

        Returns the task with its new head, and a future that is done after the commit; it holds `StaleAttempt` if the
        store refused, `StorageUnavailable` if the server ends before that can be written, or the store's error.
        """
        events = _place(task.id, task.head, entries)
        after = msgspec.structs.replace(task, head=task.head + len(entries))
        done: Committed = asyncio.get_running_loop().create_future()
        # Most producers do not wait; an error is then seen by those who do, and by the next append of the task.
        done.add_done_callback(_retrieve)
        self._pending.append((Commit(after, events), done))
        self._work.set()
        return after, done

    async def _write(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._pending:
                batch, self._pending = self._pending, []
                await self._commit(batch)
            if self._closing:
                return

    async def _commit(self, batch: Sequence[_Awaited]) -> None:
        commits = _merge([commit for commit, _ in batch])
        began = time.perf_counter()  # the loop's own clock may know whole milliseconds only
        try:
            taken = await self._append(commits)
        except Exception as error:
            # One of them may be at fault, and the others are not to fail with it.
            if len(commits) > 1 and not isinstance(error, StorageUnavailable):
                for one in commits:
                    await self._commit([awaited for awaited in batch if awaited[0].task.id == one.task.id])
                return
            for _, done in batch:  # whoever waits for it decides what its failure means
                _fail(done, error)
            return
        self._seconds.observe(time.perf_counter() - began)
        refused = {commit.task.id for commit, took in zip(commits, taken, strict=True) if not took}
        for commit in commits:
            if commit.task.id not in refused:
                self._events += len(commit.events)
                self.announce(commit)
        for commit, done in batch:
            if commit.task.id in refused:
                _fail(done, StaleAttempt(commit.task.id, commit.task.attempt))
            elif not done.done():
                done.set_result(None)

    async def _append(self, commits: Sequence[Commit]) -> list[bool]:
        while True:
            try:
                return await self._store.append(commits)
            except sqlite3.OperationalError as error:
                if self._hurried.is_set():
                    raise StorageUnavailable(error) from error
                self._retries += 1
                _log.error("%d commits failed (%s); trying again", len(commits), error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_PAUSE):
                    await self._hurried.wait()


def entry(draft: Draft) -> Entry:
    """A draft, encoded for the log."""
    return Entry(draft.event_type, draft.agent_role, msgspec.json.encode(draft)[1:])


def _place(task_id: str, head: int, entries: Sequence[Entry]) -> list[Placed]:
    middle = b',"task_id":"%b",' % task_id.encode()
    return [
        Placed(event_id, entry.event_type, entry.agent_role, b'{"event_id":%d%b%b' % (event_id, middle, entry.tail))
        for event_id, entry in enumerate(entries, head + 1)
    ]


def _merge(commits: Sequence[Commit]) -> list[Commit]:
    """One commit per task: the events of all, the task as of the last."""
    merged: dict[str, Commit] = {}
    for commit in commits:
        earlier = merged.get(commit.task.id)
        merged[commit.task.id] = commit if earlier is None else Commit(commit.task, [*earlier.events, *commit.events])
    return list(merged.values())


def _fail(done: Committed, error: Exception) -> None:
    if not done.done():
        done.set_exception(error)


def _retrieve(done: Committed) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        done.exception()
