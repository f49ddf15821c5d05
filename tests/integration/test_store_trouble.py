"""A database that another process holds locked: nothing fails of it, and the server can end all the same."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from runner import database, recorder
from runner.base import Change, Commit, Deleted, Filter
from runner.errors import Conflict, StorageUnavailable
from runner.events import EventType
from runner.states import TERMINAL, Status
from runner.store import SqliteStore
from runner.supervisor import Supervisor
from runner.task import NewTask, Task
from tests.children import Stage, ToldForks, told_supervisor
from tests.logs import make_task
from tests.support import DEADLINE, ends, ids, statuses, until


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """The database, held by another process as it were, as long as the block lasts."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


class Trouble:
    """A supervisor whose store gives up on a lock at once, and whose recorder then asks it again at once."""

    def __init__(self, supervisor: Supervisor, forks: ToldForks, file: Path, log: pytest.LogCaptureFixture) -> None:
        self.supervisor = supervisor
        self.forks = forks
        self.file = file
        self._log = log

    async def started(self) -> str:
        task = await self.supervisor.create_task(NewTask(input_prompt="x"))
        await self.supervisor.start_task(task.id)
        return task.id

    async def refused(self) -> None:
        """Wait until the store has refused a commit."""
        await until(lambda: "trying again" in self._log.text)

    async def until(self, task_id: str, *statuses: Status) -> Task:
        return await until(lambda: self.supervisor.get_task_state(task_id), lambda task: task.status in statuses)

    async def log(self, task_id: str) -> list[dict[str, Any]]:
        return await _log(self.supervisor, task_id)


async def _log(supervisor: Supervisor, task_id: str) -> list[dict[str, Any]]:
    page = await supervisor.get_task_events(task_id, after=0, limit=10**5, size=10**9, filter=Filter())
    return [json.loads(event) for event in page.events]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY", 0.02)
    monkeypatch.setattr(recorder, "_RETRY_PAUSE", 0.02)


@pytest_asyncio.fixture
async def trouble(tmp_path: Path, impatient: None, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Trouble]:
    async with told_supervisor(tmp_path) as (supervisor, forks):
        yield Trouble(supervisor, forks, tmp_path / "tasks.db", caplog)


async def test_events_wait_for_the_lock(trouble: Trouble) -> None:
    """What a run says while the database is locked is committed afterwards, in order, and the run succeeds."""
    task_id = await trouble.started()
    child = await trouble.forks.child()
    await trouble.until(task_id, Status.RUNNING)
    with _locked(trouble.file):
        for number in range(3):
            child.emit(EventType.LOG, {"message": str(number)})
        await trouble.refused()
    child.finish()
    assert (await trouble.until(task_id, *TERMINAL)).status is Status.SUCCEEDED
    log = await trouble.log(task_id)
    assert ids(log) == list(range(1, len(log) + 1))
    assert [event["payload"]["message"] for event in log if event["event_type"] == "LOG"] == ["0", "1", "2"]


async def test_a_claim_waits_for_the_lock(trouble: Trouble) -> None:
    """A task whose claim meets a locked database runs all the same, and its log tells each status once."""
    locks: list[sqlite3.Connection] = []

    def lock(change: Change) -> None:
        if isinstance(change, Commit) and change.task.status is Status.QUEUED:
            locks.append(sqlite3.connect(trouble.file, isolation_level=None))
            locks[-1].execute("BEGIN IMMEDIATE")

    trouble.supervisor.watch(lock)
    task_id = await trouble.started()
    await trouble.refused()
    assert (await trouble.supervisor.get_task_state(task_id)).status is Status.QUEUED
    locks[0].close()
    (await trouble.forks.child()).finish()
    await trouble.until(task_id, *TERMINAL)
    assert statuses(await trouble.log(task_id)) == [(1, "QUEUED"), (1, "RUNNING"), (1, "SUCCEEDED")]


async def test_a_stop_of_a_queued_task_waits_for_the_lock(trouble: Trouble) -> None:
    """A queued task that is stopped while the database is locked is CANCELLED once it is not, and never runs."""
    running = [await trouble.started(), await trouble.started()]
    queued = await trouble.started()
    for task_id in running:
        await trouble.until(task_id, Status.RUNNING)
    with _locked(trouble.file):
        stopping = asyncio.create_task(trouble.supervisor.stop_task(queued))
        await trouble.refused()
    assert (await stopping).status is Status.CANCELLED
    assert statuses(await trouble.log(queued)) == [(1, "QUEUED"), (1, "CANCELLED")]


async def test_a_keyed_task_waits_for_the_lock(tmp_path: Path) -> None:
    """Making a task with an idempotency key reads before it writes, and yet waits for the lock of another process."""
    async with aclosing(await SqliteStore.open(tmp_path / "tasks.db")) as store:
        with _locked(tmp_path / "tasks.db"):
            making = asyncio.create_task(store.create_task(make_task(), key="key", fingerprint=""))
            await asyncio.wait({making}, timeout=0.2)  # time enough to fail for one that would
        assert (await making).id == "task"


