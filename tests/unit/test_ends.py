"""What the log holds, and what the store remembers of the ends of logs, when a transaction fails."""

import contextlib
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from runner.base import Commit, Filter
from runner.states import Status
from runner.store import SqliteStore
from tests.logs import make_commit, make_task, messages

FRAME = 24 + 4096  # bytes that a page takes in the WAL


@contextlib.contextmanager
def _full_disk(file: Path, frames: int = 0) -> Iterator[None]:
    """Let no file grow beyond the size of this one, or so many frames more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + frames * FRAME, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "log.db")
    try:
        yield store
    finally:
        await store.aclose()


@pytest_asyncio.fixture
async def begun(store: SqliteStore) -> Commit:
    """The first event of a task, which is in the log."""
    commit = make_commit(await store.create_task(make_task(), key=None, fingerprint=""), ["first"])
    assert await store.append([commit]) == [True]
    return commit


async def _log(store: SqliteStore) -> list[str]:
    return messages((await store.read_events("task", after=0, limit=10, size=10**6, filter=Filter())).events)


async def test_a_change_that_could_not_be_written(tmp_path: Path, store: SqliteStore, begun: Commit) -> None:
    """A change of a task that did not fit on the disk is written when it is tried again."""
    change = Commit(msgspec.structs.replace(begun.task, status=Status.RUNNING), [])
    with _full_disk(tmp_path / "log.db-wal"), pytest.raises(sqlite3.OperationalError):
        await store.append([change])
    assert await store.append([change]) == [True]
    assert (await store.get_task("task")).status is Status.RUNNING


async def test_an_event_that_could_not_be_written(tmp_path: Path, store: SqliteStore, begun: Commit) -> None:
    """An event that did not fit on the disk is in the log once when it is tried again."""
    more = make_commit(begun.task, ["second"])
    with _full_disk(tmp_path / "log.db-wal"), pytest.raises(sqlite3.OperationalError):
        await store.append([more])
    assert await store.append([more]) == [True]
    assert await _log(store) == ["first", "second"]


@pytest.mark.parametrize("frames", range(6))
async def test_all_or_nothing(tmp_path: Path, store: SqliteStore, begun: Commit, frames: int) -> None:
    """However much of it fits on the disk, an event and the change it makes are both there or both not."""
    more = make_commit(begun.task, ["second"], status=Status.RUNNING)
    with _full_disk(tmp_path / "log.db-wal", frames), contextlib.suppress(sqlite3.OperationalError):
        await store.append([more])
    held = (await _log(store), (await store.get_task("task")).status)
    assert held in ((["first"], Status.PENDING), (["first", "second"], Status.RUNNING))
