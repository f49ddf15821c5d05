"""What a subscription is sent, and what not, at moments that a test holds open."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from runner.base import Commit, Filter, Page
from runner.states import Status
from runner.store import SqliteStore
from server.stream import StreamProtocol
from tests.frames import receive, receive_until, send
from tests.limits import tiny_limits
from tests.support import until
from tests.world import World, running

JSONL = {"Content-Type": "application/jsonl"}
protocols = pytest.mark.parametrize("protocol", [StreamProtocol, "websockets-sansio"], ids=["direct", "asgi"])


class GatedStore(SqliteStore):
    """A store whose commits wait for a gate."""

    gate: asyncio.Event

    async def append(self, commits: Sequence[Commit]) -> list[bool]:
        await self.gate.wait()
        return await super().append(commits)


@protocols
async def test_nothing_is_shown_before_its_commit(tmp_path: Path, protocol: type[asyncio.Protocol] | str) -> None:
    """While a commit is under way nobody is shown its events, on any transport; after it everybody is."""
    GatedStore.gate = asyncio.Event()
    world = World(tmp_path, protocol, GatedStore)
    async with running(world), contextlib.AsyncExitStack() as stack:
        stack.callback(GatedStore.gate.set)
        url = f"{world.address}/api/tasks/{world.log.task.id}/events"
        shared = await stack.enter_async_context(connect(f"ws://{world.address}/ws"))
        own = await stack.enter_async_context(connect(f"ws://{url}"))
        await send(shared, op="subscribe", task_id=world.log.task.id)
        frames = [await receive(client) for client in (shared, own) for _ in range(2)]
        assert [frame.op for frame in frames] == ["hello", "caught_up"] * 2
        done = world.append(world.log, 3, 10)
        # What is sent comes in order: a pong that comes first says that no event was sent before.
        for client in (shared, own):
            await send(client, op="ping")
            assert (await receive(client)).op == "pong"
        page = (await world.http.get(f"http://{url}")).json()
        assert (page["events"], page["head"]) == ([], 0)
        assert not done.done()
        GatedStore.gate.set()
        for client in (shared, own):
            assert len((await receive(client)).events) == 3
        assert (await world.http.get(f"http://{url}")).json()["head"] == 3


async def test_a_deleted_log_is_shown_to_nobody(tmp_path: Path) -> None:
    """Of a task that was deleted while others read it, no page is kept for who comes later."""
    with tiny_limits():
        world = World(tmp_path, StreamProtocol)
        async with running(world):
            task_id = world.log.task.id
            await world.append(world.log, 20, 10)
            async with connect(f"ws://{world.address}/ws") as reader, connect(f"ws://{world.address}/ws") as late:
                await send(reader, op="subscribe", task_id=task_id)
                await receive_until(reader, "caught_up")
                assert (await world.http.delete(f"http://{world.address}/api/tasks/{task_id}")).status_code == 204
                await send(late, op="subscribe", task_id=task_id)
                assert [(await receive(late)).op for _ in range(2)] == ["hello", "error"]


@protocols
async def test_an_unsubscribed_task_is_silent(tmp_path: Path, protocol: type[asyncio.Protocol] | str) -> None:
    """After unsubscribing nothing of the task comes; after subscribing again, each event comes once."""
    async with running(World(tmp_path, protocol)) as world, connect(f"ws://{world.address}/ws") as client:
        task_id = world.log.task.id
        await send(client, op="subscribe", task_id=task_id)
        await send(client, op="unsubscribe", task_id=task_id)
        await send(client, op="subscribe", task_id=task_id)
        await receive_until(client, "caught_up")
        await world.append(world.log, 1, 10)
        assert (await receive(client)).op == "events"
        await send(client, op="unsubscribe", task_id=task_id)
        await send(client, op="ping")
        assert (await receive(client)).op == "pong"
        await world.append(world.log, 1, 10)
        await send(client, op="ping")
        assert (await receive(client)).op == "pong"
        await send(client, op="subscribe", task_id=task_id, since_event_id=1)
        assert [(await receive(client)).op for _ in range(2)] == ["events", "caught_up"]
        await world.append(world.log, 1, 10)
        assert (await receive(client)).op == "events"
        await send(client, op="ping")
        assert (await receive(client)).op == "pong"


@protocols
async def test_a_filter_that_holds_much_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: type[asyncio.Protocol] | str
) -> None:
    """A reader to whom a filter passes nothing is told now and then how far it has come, and not at every event."""
    for module in ("topic", "subscription"):
        monkeypatch.setattr(f"server.{module}.QUIET_EVENTS", 5)
    async with running(World(tmp_path, protocol)) as world, connect(f"ws://{world.address}/ws") as client:
        await send(client, op="subscribe", task_id=world.log.task.id, agent_role="Nobody")
        assert [(await receive(client)).op for _ in range(2)] == ["hello", "caught_up"]
        for count, head in ((5, 5), (4, None), (1, 10)):
            await world.append(world.log, count, 10)
            if head is None:
                await send(client, op="ping")
                assert (await receive(client)).op == "pong"
            else:
                frame = await receive(client)
                assert (frame.op, frame.event_id) == ("caught_up", head)


class RationedStore(SqliteStore):
    """A store that reads a page only when it has a permit for it."""

    permits: asyncio.Semaphore
    asked: asyncio.Event

    async def read_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
        self.asked.set()
        await self.permits.acquire()
        return await super().read_events(task_id, after=after, limit=limit, size=size, filter=filter)


async def test_what_comes_during_the_last_read_is_sent_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A doorbell that rings while a subscription reads up to the head has been answered once it is live."""
    monkeypatch.setattr("server.topic.RING_BYTES", 500)
    RationedStore.permits, RationedStore.asked = asyncio.Semaphore(1), asyncio.Event()
    world = World(tmp_path, store=RationedStore)
    async with running(world), connect(f"ws://{world.address}/ws") as client:
        await send(client, op="subscribe", task_id=world.log.task.id, types=["MESSAGE"])
        assert [(await receive(client)).op for _ in range(2)] == ["hello", "caught_up"]
        await world.append(world.log, 1, 0, padding=1000)  # does not pass the filter, and is too large for the ring
        RationedStore.permits.release()
        await send(client, op="ping")
        assert (await receive(client)).op == "pong"
        await world.append(world.log, 1, 0)
        assert (await receive(client)).op == "events"
        RationedStore.permits.release()
        await send(client, op="ping")
        assert (await receive(client)).op == "pong"


