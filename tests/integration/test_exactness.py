"""What a client holds is the log: whatever is cut, switched, stalled, deleted or restarted, and whenever.

Real parts in one process: recorder, SQLite, hub, application and uvicorn, with a schedule that hypothesis makes. The
limits are made tiny, so that a few dozen events cross every seam: ring, frames, pages, steps of the pump, buffers.

EXACTNESS_EXAMPLES=1000 tries so many, and others each time.
"""

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec
import pytest
import uvloop
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from runner.base import Commit, Filter
from runner.events import EventType
from runner.states import Status
from runner.store import DIGEST_START, SqliteStore
from server.stream import StreamProtocol
from server.topic import Topic
from tests.logs import make_commit, make_task
from tests.support import DEADLINE
from tests.world import ROLES, SOCKET_BUFFER, TYPES, Log, World, running

EXAMPLES = int(os.environ.get("EXACTNESS_EXAMPLES", "0"))
exhaustively = settings(
    max_examples=EXAMPLES or 30,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate],  # what depends on threads does not shrink
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

WAIT = 0.2  # seconds of a long poll; a server that restarts waits for it


class Batch(msgspec.Struct, frozen=True):
    """Events that are written at once, and what happens then. size: characters of each event's message, about."""

    count: int
    size: int
    then: Literal["commit", "go on", "restart", "delete"]
    turns: int


class Leg(msgspec.Struct, frozen=True):
    """A stretch of a reader's way. It is cut after so many frames or pages, or so many turns of the loop."""

    transport: Literal["shared", "own", "poll", "page"]
    frames: int
    turns: int | None
    dawdle: int
    ending: Literal["abort", "close", "unsubscribe"]


class Plan(msgspec.Struct, frozen=True):
    filter: Filter
    legs: list[Leg]


batches = st.lists(
    st.builds(
        Batch,
        count=st.integers(1, 20),
        size=st.sampled_from([0, 0, 200, 3000]),
        then=st.sampled_from(["commit", "commit", "go on", "go on", "go on", "delete", "restart"]),
        turns=st.integers(0, 60) | st.integers(200, 400),
    ),
    min_size=1,
    max_size=10,
)
legs = st.builds(
    Leg,
    transport=st.sampled_from(["shared", "own", "poll", "page"]),
    frames=st.integers(0, 6),
    turns=st.none() | st.integers(0, 120),
    dawdle=st.integers(0, 10),
    ending=st.sampled_from(["abort", "close", "unsubscribe"]),
)
filters = st.just(Filter()) | st.builds(
    Filter, event_types=st.frozensets(st.sampled_from(TYPES)), agent_role=st.sampled_from(ROLES)
)
plans = st.lists(st.builds(Plan, filter=filters, legs=st.lists(legs, max_size=4)), min_size=1, max_size=5)


@pytest.mark.parametrize("protocol", [StreamProtocol, "websockets-sansio"], ids=["direct", "asgi"])
@exhaustively
@given(batches=batches, plans=plans)
def test_every_reader_holds_the_log(
    protocol: type[asyncio.Protocol] | str, batches: list[Batch], plans: list[Plan]
) -> None:
    """At every moment a reader holds the log up to its cursor, or what its filter lets pass; at the end, all."""
    with (
        tiny_limits(),
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(play(Path(folder), protocol, batches, plans))


async def play(data: Path, protocol: type[asyncio.Protocol] | str, batches: list[Batch], plans: list[Plan]) -> None:
    world = World(data, protocol)
    async with running(world):
        writing = asyncio.create_task(write(world, batches))
        try:
            async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as everyone:
                for plan in plans:
                    everyone.create_task(Reader(world, plan.filter).travel(plan.legs))
                await asyncio.shield(writing)
        finally:
            await asyncio.wait({writing})  # a restart is not left half done


async def write(world: World, batches: list[Batch]) -> None:
    """Write the batches and the end of the log."""
    for batch in batches:
        done = [world.append(log, batch.count, batch.size) for log in (world.log, world.other)]
        for _ in range(batch.turns):
            await asyncio.sleep(0)
        match batch.then:
            case "commit":
                await asyncio.gather(*done)
            case "delete":
                await asyncio.gather(*done)
                world.other.deleted = True
                answer = await world.http.delete(f"http://{world.address}/api/tasks/{world.other.task.id}")
                assert answer.status_code == 204
                world.other = await world.new_log()
            case "restart":
                await world.stop()
                await world.start()
                for log in (world.log, world.other):
                    assert await world.store.get_task(log.task.id) == log.task
    await world.append(world.log, 1, 0, status=Status.SUCCEEDED)


@contextlib.contextmanager
def tiny_limits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "server.topic.RING_BYTES": 4000,
            "server.topic.PUMP_STEP": 1,
            "server.topic.FRAME_EVENTS": 4,
            "server.topic.FRAME_BYTES": 1000,
            "server.hub.FRAME_EVENTS": 4,
            "server.hub.FRAME_BYTES": 1000,
            "server.hub.PAGE_CACHE_BYTES": 4000,
            "server.stream.WRITE_BUFFER": 1000,
            "runner.store.DIGEST_STEP": 7,
        }.items():
            patch.setattr(name, value)
        yield


