"""What takes long in a long log is done in steps, between which others have their turn."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from runner.base import Filter
from runner.errors import TaskNotFound
from runner.reading import pages
from runner.store import SqliteStore
from tests.limits import tiny_limits
from tests.logs import make_commit, make_task

NOBODY = Filter(agent_role="Nobody")
EVERYTHING = 10**9  # bytes
TABLES = ("tasks", "batches", "events_by_type", "digests")


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store with a task `task` of 200 events."""
    with tiny_limits():
        store = await SqliteStore.open(tmp_path / "log.db")
        try:
            task = await store.create_task(make_task(), key=None, fingerprint="")
            await store.append([make_commit(task, ["x"] * 200)])
            yield store
        finally:
            await store.aclose()


async def _done_before(long: Coroutine[Any, Any, Any], short: Callable[[], Awaitable[Any]]) -> bool:
    """Whether something long has come to its end before short calls of the same connection, made a moment later."""
    working = asyncio.create_task(long)
    for _ in range(10):
        await short()
    done = working.done()
    await working
    return done


@pytest.mark.parametrize("direction", ["after", "before"])
async def test_a_filter_that_nothing_passes(store: SqliteStore, direction: str) -> None:
    """A log that is read through for a role does not hold other reads up until its end."""
    await store.create_task(make_task("other"), key=None, fingerprint="")

    async def read() -> None:
        if direction == "after":
            async for _ in pages(store, "task", NOBODY):
                pass
            return
        before: int | None = 201
        while before != 1:
            assert before is not None
            page = await store.read_events_before("task", before=before, limit=10, size=EVERYTHING, filter=NOBODY)
            before = page.first

    assert not await _done_before(read(), partial(store.get_task, "other"))


async def test_a_deletion_that_is_cut_short(store: SqliteStore, tmp_path: Path) -> None:
    """A task that is being deleted is found by nobody; what is left of it goes later."""
    await store.delete_task("task")
    with pytest.raises(TaskNotFound):
        await store.read_events("task", after=0, limit=1, size=1, filter=Filter())
    assert _rows(tmp_path / "log.db") > 0
    async with aclosing(await SqliteStore.open(tmp_path / "log.db")) as again:
        await again.purge()
    assert _rows(tmp_path / "log.db") == 0


def _rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES)


async def test_deleting(store: SqliteStore) -> None:
    """A log that is deleted does not hold appends up until it is gone."""
    await store.create_task(make_task("other"), key=None, fingerprint="")
    await store.delete_task("task")
    assert not await _done_before(store.purge(), partial(store.append, []))
