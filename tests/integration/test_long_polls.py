"""REST polls that wait."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runner.base import Filter, Page
from runner.states import Status
from runner.store import SqliteStore
from tests.world import World, running


class ReadStore(SqliteStore):
    """Knows from where it was read."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cursors: list[int] = []
        self.was_read = asyncio.Event()

    async def read_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
        page = await super().read_events(task_id, after=after, limit=limit, size=size, filter=filter)
        self.cursors.append(after)
        self.was_read.set()
        return page


@pytest.mark.parametrize("filter", ["agent_role=Nobody", "types=LOG&agent_role=Nobody"])
@pytest.mark.parametrize("wait", [0, 20])
async def test_a_rare_event_is_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filter: str, wait: int
) -> None:
    """An answer reads through a part of a long log, and says how far; who goes on from there reads nothing twice."""
    monkeypatch.setattr("runner.log.SCANNED_AT_ONCE", 3)
    monkeypatch.setattr("runner.log.LOOKED_UP_AT_ONCE", 3)
    monkeypatch.setattr("server.pages.PAGE_SCANS", 2)
    async with running(World(tmp_path, store=ReadStore)) as world:
        store = world.store
        assert isinstance(store, ReadStore)
        for _ in range(10):
            await world.append(world.log, 1, 10)
        await world.append(world.log, 1, 0, status=Status.FAILED)
        cursors = [0]
        for _ in range(3):
            url = f"http://{world.address}/api/tasks/{world.log.task.id}/events?{filter}&wait={wait}"
            page = (await world.http.get(f"{url}&since_event_id={cursors[-1]}")).json()
            assert (page["events"], page["head"]) == ([], 11)
            cursors.append(page["cursor"])
    assert cursors == [0, 6, 11, 11]
    assert page["terminal"]
    assert store.cursors == [0, 3, 6, 9, 11]


@pytest.mark.parametrize("filter", ["agent_role=Nobody", "types=LOG&agent_role=Nobody"])
async def test_a_rare_event_is_looked_for_backwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filter: str
) -> None:
    """Backwards, too, an answer reads through a part of a long log, and its cursor is the `before` to go on with."""
    monkeypatch.setattr("runner.log.SCANNED_AT_ONCE", 3)
    monkeypatch.setattr("runner.log.LOOKED_UP_AT_ONCE", 3)
    monkeypatch.setattr("server.pages.PAGE_SCANS", 2)
    async with running(World(tmp_path)) as world:
        for _ in range(10):
            await world.append(world.log, 1, 10)
        cursors = [11]
        for _ in range(2):
            url = f"http://{world.address}/api/tasks/{world.log.task.id}/events?{filter}&before={cursors[-1]}"
            page = (await world.http.get(url)).json()
            assert page["events"] == []
            cursors.append(page["cursor"])
    assert cursors == [11, 5, 1]


async def test_a_filter_that_nothing_passes(tmp_path: Path) -> None:
    """A poll that waits for what passes a filter does not read again what did not: what is new is in the ring."""
    async with running(World(tmp_path, store=ReadStore)) as world:
        store = world.store
        assert isinstance(store, ReadStore)
        await world.append(world.log, 2, 10)
        url = f"http://{world.address}/api/tasks/{world.log.task.id}/events?agent_role=Bob&wait=20"
        polling = asyncio.create_task(world.http.get(url))
        await store.was_read.wait()
        await world.append(world.log, 7, 10)
        assert [event["event_id"] for event in (await polling).json()["events"]] == [6, 7, 8]
        assert store.cursors == [0]


class HeldStore(ReadStore):
    """Reads only while it may."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.readable = asyncio.Event()
        self.readable.set()

    async def read_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
        await self.readable.wait()
        return await super().read_events(task_id, after=after, limit=limit, size=size, filter=filter)


async def test_what_a_poll_waits_for_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll that waits is told of the gap, where retention deletes what has come before it could be read."""
    monkeypatch.setattr("server.topic.RING_BYTES", 0)
    async with running(World(tmp_path, store=HeldStore)) as world:
        store = world.store
        assert isinstance(store, HeldStore)
        await world.append(world.log, 5, 10)
        url = f"http://{world.address}/api/tasks/{world.log.task.id}/events?since_event_id=5&wait=20&limit=100"
        polling = asyncio.create_task(world.http.get(url))
        await store.was_read.wait()
        store.readable.clear()
        await world.append(world.log, 3, 10, status=Status.FAILED)
        await world.expire(world.log)
        store.readable.set()
        page = (await polling).json()
    assert (page["events"], page["cursor"], page["terminal"]) == ([], 8, True)
    assert page["gap"] == {"from": 6, "to": 8, "reason": "retention"}
