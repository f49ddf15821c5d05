"""Reading a log through a filter, over a real database."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import aclosing, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.base import Commit, Filter, Placed
from runner.events import EventType
from runner.sql import event_ids_of_types
from runner.store import SqliteStore
from tests.limits import tiny_limits
from tests.logs import make_commit, make_task

LOG, MESSAGE = EventType.LOG, EventType.MESSAGE
TYPES = (LOG, MESSAGE, EventType.STATUS, EventType.TOKEN)
ROLES = (None, "Alice", "Bob")

Kind = tuple[EventType, str | None]

kinds = st.tuples(st.sampled_from(TYPES), st.sampled_from(ROLES))
filters = st.builds(Filter, st.frozensets(st.sampled_from(TYPES)), st.sampled_from(ROLES))


async def _fill(store: SqliteStore, log: Sequence[Kind], together: int) -> list[bytes]:
    """Make a task with events of these kinds, so many in one commit; the events."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    events: list[bytes] = []
    for first in range(0, len(log), together):
        placed: list[Placed] = []
        for number, (event_type, role) in enumerate(log[first : first + together], first):
            commit = make_commit(task, ["x" * (number * 7 % 50)], event_type=event_type, agent_role=role)
            task = commit.task
            placed += commit.events
        assert await store.append([Commit(task, placed)]) == [True]
        events += [event.encoded for event in placed]
    return events


async def _forwards(store: SqliteStore, *, limit: int, size: int, filter: Filter) -> list[bytes]:
    """What passes, page by page from the beginning."""
    found: list[bytes] = []
    cursor, head = 0, 1
    while cursor < head:
        page = await store.read_events("task", after=cursor, limit=limit, size=size, filter=filter)
        assert page.count <= limit and (page.count <= 1 or sum(map(len, page.events)) <= size)
        assert page.cursor > cursor or page.cursor == page.head
        found += page.events
        cursor, head = page.cursor, page.head
    return found


async def _backwards(store: SqliteStore, head: int, *, limit: int, size: int, filter: Filter) -> list[bytes]:
    """What passes, page by page from the end."""
    found: list[bytes] = []
    before = head + 1
    while True:
        page = await store.read_events_before("task", before=before, limit=limit, size=size, filter=filter)
        assert page.first is not None and (page.first < before or not head)
        assert page.count <= limit and (page.count <= 1 or sum(map(len, page.events)) <= size)
        found[:0] = page.events
        before = page.first
        if before == 1:
            return found


async def _check(log: Sequence[Kind], together: int, limit: int, size: int, filter: Filter) -> None:
    with TemporaryDirectory() as folder:
        async with aclosing(await SqliteStore.open(Path(folder) / "tasks.db")) as store:
            events = await _fill(store, log, together)
            wanted = [event for event, kind in zip(events, log, strict=True) if filter.passes(*kind)]
            assert await _forwards(store, limit=limit, size=size, filter=filter) == wanted
            assert await _backwards(store, len(log), limit=limit, size=size, filter=filter) == wanted


@settings(max_examples=100, deadline=None)
@given(
    log=st.lists(kinds, max_size=25),
    together=st.integers(1, 9),
    limit=st.integers(1, 8),
    size=st.integers(1, 3000),
    filter=filters,
)
@example(
    log=[(MESSAGE, None), (LOG, None)] * 2, together=1, limit=1, size=1000, filter=Filter(frozenset({LOG, MESSAGE}))
)
def test_a_filter_is_the_filtered_log(log: list[Kind], together: int, limit: int, size: int, filter: Filter) -> None:
    """Forwards or backwards, in pages of any length and size, a filter gives what passes of the log, once, in order."""
    with tiny_limits():
        asyncio.run(_check(log, together, limit, size, filter))


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize("types", [["LOG"], ["ARTIFACT", "STATUS"]], ids=str)
async def test_a_filter_by_type_has_an_index(tmp_path: Path, types: list[str], order: str) -> None:
    """Each type that is asked for is looked up in the indexes by type, and no log is read through."""
    await (await SqliteStore.open(tmp_path / "tasks.db")).aclose()
    query = event_ids_of_types(len(types), "ASC" if order == "ASC" else "DESC")
    bounds = {"seq": 1, "agent_role": None, "after": 0, "before": 2**62, "limit": 10}
    parameters = bounds | {f"type_{number}": name for number, name in enumerate(types)}
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", parameters)]
    searches = [step for step in plan if "events_by_type" in step or "batches" in step]
    assert len(searches) == 2 * len(types), plan
    assert all(
        "PRIMARY KEY (task_seq=? AND event_type=?" in step
        or "COVERING INDEX batches_by_type (event_type=? AND place" in step
        for step in searches
    ), plan
