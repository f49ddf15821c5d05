"""REST polls that wait."""

import asyncio
from pathlib import Path
from typing import Any

from runner.base import Filter, Page
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