async def test_a_filter_that_nothing_passes(tmp_path: Path) -> None:
    """While a log is read through for what passes a filter, the connection is answered between any two pages."""
    RationedStore.permits, RationedStore.asked = asyncio.Semaphore(0), asyncio.Event()
    with tiny_limits():
        async with (
            running(World(tmp_path, store=RationedStore)) as world,
            connect(f"ws://{world.address}/ws") as client,
        ):
            await world.append(world.log, 20, 10)
            await send(client, op="subscribe", task_id=world.log.task.id, agent_role="Nobody")
            assert (await receive(client)).op == "hello"
            await RationedStore.asked.wait()
            await send(client, op="ping")
            await send(client, op="subscribe", task_id=world.other.task.id)
            await until(lambda: _lagging(world), lambda count: count == 2)
            RationedStore.permits.release()
            assert (await receive(client)).op == "pong"
            for _ in range(20):
                RationedStore.permits.release()
            assert [(await receive(client)).op for _ in range(2)] == ["caught_up"] * 2


@protocols
@pytest.mark.parametrize("first", [{"since_event_id": 0}, {"since_event_id": 99}], ids=["a page", "an error"])
async def test_what_was_read_for_a_subscription_before(
    tmp_path: Path, protocol: type[asyncio.Protocol] | str, first: dict[str, int]
) -> None:
    """Who subscribes anew while a page is read is sent nothing of what was asked for before."""
    RationedStore.permits, RationedStore.asked = asyncio.Semaphore(0), asyncio.Event()
    world = World(tmp_path, protocol, RationedStore)
    async with running(world), connect(f"ws://{world.address}/ws") as client:
        await world.append(world.log, 20, 10)
        await send(client, op="subscribe", task_id=world.log.task.id, **first)
        await RationedStore.asked.wait()
        await send(client, op="subscribe", task_id=world.log.task.id, since_event_id=15)
        await send(client, op="subscribe", task_id=world.other.task.id)
        await until(lambda: _lagging(world), lambda count: count == 2)
        for _ in range(9):
            RationedStore.permits.release()
        frames = [await receive(client) for _ in range(4)]
        told = [(frame.op, len(frame.events)) for frame in frames if frame.task_id == world.log.task.id]
        assert told == [("events", 5), ("caught_up", 0)]