class Frame(msgspec.Struct):
    """Any frame of the server. The events are kept as the bytes that came."""

    op: str
    task_id: str = ""
    epoch: str = ""
    event_id: int = 0
    head: int | None = None
    code: str = ""
    events: list[msgspec.Raw] = []


class Page(msgspec.Struct):
    events: list[msgspec.Raw]
    total: int
    head: int
    terminal: bool


class Known(msgspec.Struct):
    event_id: int
    task_id: str
    event_type: EventType
    agent_role: str | None
    payload: dict[str, str]


class Holding:
    """What a reader holds of a log. Whatever it takes must be what comes next."""

    def __init__(self, log: Log, filter: Filter) -> None:
        self.log = log
        self.filter = filter
        self.cursor = 0
        self.digest = DIGEST_START
        self.complete = False

    def take(self, events: list[msgspec.Raw]) -> None:
        expected = self.log.passing(self.filter, self.cursor)[: len(events)]
        known = [msgspec.json.decode(event, type=Known) for event in events]
        assert [event.event_id for event in known] == expected, f"{[k.event_id for k in known]} after {self.cursor}"
        for event, raw in zip(known, events, strict=True):
            assert event.task_id == self.log.task.id
            written = self.log.drafts[event.event_id - 1]
            assert (event.event_type, event.agent_role, event.payload["message"]) == written
            self.digest = sha256(self.digest + bytes(raw)).digest()
            self.cursor = event.event_id

    def stand_at(self, event_id: int) -> None:
        """The server says that there is nothing more up to this event."""
        assert not [number for number in self.log.passing(self.filter, self.cursor) if number <= event_id]
        self.cursor = max(self.cursor, event_id)

    def end(self) -> None:
        """The server says that the log has ended."""
        self.stand_at(len(self.log.drafts))
        assert self.log.task.status is Status.SUCCEEDED
        self.complete = True


