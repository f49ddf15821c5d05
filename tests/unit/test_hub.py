"""The hub over a real runner: where a page comes from, ring or store, makes no difference."""

import asyncio
import contextlib
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from runner.base import Commit, Deleted, Filter, Page, Placed
from runner.errors import CursorAhead, TaskNotFound
from runner.events import EventType
from runner.supervisor import Supervisor
from runner.task import NewTask
from server.bounds import FRAME_BYTES, PIECE_BYTES, RING_BYTES
from server.hub import Hub
from server.topic import Doorbell
from tests.children import ToldChild, told_supervisor
from tests.support import until

FILTERS = [Filter(), Filter(frozenset({EventType.TOKEN})), Filter(agent_role="Engineer"), Filter(agent_role="Nobody")]


class Watched:
    """A hub, a task that somebody watches, and its child."""

    def __init__(self, hub: Hub, supervisor: Supervisor, task_id: str, child: ToldChild) -> None:
        self.hub = hub
        self.supervisor = supervisor
        self.task_id = task_id
        self.child = child

    async def fill(self, count: int, size: int = 10) -> None:
        """Have the child send events until the hub knows them."""
        head = (await self.hub.position(self.task_id)).head
        for n in range(count):
            kind = EventType.TOKEN if n % 3 else EventType.LOG
            await self.child.emit_all(kind, {"message": "x" * size}, agent_role="Engineer" if n % 2 else None)
        await self._until(head + count)

    async def _until(self, head: int) -> None:
        await until(lambda: self.hub.position(self.task_id), lambda position: position.head >= head)


@pytest_asyncio.fixture
async def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    monkeypatch.setattr("runner.run.RESOURCE_PERIOD", 3600.0)  # only the child has something to tell
    async with told_supervisor(tmp_path) as (supervisor, forks):
        hub = Hub(supervisor)
        supervisor.watch(hub.publish)
        task = await supervisor.create_task(NewTask(input_prompt="x"))
        await supervisor.start_task(task.id)
        yield Watched(hub, supervisor, task.id, await forks.child())


@contextlib.contextmanager
def _watching(watched: Watched, doorbell: Doorbell) -> Iterator[None]:
    topic = watched.hub.watch(watched.task_id, doorbell)
    try:
        yield
    finally:
        watched.hub.unwatch(topic, doorbell)


@pytest.mark.parametrize("filter", FILTERS, ids=str)
async def test_the_seam(watched: Watched, filter: Filter) -> None:
    """Every page of a watched task, of any cursor, limit and size, is the one that the store gives."""
    await watched.fill(20)
    with _watching(watched, lambda: None):
        await watched.fill(20)
        head = (await watched.hub.position(watched.task_id)).head
        for after in range(head + 1):
            for limit, size in ((1, 10**6), (7, 10**6), (1000, 10**6), (1000, 300)):
                wanted = {"after": after, "limit": limit, "size": size, "filter": filter}
                ours = await watched.hub.read(watched.task_id, **wanted)  # type: ignore[arg-type]
                stored = await watched.supervisor.get_task_events(watched.task_id, **wanted)  # type: ignore[arg-type]
                assert ours.events == stored.events
                assert ours.head == stored.head
                assert after <= ours.cursor <= head


@pytest.mark.parametrize("filter", FILTERS, ids=str)
async def test_following_the_cursor(watched: Watched, filter: Filter) -> None:
    """Page by page along the cursor, a reader gets every event that passes, once, and arrives at the head."""
    with _watching(watched, lambda: None):
        await watched.fill(30)
        head = (await watched.hub.position(watched.task_id)).head
        cursor = 0
        seen: list[bytes] = []
        while cursor < head:
            page = await watched.hub.read(watched.task_id, after=cursor, limit=4, size=10**6, filter=filter)
            assert page.cursor > cursor
            cursor = page.cursor
            seen += page.events
        whole = await watched.supervisor.get_task_events(watched.task_id, after=0, limit=999, size=10**9, filter=filter)
        assert seen == list(whole.events)


async def test_a_cursor_ahead(watched: Watched) -> None:
    """A cursor beyond the head raises, whether the task is watched or not."""
    for watching in (contextlib.nullcontext(), _watching(watched, lambda: None)):
        with watching:
            await watched.fill(3)
            head = (await watched.hub.position(watched.task_id)).head
            for ahead in (head + 1, head + 1000, 2**70):
                with pytest.raises(CursorAhead):
                    await watched.hub.read(watched.task_id, after=ahead, limit=1, size=1, filter=Filter())
                with pytest.raises(CursorAhead):
                    await watched.hub.read_framed(
                        watched.task_id, after=ahead, size=FRAME_BYTES, most=FRAME_BYTES, filter=Filter()
                    )