async def _lagging(world: World) -> int:
    metrics = (await world.http.get(f"http://{world.address}/metrics")).text
    (line,) = [line for line in metrics.splitlines() if line.startswith('metagpt_live_subscriptions{state="lagging"}')]
    return int(float(line.rpartition(" ")[2]))


@protocols
async def test_a_log_that_was_deleted_and_taken_in_again(
    tmp_path: Path, protocol: type[asyncio.Protocol] | str
) -> None:
    """Who followed a task that was deleted is told so once, though a task with its id has been taken in meanwhile."""
    RationedStore.permits, RationedStore.asked = asyncio.Semaphore(9), asyncio.Event()
    world = World(tmp_path, protocol, RationedStore)
    async with running(world), connect(f"ws://{world.address}/ws") as client:
        task_id, url = world.log.task.id, f"http://{world.address}/api/tasks"
        await world.http.post(f"{url}/{task_id}/run")
        await world.http.post(f"{url}/{task_id}/stop")
        exported = (await world.http.get(f"{url}/{task_id}/export.jsonl")).content
        RationedStore.permits = asyncio.Semaphore(0)
        RationedStore.asked.clear()
        await send(client, op="subscribe", task_id=task_id)
        await RationedStore.asked.wait()
        assert (await world.http.delete(f"{url}/{task_id}")).status_code == 204
        taken_in = await world.http.post(f"{url}/import", content=exported, headers=JSONL)
        assert taken_in.status_code == 201, taken_in.text
        for _ in range(9):
            RationedStore.permits.release()
        await send(client, op="ping")
        frames = [await receive(client) for _ in range(3)]
        assert [frame.code for frame in frames if frame.op == "error"] == ["task_not_found"]
        assert {frame.op for frame in frames} == {"hello", "pong", "error"}
        assert not RationedStore.permits.locked()


async def test_a_poll_of_a_log_that_was_deleted_and_taken_in_again(tmp_path: Path) -> None:
    """A poll of a task that is deleted is told so, though a task with its id has been taken in meanwhile."""
    RationedStore.permits, RationedStore.asked = asyncio.Semaphore(9), asyncio.Event()
    async with running(World(tmp_path, store=RationedStore)) as world:
        task_id, url = world.log.task.id, f"http://{world.address}/api/tasks"
        await world.http.post(f"{url}/{task_id}/run")
        await world.http.post(f"{url}/{task_id}/stop")
        exported = (await world.http.get(f"{url}/{task_id}/export.jsonl")).content
        RationedStore.permits = asyncio.Semaphore(0)
        RationedStore.asked.clear()
        polling = asyncio.create_task(world.http.get(f"{url}/{task_id}/events?wait=30"))
        await RationedStore.asked.wait()
        assert (await world.http.delete(f"{url}/{task_id}")).status_code == 204
        taken_in = await world.http.post(f"{url}/import", content=exported, headers=JSONL)
        assert taken_in.status_code == 201, taken_in.text
        RationedStore.permits.release()
        assert (await polling).json()["code"] == "task_not_found"


async def test_events_that_retention_deletes_while_others_follow(tmp_path: Path) -> None:
    """Once retention has deleted events, nobody is shown them, and who asks for them is told of the gap."""
    with tiny_limits():
        async with running(World(tmp_path)) as world, connect(f"ws://{world.address}/ws") as follower:
            task_id = world.log.task.id
            await send(follower, op="subscribe", task_id=task_id)
            await receive_until(follower, "caught_up")
            await world.append(world.log, 5, 10)
            await world.append(world.log, 1, 10, status=Status.FAILED)
            await receive_until(follower, "end")
            await send(follower, op="subscribe", task_id=task_id)
            await receive_until(follower, "end")
            await world.expire(world.log)
            await world.append(world.log, 1, 10)
            async with connect(f"ws://{world.address}/ws") as late:
                await send(late, op="subscribe", task_id=task_id)
                frames = [await receive(late) for _ in range(3)]
            assert [frame.op for frame in frames] == ["hello", "gap", "events"]
            assert (frames[1].first, frames[1].last, len(frames[2].events)) == (1, 6, 1)