class Reader:
    """A client that follows the world's log, over one transport after the other, from one cursor."""

    def __init__(self, world: World, filter: Filter) -> None:
        self._world = world
        self._mine = Holding(world.log, filter)
        self._query: dict[str, Any] = {}
        self._openings: list[asyncio.Future[ClientConnection]] = []
        if filter.event_types:
            self._query["types"] = sorted(filter.event_types)
        if filter.agent_role is not None:
            self._query["agent_role"] = filter.agent_role

    async def travel(self, legs: list[Leg]) -> None:
        """Go along all legs, then on to the end of the log."""
        for leg in legs:
            await self._go(leg)
            await self._prove()
        while not self._mine.complete:
            last = legs[-1] if legs else Leg("shared", 0, None, 0, "close")
            await self._go(msgspec.structs.replace(last, frames=1_000_000, turns=None, dawdle=0))
        await self._prove()

    async def _go(self, leg: Leg) -> None:
        await self._world.up.wait()
        ways: dict[str, Callable[[Leg], Awaitable[None]]] = {"shared": self._shared, "own": self._own}
        way = asyncio.ensure_future(ways.get(leg.transport, self._poll)(leg))
        try:
            if leg.turns is not None:
                for _ in range(leg.turns):
                    await asyncio.sleep(0)
                way.cancel()
            await asyncio.wait({way})
        finally:
            way.cancel()
            await self._leave_none_open()
        # The server may go away at any time; then the leg is at its end.
        if not way.cancelled() and not isinstance(way.exception(), httpx.TransportError | WebSocketException | OSError):
            way.result()

    async def _prove(self) -> None:
        """Compare the running hash with the server's."""
        if self._mine.filter != Filter():
            return
        with contextlib.suppress(httpx.TransportError):
            await self._world.up.wait()
            answer = await self._world.http.get(
                f"http://{self._world.address}{self._path('digest')}", params={"through": self._mine.cursor}
            )
            assert answer.json() == {
                "task_id": self._world.log.task.id,
                "count": self._mine.cursor,
                "sha256": self._mine.digest.hex(),
            }

    async def _poll(self, leg: Leg) -> None:
        for _ in range(leg.frames):
            wait = WAIT if leg.transport == "poll" else 0
            query = self._query | {"since_event_id": self._mine.cursor, "limit": 5, "wait": wait}
            answer = await self._world.http.get(
                f"http://{self._world.address}{self._path('events')}",
                params=query | {"types": ",".join(self._query.get("types", []))},
            )
            if answer.status_code == 503:  # the server is about to end
                return
            assert answer.status_code == 200, answer.text
            page = msgspec.json.decode(answer.content, type=Page)
            assert page.total == len(page.events) <= 5
            self._mine.take(page.events)
            if page.terminal:
                self._mine.end()
                return
            await self._dawdle(leg)

    async def _own(self, leg: Leg) -> None:
        query = self._query | {"types": ",".join(self._query.get("types", []))}
        path = f"{self._path('events')}?{httpx.QueryParams(query | {'since_event_id': self._mine.cursor})}"
        async with self._connected(path, leg) as connection:
            hello = await _receive(connection)
            assert (hello.op, hello.epoch) == ("hello", self._world.epoch)
            assert hello.head is not None
            await self._follow(connection, leg, None)

    async def _shared(self, leg: Leg) -> None:
        async with self._connected("/ws", leg) as connection:
            hello = await _receive(connection)
            assert (hello.op, hello.epoch) == ("hello", self._world.epoch)
            other = Holding(self._world.other, Filter())
            await _send(connection, op="subscribe", task_id=other.log.task.id)
            await self._subscribe(connection)
            await self._follow(connection, leg, other)
            if leg.ending == "unsubscribe":
                await _send(connection, op="unsubscribe", task_id=self._mine.log.task.id)
                await _send(connection, op="ping")  # nothing of before comes after its pong
                await self._follow(connection, msgspec.structs.replace(leg, frames=1_000_000), other)
                await self._subscribe(connection)
                await self._follow(connection, leg, other)

    async def _subscribe(self, connection: ClientConnection) -> None:
        cursor = self._mine.cursor
        await _send(connection, op="subscribe", task_id=self._mine.log.task.id, since_event_id=cursor, **self._query)

    async def _follow(self, connection: ClientConnection, leg: Leg, other: Holding | None) -> None:
        """Read so many frames, or up to a pong or the end."""
        for _ in range(leg.frames):
            frame = await _receive(connection)
            if frame.op == "pong" or self._take(frame, other):
                return
            await self._dawdle(leg)

    def _take(self, frame: Frame, other: Holding | None) -> bool:
        """Whether this was the end."""
        about = other if other is not None and frame.task_id == other.log.task.id else self._mine
        assert frame.task_id == about.log.task.id
        match frame.op:
            case "events":
                assert frame.events
                about.take(frame.events)
                assert frame.head is not None
                assert about.cursor <= frame.head <= len(about.log.drafts)
            case "caught_up":
                about.stand_at(frame.event_id)
            case "end":
                about.end()
                return True
            case _:
                assert (frame.op, frame.code, about.log.deleted) == ("error", "task_not_found", True), frame
        return False

    @contextlib.asynccontextmanager
    async def _connected(self, path: str, leg: Leg) -> AsyncIterator[ClientConnection]:
        opening = asyncio.ensure_future(_open(f"ws://{self._world.address}{path}", self._world.port))
        self._openings.append(opening)
        connection = await asyncio.shield(opening)
        async with connection:
            try:
                yield connection
            finally:
                if leg.ending == "abort":
                    connection.transport.abort()

    async def _leave_none_open(self) -> None:
        """Cut the connections that were only just being made."""
        for opened in await asyncio.gather(*self._openings, return_exceptions=True):
            if not isinstance(opened, BaseException):
                opened.transport.abort()
                await opened.wait_closed()
        self._openings.clear()

    async def _dawdle(self, leg: Leg) -> None:
        for _ in range(leg.dawdle):
            await asyncio.sleep(0)

    def _path(self, what: str) -> str:
        return f"/api/tasks/{self._mine.log.task.id}/{what}"