async def test_the_end_of_a_server_whose_store_refuses(trouble: Trouble, tmp_path: Path) -> None:
    """A shutdown ends although nothing can be written; the next server gives the attempt its one terminal STATUS."""
    task_id = await trouble.started()
    child = await trouble.forks.child()
    await trouble.until(task_id, Status.RUNNING)
    with _locked(trouble.file):
        child.emit(EventType.LOG, {"message": "lost"})
        await trouble.refused()
        async with asyncio.timeout(DEADLINE / 2):
            await trouble.supervisor.aclose()
        assert (await trouble.supervisor.get_task_state(task_id)).status is Status.RUNNING
    async with told_supervisor(tmp_path) as (supervisor, _):
        await supervisor.recover()
        log = await _log(supervisor, task_id)
    assert ids(log) == list(range(1, len(log) + 1))
    assert ends(log) == [(1, "FAILED")]


async def test_what_is_not_written_when_the_server_ends(trouble: Trouble) -> None:
    """Who has spoken, or stopped a run, is not told that it was done when the next server will not know of it."""
    task_id = await trouble.started()
    await trouble.forks.child()
    await trouble.until(task_id, Status.RUNNING)
    with _locked(trouble.file):
        asked = [
            asyncio.create_task(trouble.supervisor.say(task_id, "Make it blue.", None)),
            asyncio.create_task(trouble.supervisor.stop_task(task_id)),
        ]
        await trouble.refused()
        await trouble.supervisor.aclose()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable, StorageUnavailable]


async def test_what_is_written_for_somebody_who_goes(tmp_path: Path) -> None:
    """All others hear of a task that was made, or deleted, for somebody who waits for that no more."""
    waiting: list[asyncio.Task[Any]] = []

    class Abandoned(SqliteStore):
        async def create_task(self, task: Task, *, key: str | None, fingerprint: str) -> Task:
            waiting[-1].cancel()
            return await super().create_task(task, key=key, fingerprint=fingerprint)

        async def delete_task(self, task_id: str) -> None:
            waiting[-1].cancel()
            await super().delete_task(task_id)

    async with told_supervisor(tmp_path, kind=Abandoned) as (supervisor, _):
        heard: list[Change] = []
        supervisor.watch(heard.append)
        waiting.append(asyncio.create_task(supervisor.create_task(NewTask(input_prompt="x"))))
        made = await until(lambda: heard[-1:])
        assert isinstance(made[0], Commit)
        waiting.append(asyncio.create_task(supervisor.delete_task(made[0].task.id)))
        assert await until(lambda: heard[1:]) == [Deleted(made[0].task.id)]
        await asyncio.wait(waiting)
        assert all(one.cancelled() for one in waiting)


class Refusing(SqliteStore):
    """A store that cannot write, and counts how often it was to."""

    asked = 0

    async def append(self, commits: Sequence[Commit]) -> list[bool]:
        self.asked += 1
        raise sqlite3.OperationalError("database is locked")


async def test_an_end_that_waits_for_a_lock_once(tmp_path: Path) -> None:
    """A server that ends has the events of all its runs wait for a lock together, not one after another."""
    async with aclosing(await Refusing.open(tmp_path / "tasks.db")) as store, recorder.Recorder(store) as writer:
        writer.hurry()
        done = [writer.append(make_task(task_id), [])[1] for task_id in ("one", "another")]
        outcomes = await asyncio.gather(*done, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable, StorageUnavailable]
    assert store.asked == 1


class Choosy(SqliteStore):
    """A store that cannot write some words."""

    words: tuple[bytes, ...] = (b"unspeakable",)

    async def append(self, commits: Sequence[Commit]) -> list[bool]:
        if any(word in event.encoded for commit in commits for event in commit.events for word in self.words):
            raise sqlite3.IntegrityError("this cannot be written")
        return await super().append(commits)


async def test_an_event_that_cannot_be_written(tmp_path: Path) -> None:
    """It fails the run that has told of it, and no other whose events were to be committed with it."""
    async with told_supervisor(tmp_path, kind=Choosy) as (supervisor, forks):
        first, second = Stage(supervisor, forks), Stage(supervisor, forks)
        one, other = await first.child(), await second.child()
        one.emit(EventType.LOG, {"message": "unspeakable"})
        other.emit(EventType.LOG, {"message": "well"})
        other.finish()
        assert (await second.end()).status is Status.SUCCEEDED
        task = await first.end()
        assert (task.status, task.reason) == (Status.FAILED, "this cannot be written")
        assert ends(await first.log()) == [(1, "FAILED")]


async def test_a_task_that_cannot_be_queued(tmp_path: Path) -> None:
    """Whoever starts it is told; it does not wait in the queue, and can be started later."""

    class Closed(Choosy):
        words: tuple[bytes, ...] = (b"QUEUED",)

    async with told_supervisor(tmp_path, kind=Closed) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        with pytest.raises(sqlite3.IntegrityError):
            await stage.start()
        assert supervisor.load().queued == 0
        Closed.words = ()
        await supervisor.start_task(stage.task_id)
        (await forks.child()).finish()
        assert (await stage.end()).status is Status.SUCCEEDED


class Endless(Choosy):
    """A store that cannot write how a run ends."""

    words = (b"FAILED", b"CANCELLED")


async def test_a_stop_of_a_run_whose_end_cannot_be_written(tmp_path: Path) -> None:
    """Who stops it is not told that it has stopped, as long as the task says that it runs."""
    async with told_supervisor(tmp_path, kind=Endless) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        await stage.until(Status.RUNNING)
        child.exit(1)
        await until(lambda: supervisor.load().running, lambda running: running == 0)
        with pytest.raises(Conflict, match="could not be written"):
            await supervisor.stop_task(stage.task_id)
        assert (await stage.task()).status is Status.RUNNING
