"""What a client holds is the log: whatever is cut, switched, stalled, deleted, run again or restarted, and whenever.

Real parts in one process: recorder, SQLite, hub, application and uvicorn, with a schedule that hypothesis makes. The
limits are made tiny, so that a few dozen events cross every seam: ring, frames, pages, steps of the pump, buffers.
"""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from runner.base import Filter
from runner.events import EventType
from runner.log import DIGEST_START
from runner.states import Status
from server.stream import StreamProtocol
from tests.frames import Frame, receive, send
from tests.limits import exhaustively, tiny_limits
from tests.support import DEADLINE
from tests.world import ROLES, SOCKET_BUFFER, TYPES, Log, World, running

WAIT = 0.2  # seconds of a long poll; a server that restarts waits for it


class Batch(msgspec.Struct, frozen=True):
    """Events that are written at once, and what happens then. size: characters of each event's message, about."""

    count: int
    size: int
    then: Literal["commit", "go on", "restart", "delete", "end", "expire"]
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
        then=st.sampled_from(["commit", "commit", "go on", "go on", "go on", "delete", "restart", "end", "expire"]),
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
            case "end":
                await world.append(world.log, 1, 0, status=Status.FAILED)
            case "expire":
                await world.append(world.log, 1, 0, status=Status.FAILED)
                await world.expire(world.log)
            case "restart":
                await world.stop()
                await world.start()
                for log in (world.log, world.other):
                    assert await world.store.get_task(log.task.id) == log.task
    await world.append(world.log, 1, 0, status=Status.SUCCEEDED)


class Gap(msgspec.Struct):
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")


class Page(msgspec.Struct):
    events: list[msgspec.Raw]
    total: int
    cursor: int
    head: int
    terminal: bool
    gap: Gap | None
    epoch: str


class Known(msgspec.Struct):
    event_id: int
    task_id: str
    event_type: EventType
    agent_role: str | None
    payload: dict[str, str]


class Holding:
    """What a reader holds of a log. Whatever it takes must be what comes next.

    digest: the running hash through its cursor; None if what would have to be hashed was deleted.
    """

    def __init__(self, log: Log, filter: Filter) -> None:
        self.log = log
        self.filter = filter
        self.cursor = 0
        self.digest: bytes | None = DIGEST_START
        self.complete = False

    def take(self, events: list[msgspec.Raw]) -> None:
        expected = self.log.passing(self.filter, self.cursor)[: len(events)]
        known = [msgspec.json.decode(event, type=Known) for event in events]
        assert [event.event_id for event in known] == expected, f"{[k.event_id for k in known]} after {self.cursor}"
        for event, raw in zip(known, events, strict=True):
            assert event.task_id == self.log.task.id
            written = self.log.drafts[event.event_id - 1]
            assert (event.event_type, event.agent_role, event.payload["message"]) == written
            self.digest = self.digest and sha256(self.digest + bytes(raw)).digest()
            self.cursor = event.event_id

    def skip(self, first: int, last: int) -> None:
        """The server says that these events were deleted."""
        self.stand_at(first - 1)
        assert first <= last <= self.log.expired
        self.cursor = last
        self.digest = None

    def stand_at(self, event_id: int) -> None:
        """The server says that there is nothing more up to this event."""
        assert not [number for number in self.log.passing(self.filter, self.cursor) if number <= event_id]
        self.cursor = max(self.cursor, event_id)

    def end(self, event_id: int) -> None:
        """The server says that an attempt has ended with this event, and that there is nothing more up to it."""
        assert event_id in self.log.ends
        self.stand_at(event_id)
        self.complete = self.log.task.status is Status.SUCCEEDED and event_id == len(self.log.drafts)


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
            if answer.status_code == 410:
                assert self._mine.cursor < self._world.log.expired
                return
            digest = answer.json()["sha256"]
            if self._mine.digest is None:
                self._mine.digest = bytes.fromhex(digest)
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
            assert page.epoch == self._world.epoch
            if page.gap is not None:
                self._mine.skip(page.gap.first, page.gap.last)
            self._mine.take(page.events)
            self._mine.stand_at(page.cursor)
            assert self._mine.cursor == page.cursor
            if page.terminal:
                self._mine.end(page.head)
                if self._mine.complete:
                    return
            await self._dawdle(leg)

    async def _own(self, leg: Leg) -> None:
        query = self._query | {"types": ",".join(self._query.get("types", []))}
        path = f"{self._path('events')}?{httpx.QueryParams(query | {'since_event_id': self._mine.cursor})}"
        async with self._connected(path, leg) as connection:
            hello = await receive(connection)
            assert (hello.op, hello.epoch) == ("hello", self._world.epoch)
            assert hello.head is not None
            await self._follow(connection, leg, None)

    async def _shared(self, leg: Leg) -> None:
        async with self._connected("/ws", leg) as connection:
            hello = await receive(connection)
            assert (hello.op, hello.epoch) == ("hello", self._world.epoch)
            other = Holding(self._world.other, Filter())
            await send(connection, op="subscribe", task_id=other.log.task.id)
            await self._subscribe(connection)
            await self._follow(connection, leg, other)
            if leg.ending == "unsubscribe":
                await send(connection, op="unsubscribe", task_id=self._mine.log.task.id)
                await send(connection, op="ping")  # nothing of before comes after its pong
                await self._follow(connection, msgspec.structs.replace(leg, frames=1_000_000), other)
                await self._subscribe(connection)
                await self._follow(connection, leg, other)

    async def _subscribe(self, connection: ClientConnection) -> None:
        cursor = self._mine.cursor
        await send(connection, op="subscribe", task_id=self._mine.log.task.id, since_event_id=cursor, **self._query)

    async def _follow(self, connection: ClientConnection, leg: Leg, other: Holding | None) -> None:
        """Read so many frames, or up to a pong or the end."""
        for _ in range(leg.frames):
            frame = await receive(connection)
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
            case "gap":
                about.skip(frame.first, frame.last)
            case "end":
                # The one attempt that succeeds is the last; which of those before this was, does not matter.
                last = frame.status == Status.SUCCEEDED
                about.end(about.log.ends[-1] if last else next(end for end in about.log.ends if end >= about.cursor))
                return about.complete
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