async def _open(url: str, port: int) -> ClientConnection:
    plug = socket.socket()
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
    plug.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(plug, ("127.0.0.1", port))
        # It does not read on while it closes; what it leaves unread would make it wait for the server's answer.
        options: dict[str, Any] = {"max_queue": 1, "close_timeout": 0.1, "compression": None, "ping_interval": None}
        return await connect(url, sock=plug, **options)
    except BaseException:
        plug.close()
        raise


async def _send(connection: ClientConnection, **frame: Any) -> None:
    await connection.send(msgspec.json.encode(frame).decode())


async def _receive(connection: ClientConnection) -> Frame:
    return msgspec.json.decode(await connection.recv(), type=Frame)


class Follower:
    """A subscription of a topic, as a session has it, but one that reads when it is told to."""

    def __init__(self, topic: Topic, filter: Filter) -> None:
        self.live = False
        self.cursor = 0
        self.held: list[int] = []
        self.rung = True
        self.filter = filter
        self.write: Callable[[bytes], None] = self._hold
        self._topic = topic
        topic.watch(self.retire)

    def retire(self) -> None:
        self.rung = True

    def _hold(self, wire: bytes) -> None:
        frame = msgspec.json.decode(wire[wire.index(b"{") :], type=Frame)
        self.held += [msgspec.json.decode(event, type=Numbered).event_id for event in frame.events]

    def read(self) -> None:
        """Read what there is to be read; be live then."""
        while self.rung and not self.live:
            page = self._topic.page(after=self.cursor, limit=3, size=1000, filter=self.filter)
            assert page is not None
            self.held += [msgspec.json.decode(event, type=Numbered).event_id for event in page.events]
            self.rung = self.cursor < page.cursor
            self.cursor = page.cursor
            if not self.rung and not self._topic.join(self, self.filter):
                self.rung = True

    def pause(self) -> None:
        """Its connection is slow."""
        if self.live:
            self._topic.leave(self, self.filter)
            self.retire()


class Numbered(msgspec.Struct):
    event_id: int


steps = st.lists(
    st.tuples(st.just("commit"), st.integers(1, 9))
    | st.tuples(st.just("turn"), st.just(0))
    | st.tuples(st.sampled_from(["read", "pause"]), st.integers(0, 3)),
    max_size=100,
)


