"""What takes long in a long log is done in steps, between which others have their turn."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from runner.base import Filter
from runner.store import SqliteStore
from tests.limits import tiny_limits
from tests.logs import make_commit, make_task

NOBODY = Filter(agent_role="Nobody")
EVERYTHING = 10**9  # bytes


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


async def _done_before(store: SqliteStore, long: Coroutine[Any, Any, Any]) -> bool:
    """Whether something long has come to its end before what was asked for a moment later, on either connection."""
    working = asyncio.create_task(long)
    for _ in range(3):
        await store.get_task("other")
        await store.append([])
    done = working.done()
    await working
    return done


@pytest.mark.parametrize("direction", ["after", "before"])
async def test_a_filter_that_nothing_passes(store: SqliteStore, direction: str) -> None:
    """A log that is read through for a role does not hold other reads up until its end."""
    await store.create_task(make_task("other"), key=None, fingerprint="")
    if direction == "after":
        read = store.read_events("task", after=0, limit=10, size=EVERYTHING, filter=NOBODY)
    else:
        read = store.read_events_before("task", before=201, limit=10, size=EVERYTHING, filter=NOBODY)
    assert not await _done_before(store, read)


async def test_deleting(store: SqliteStore) -> None:
    """A log that is deleted does not hold appends up until it is gone."""
    await store.create_task(make_task("other"), key=None, fingerprint="")
    assert not await _done_before(store, store.delete_task("task"))