async def test_a_deleted_task(watched: Watched) -> None:
    """Nothing of a deleted task can be read any more, also not what the hub had at hand."""
    with _watching(watched, lambda: None):
        await watched.fill(10, size=100_000)
        await watched.hub.read_framed(watched.task_id, after=0, size=FRAME_BYTES, most=FRAME_BYTES, filter=Filter())
        await watched.supervisor.stop_task(watched.task_id)
        await watched.supervisor.delete_task(watched.task_id)
        with pytest.raises(TaskNotFound):
            await watched.hub.position(watched.task_id)
        with pytest.raises(TaskNotFound):
            await watched.hub.read(watched.task_id, after=0, limit=1, size=1, filter=Filter())
        with pytest.raises(TaskNotFound):
            await watched.hub.read_framed(watched.task_id, after=0, size=FRAME_BYTES, most=FRAME_BYTES, filter=Filter())


async def test_a_read_that_has_just_ended(watched: Watched) -> None:
    """A read after a commit has its events, also where a read of before has ended in the same turn of the loop."""
    with _watching(watched, lambda: None):
        await watched.fill(3)
        task = await watched.supervisor.get_task_state(watched.task_id)
        fresh = Placed(task.head + 1, EventType.LOG, None, b'{"event_id":%d}' % (task.head + 1))

        async def read() -> int:
            return (
                await watched.hub.read_framed(
                    watched.task_id, after=task.head, size=FRAME_BYTES, most=FRAME_BYTES, filter=Filter()
                )
            ).cursor

        async def read_later() -> int:
            await asyncio.sleep(0)  # the other read comes to its end
            watched.hub.publish(Commit(msgspec.structs.replace(task, head=fresh.event_id), [fresh]))
            return await read()

        assert list(await asyncio.gather(read(), read_later())) == [task.head, fresh.event_id]


async def test_a_read_of_a_log_that_was_deleted(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks after a deletion is not given what is still being read of before: its id may have been taken in anew."""
    readable, numbers = asyncio.Event(), count(1)

    async def read(*_: object, **__: object) -> Page:
        number = next(numbers)
        await readable.wait()
        return Page(b"", 0, number, number)

    async def cursor() -> int:
        page = await watched.hub.read_framed(
            watched.task_id, after=0, size=FRAME_BYTES, most=FRAME_BYTES, filter=Filter()
        )
        return page.cursor

    async def cursor_after_deletion() -> int:
        watched.hub.publish(Deleted(watched.task_id))
        readable.set()
        return await cursor()

    monkeypatch.setattr(watched.supervisor, "get_task_events", read)
    assert list(await asyncio.gather(cursor(), cursor_after_deletion())) == [1, 2]


async def test_who_stands_at_the_same_place(watched: Watched) -> None:
    """All who read on from the same event, with the same filter, are given the same frame, encoded once."""
    with _watching(watched, lambda: None):
        head = (await watched.hub.position(watched.task_id)).head
        await watched.fill(3)
        for size in (PIECE_BYTES, FRAME_BYTES):
            reads = (
                watched.hub.read_framed(watched.task_id, after=head, size=size, most=FRAME_BYTES, filter=Filter())
                for _ in range(1000)
            )
            frames = {id(frame) for page in await asyncio.gather(*reads) for frame in page.frames}
            assert len(frames) == 1


async def test_memory_of_a_watched_task(watched: Watched) -> None:
    """However long the log, a watched task holds its newest part only, and an unwatched one nothing."""
    tracemalloc.start()
    try:
        with _watching(watched, lambda: None):
            before = tracemalloc.get_traced_memory()[0]
            await watched.fill(200, size=100_000)
            held = tracemalloc.get_traced_memory()[0] - before
            assert RING_BYTES / 2 < held < RING_BYTES * 2
        assert tracemalloc.get_traced_memory()[0] - before < RING_BYTES / 2
    finally:
        tracemalloc.stop()


async def test_memory_of_small_pages(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that are kept for who lags take no more than their budget, however little is in each."""
    budget = 200_000
    monkeypatch.setattr("server.hub.PAGE_CACHE_BYTES", budget)
    await watched.fill(1000)
    with _watching(watched, lambda: None):
        tracemalloc.start()
        try:
            for after in range(900):
                await watched.hub.read_framed(watched.task_id, after=after, size=1, most=1, filter=Filter())
            assert tracemalloc.get_traced_memory()[0] < 1.5 * budget
        finally:
            tracemalloc.stop()


async def test_memory_of_many_watched_tasks(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """All watched tasks together hold no more than their budget: what was silent longest is read from the store."""
    monkeypatch.setattr("server.hub.RINGS_BYTES", 20_000)
    other = await watched.supervisor.create_task(NewTask(input_prompt="x"))
    silent = watched.hub.watch(other.id, lambda: None)
    await watched.supervisor.start_task(other.id)
    await until(lambda: silent.size)
    busy = watched.hub.watch(watched.task_id, lambda: None)
    for _ in range(15):
        await watched.fill(1, size=2000)
    assert silent.size == 0
    assert 0 < busy.size <= 20_000
    page = await watched.hub.read(other.id, after=0, limit=1, size=1000, filter=Filter())
    assert page.count == 1


async def test_the_doorbell(watched: Watched) -> None:
    """A doorbell rings after every commit as long as it is there, and not after."""
    rung: list[int] = []
    with _watching(watched, lambda: rung.append(1)):
        await watched.fill(1)
        assert rung
    count = len(rung)
    await watched.fill(3)
    assert len(rung) == count