@settings(exhaustively, max_examples=EXAMPLES or 300)
@given(steps=steps)
def test_whoever_joins_at_any_turn_gets_what_comes(steps: list[tuple[str, int]]) -> None:
    """Subscriptions that become live, or slow, between any two writes of the pump get everything, and once."""
    with tiny_limits(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.topic.RING_BYTES", 10**6)  # there is no store here
        asyncio.run(_follow_steps(steps))


async def _follow_steps(steps: list[tuple[str, int]]) -> None:
    topic = Topic("task")
    tokens = Filter(event_types=frozenset({EventType.TOKEN}))
    followers = [Follower(topic, filter) for filter in (Filter(), Filter(), Filter(), tokens)]
    task = make_task()
    kinds: list[EventType] = []
    begin = [("commit", 1), *(("read", number) for number in range(len(followers)))]
    for step, number in [*begin, *steps]:
        match step:
            case "commit":
                kind = TYPES[number % 2]
                commit = make_commit(task, ["x"] * number, event_type=kind)
                task = commit.task
                kinds += [kind] * number
                topic.take(commit)
            case "turn":
                await asyncio.sleep(0)
            case "read":
                followers[number].read()
            case "pause":
                followers[number].pause()
    for _ in range(10 * len(kinds) + 10):  # more turns than the pump, and reads than the followers, can need
        await asyncio.sleep(0)
        for follower in followers:
            follower.read()
    for follower in followers:
        passing = [n for n, kind in enumerate(kinds, 1) if follower.filter.passes(kind, None)]
        assert follower.held == passing


class GatedStore(SqliteStore):
    """A store whose commits wait for a gate."""

    gate: asyncio.Event

    async def append(self, commits: Sequence[Commit]) -> list[bool]:
        await self.gate.wait()
        return await super().append(commits)


@pytest.mark.parametrize("protocol", [StreamProtocol, "websockets-sansio"], ids=["direct", "asgi"])
async def test_nothing_is_shown_before_its_commit(tmp_path: Path, protocol: type[asyncio.Protocol] | str) -> None:
    """While a commit is under way nobody is shown its events, on any transport; after it everybody is."""
    GatedStore.gate = asyncio.Event()
    world = World(tmp_path, protocol, GatedStore)
    async with running(world), contextlib.AsyncExitStack() as stack:
        stack.callback(GatedStore.gate.set)
        url = f"{world.address}/api/tasks/{world.log.task.id}/events"
        shared = await stack.enter_async_context(connect(f"ws://{world.address}/ws"))
        own = await stack.enter_async_context(connect(f"ws://{url}"))
        await _send(shared, op="subscribe", task_id=world.log.task.id)
        frames = [await _receive(client) for client in (shared, own) for _ in range(2)]
        assert [frame.op for frame in frames] == ["hello", "caught_up"] * 2
        done = world.append(world.log, 3, 10)
        # What is sent comes in order: a pong that comes first says that no event was sent before.
        for client in (shared, own):
            await _send(client, op="ping")
            assert (await _receive(client)).op == "pong"
        page = (await world.http.get(f"http://{url}")).json()
        assert (page["events"], page["head"]) == ([], 0)
        assert not done.done()
        GatedStore.gate.set()
        for client in (shared, own):
            assert len((await _receive(client)).events) == 3
        assert (await world.http.get(f"http://{url}")).json()["head"] == 3


async def test_a_deleted_log_is_shown_to_nobody(tmp_path: Path) -> None:
    """Of a task that was deleted while others read it, no page is kept for who comes later."""
    with tiny_limits():
        world = World(tmp_path, StreamProtocol)
        async with running(world):
            task_id = world.log.task.id
            await world.append(world.log, 20, 10)
            async with connect(f"ws://{world.address}/ws") as reader, connect(f"ws://{world.address}/ws") as late:
                await _send(reader, op="subscribe", task_id=task_id)
                while (await _receive(reader)).op != "caught_up":
                    pass
                assert (await world.http.delete(f"http://{world.address}/api/tasks/{task_id}")).status_code == 204
                await _send(late, op="subscribe", task_id=task_id)
                assert [(await _receive(late)).op for _ in range(2)] == ["hello", "error"]


@pytest.mark.parametrize("protocol", [StreamProtocol, "websockets-sansio"], ids=["direct", "asgi"])
async def test_an_unsubscribed_task_is_silent(tmp_path: Path, protocol: type[asyncio.Protocol] | str) -> None:
    """After unsubscribing nothing of the task comes; after subscribing again, each event comes once."""
    async with running(World(tmp_path, protocol)) as world, connect(f"ws://{world.address}/ws") as client:
        task_id = world.log.task.id
        await _send(client, op="subscribe", task_id=task_id)
        await _send(client, op="unsubscribe", task_id=task_id)
        await _send(client, op="subscribe", task_id=task_id)
        while (await _receive(client)).op != "caught_up":
            pass
        await world.append(world.log, 1, 10)
        assert (await _receive(client)).op == "events"
        await _send(client, op="unsubscribe", task_id=task_id)
        await _send(client, op="ping")
        assert (await _receive(client)).op == "pong"
        await world.append(world.log, 1, 10)
        await _send(client, op="ping")
        assert (await _receive(client)).op == "pong"
        await _send(client, op="subscribe", task_id=task_id, since_event_id=1)
        assert [(await _receive(client)).op for _ in range(2)] == ["events", "caught_up"]
        await world.append(world.log, 1, 10)
        assert (await _receive(client)).op == "events"
        await _send(client, op="ping")
        assert (await _receive(client)).op == "pong"
