"""Connections whose events cannot be read, and peers that have stopped reading at the wrong moment."""

import asyncio
import base64
import contextlib
import json
import os
import re
import socket
import sqlite3
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from types import MethodType
from typing import Any, cast

import msgspec
import pytest
from starlette.types import Message
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from runner.attempt import Llm
from runner.base import Filter, Page
from runner.states import Status
from runner.store import SqliteStore
from runner.task import NewTask
from server.app import create_app
from server.bounds import PIECE_BYTES, WRITE_BUFFER
from server.entry import open_gate
from server.hub import Hub
from server.sockets import Session
from server.stream import DirectStream, StreamProtocol
from server.tokens import AccessRole, TokenFile
from tests.children import told_supervisor
from tests.loopback import LIMITS, LOOPBACK, loopback_gate
from tests.scrapes import scrape
from tests.support import DEADLINE, until
from tests.world import SOCKET_BUFFER, World, running

CERTIFICATE = Path(__file__).parents[1] / "tls" / "cert.pem"

PINGS = 150  # more than a session keeps replies for

# Frames of a client, masked with zeros.
CLOSE = b"\x88\x80" + bytes(4)  # without a code
PING = b"\x89\xfd" + bytes(4) + bytes(125)
UNKNOWN = b"\x83\x80" + bytes(4)  # of an opcode that does not exist


class UnreadableStore(SqliteStore):
    async def read_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
        raise sqlite3.OperationalError("disk I/O error")


async def _close_code(connection: ClientConnection) -> int | None:
    """The code that the server closes with."""
    async with asyncio.timeout(DEADLINE):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.recv()
    return connection.close_code


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("protocol", [StreamProtocol, "websockets-sansio"], ids=["direct", "asgi"])
async def test_events_that_cannot_be_read(tmp_path: Path, shared: bool, protocol: Any) -> None:
    """A subscriber whose events the database does not give is closed with 1013, at either entrance."""
    async with running(World(tmp_path, protocol, UnreadableStore)) as world:
        await world.append(world.log, 3, 10)
        path = "/ws" if shared else f"/api/tasks/{world.log.task.id}/events"
        async with connect(f"ws://{world.address}{path}") as connection:
            if shared:
                await connection.send(json.dumps({"op": "subscribe", "task_id": world.log.task.id}))
            assert await _close_code(connection) == 1013


class StalledPeer:
    """The server's side of a connection whose client sends pings, reads nothing, and is cut off when told."""

    def __init__(self, task_id: str) -> None:
        self.asked = 0  # frames that were received from it
        self._task_id = task_id
        self._cut = asyncio.Event()

    def cut(self) -> None:
        self._cut.set()

    async def receive(self) -> Message:
        self.asked += 1
        match self.asked:
            case 1:
                return {"type": "websocket.connect"}
            case 2:
                return {"type": "websocket.receive", "text": json.dumps({"op": "subscribe", "task_id": self._task_id})}
            case number if number <= PINGS:
                return {"type": "websocket.receive", "text": '{"op":"ping"}'}
        await self._cut.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(self, message: Message) -> None:
        if message["type"] != "websocket.accept":
            await self._cut.wait()
            raise OSError("the peer is gone")


@pytest.mark.parametrize("query", [b"", b"since_event_id=7"])
async def test_a_peer_that_has_left_before_it_is_refused(tmp_path: Path, query: bytes) -> None:
    """Who has asked for what there is not, and has left before the answer, is no error of ours."""
    async with told_supervisor(tmp_path) as (supervisor, _):
        task = await supervisor.create_task(NewTask(input_prompt="x"))
        told: list[str] = []

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            told.append(message["type"])
            if message["type"] != "websocket.accept":
                raise OSError("the peer is gone")

        path = f"/api/tasks/{task.id if query else 'unknown'}/events"
        scope = {"type": "websocket", "scheme": "ws", "path": path, "query_string": query}
        scope |= {"headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1)}
        await create_app(supervisor, llm=Llm(), gate=loopback_gate())(scope, receive, send)
        assert told == ["websocket.accept", "websocket.send"]


async def test_a_stalled_peer_that_is_cut_off(tmp_path: Path) -> None:
    """A client that has stalled with more pings than are answered ahead leaves, when it is gone, nothing in the hub."""
    async with told_supervisor(tmp_path) as (supervisor, _):
        hub = Hub(supervisor)
        task = await supervisor.create_task(NewTask(input_prompt="x"))
        topic = hub.watch(task.id, _ignore)
        peer = StalledPeer(task.id)
        websocket = WebSocket({"type": "websocket", "path": "/ws", "headers": []}, peer.receive, peer.send)
        gate = loopback_gate()
        serving = asyncio.create_task(Session(websocket, gate, gate.auth.admit(""), hub, supervisor).serve())
        await until(lambda: peer.asked, lambda asked: asked > 100)
        peer.cut()
        async with asyncio.timeout(DEADLINE / 2):
            await serving
        hub.unwatch(topic, _ignore)
        assert topic.idle


@pytest.mark.parametrize("path", ["/ws", "/api/tasks/x/events"])
async def test_a_peer_that_does_not_say_who_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Where tokens are needed, a connection over which none comes is closed after a while, and told nothing."""
    monkeypatch.setattr("server.sockets.AUTH_TIMEOUT", 0.01)
    file = TokenFile(tmp_path / "tokens.json")
    file.create(AccessRole.VIEWER, None)
    gate = open_gate(msgspec.structs.replace(LOOPBACK, token_file=file.path), LIMITS, is_loopback=True)
    coming: list[Message] = [{"type": "websocket.connect"}]
    told: list[tuple[str, int | None]] = []

    async def receive() -> Message:
        return coming.pop() if coming else await asyncio.Future()

    async def send(message: Message) -> None:
        told.append((message["type"], message.get("code")))

    scope = {"type": "websocket", "scheme": "ws", "path": path, "query_string": b"", "client": ("127.0.0.1", 1)}
    scope |= {"headers": [(b"host", b"localhost")]}
    async with told_supervisor(tmp_path) as (supervisor, _):
        await asyncio.wait_for(create_app(supervisor, llm=Llm(), gate=gate)(scope, receive, send), DEADLINE)
    assert told == [("websocket.accept", None), ("websocket.close", 4401)]


def _ignore() -> None:
    pass


def _handshake(path: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


@contextlib.asynccontextmanager
async def _stalled(world: World) -> AsyncIterator[asyncio.StreamWriter]:
    """A peer that has subscribed to a long log, and reads none of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port, limit=1)
    protocols = world.connections
    writer.write(_handshake(f"/api/tasks/{world.log.task.id}/events"))
    try:
        await reader.readexactly(1)
        await until(lambda: any(one.transport.get_write_buffer_size() > WRITE_BUFFER for one in protocols))
        yield writer
    finally:
        writer.transport.abort()


def _only_stream(world: World) -> StreamProtocol:
    """The server's side of the only WebSocket."""
    (protocol,) = (connection for connection in world.connections if isinstance(connection, StreamProtocol))
    return protocol


@contextlib.asynccontextmanager
async def _half_gone(world: World, last_frame: bytes) -> AsyncIterator[None]:
    """A peer that has stalled, and has sent a frame that ends the connection."""
    protocols = world.connections
    async with _stalled(world) as writer:
        writer.write(last_frame)
        await until(lambda: any(protocol.transport.is_closing() for protocol in protocols))
        yield


@contextlib.asynccontextmanager
async def _slow_peer(world: World) -> AsyncIterator[socket.socket]:
    """A peer that follows a log, and for which the kernel holds next to nothing."""
    async with _narrow_socket(world) as slow:
        await asyncio.get_running_loop().sock_sendall(slow, _handshake(f"/api/tasks/{world.log.task.id}/events"))
        yield slow


@contextlib.asynccontextmanager
async def _narrow_socket(world: World) -> AsyncIterator[socket.socket]:
    """A connection for which the kernel holds next to nothing."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
    slow.setblocking(False)
    with slow:
        await asyncio.get_running_loop().sock_connect(slow, ("127.0.0.1", world.port))
        yield slow


@contextlib.asynccontextmanager
async def _slow_tls_peer(world: World) -> AsyncIterator[None]:
    """The same over TLS."""
    trust = ssl.create_default_context(cafile=CERTIFICATE)

    def greet(slow: socket.socket) -> ssl.SSLSocket:
        slow.setblocking(True)
        secured = trust.wrap_socket(slow, server_hostname="localhost")
        secured.sendall(_handshake(f"/api/tasks/{world.log.task.id}/events"))
        return secured

    async with _narrow_socket(world) as slow:
        with await asyncio.to_thread(greet, slow):
            yield


class HastyProtocol(StreamProtocol):
    """Gives a peer hardly any time to close."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.close_timeout = 0.05


@pytest.mark.parametrize("last_frame", [CLOSE, UNKNOWN], ids=["close", "unknown opcode"])
async def test_a_peer_that_closes_and_does_not_read(tmp_path: Path, last_frame: bytes) -> None:
    """A peer that has ended the connection, well or badly, and reads no more is let go, with what it was to be sent."""
    async with running(World(tmp_path, HastyProtocol)) as world:
        await world.append(world.log, 300, 10, padding=20_000)
        async with _half_gone(world, last_frame):
            await until(lambda: not world.connections)


async def test_pings_of_a_peer_that_does_not_read(tmp_path: Path) -> None:
    """A flood of pings from a peer that reads nothing costs no memory: they are not answered."""
    async with running(World(tmp_path)) as world:
        await world.append(world.log, 300, 10, padding=20_000)
        async with _stalled(world) as writer:
            (protocol,) = world.connections
            before = protocol.transport.get_write_buffer_size()
            writer.write(PING * 10_000 + CLOSE)
            await until(protocol.transport.is_closing)
            assert protocol.transport.get_write_buffer_size() < before + 2 * len(PING)


async def test_a_peer_that_does_not_read_the_end(tmp_path: Path) -> None:
    """A peer that reads nothing is let go when we have closed the connection, with what it was still to be sent: over
    TLS, where that can be more than the end.
    """
    async with running(World(tmp_path, HastyProtocol, certificate=CERTIFICATE)) as world:
        await world.append(world.log, 20, 10, padding=2000, status=Status.SUCCEEDED)
        async with _slow_tls_peer(world):
            await until(lambda: world.connections)
            await until(lambda: not world.connections)


class PingingProtocol(StreamProtocol):
    """Pings at once, and often."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.ping_interval, self.ping_timeout = 0.01, 0.05


async def test_a_peer_that_answers_no_ping(tmp_path: Path) -> None:
    """A peer of whom nothing is heard is let go with 4408."""
    async with running(World(tmp_path, PingingProtocol)) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(_handshake("/ws"))
        async with asyncio.timeout(DEADLINE):
            received = await reader.read()
        writer.close()
        assert (4408).to_bytes(2, "big") + b"no answer to a ping" in received


class ImpatientProtocol(StreamProtocol):
    """Pings at once, and waits long neither for an answer nor for the end of a connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.ping_interval, self.ping_timeout, self.close_timeout = 0.01, 1.0, 1.0


async def _sip(slow: socket.socket) -> bytes:
    """Read all that comes, slowly."""
    received, begun = b"", asyncio.get_running_loop().time()
    async with asyncio.timeout(DEADLINE):
        while sip := await asyncio.get_running_loop().sock_recv(slow, SOCKET_BUFFER):
            received += sip
            await asyncio.sleep(0.05)
    assert asyncio.get_running_loop().time() - begun > 2  # twice the patience
    return received


async def test_a_peer_that_reads_slowly(tmp_path: Path) -> None:
    """A peer that does not come to the ping in time, for all that lies before it, but reads on, gets everything."""
    async with running(World(tmp_path, ImpatientProtocol)) as world:
        await world.append(world.log, 150, 10, padding=2000, status=Status.SUCCEEDED)
        async with _slow_peer(world) as slow:
            received = await _sip(slow)
        assert received.count(b'"padding"') == 150
        assert received.endswith(b"\x88\x02" + (1000).to_bytes(2, "big"))


async def test_a_peer_that_closes_and_reads_on(tmp_path: Path) -> None:
    """A peer that has ended the connection gets what is on its way, and the answer, as long as it reads."""
    async with running(World(tmp_path, ImpatientProtocol)) as world:
        await world.append(world.log, 300, 10, padding=20_000)
        async with _slow_peer(world) as slow:
            await until(lambda: any(one.transport.get_write_buffer_size() > WRITE_BUFFER for one in world.connections))
            slow.send(CLOSE)
            received = await _sip(slow)
        assert len(received) > PIECE_BYTES // 2 and received.endswith(b"\x88\x00")


async def test_a_peer_that_stops_and_goes(tmp_path: Path) -> None:
    """Events and answers to pings come whole, and the events in order, however often a peer at the head stalls."""
    async with running(World(tmp_path)) as world:
        async with (
            _narrow_socket(world) as slow,
            connect(f"ws://{world.address}/api/tasks/{world.log.task.id}/events", sock=slow, max_queue=1) as peer,
        ):
            seen: list[int] = []
            while len(seen) < 3000:
                if len(seen) == len(world.log.drafts):  # it has read all, and so is live soon, and stops
                    for _ in range(30):
                        await world.append(world.log, 1, 10, padding=300)
                    await peer.ping()
                async with asyncio.timeout(DEADLINE):
                    frame = json.loads(await peer.recv())
                seen += [event["event_id"] for event in frame.get("events", ())]
        assert seen == list(range(1, len(seen) + 1))
        metrics = (await world.http.get(f"http://{world.address}/metrics")).text
    (held_back,) = re.findall(r"^metagpt_live_slow_consumers_total (\d+)", metrics, re.MULTILINE)
    assert int(held_back) > 10


class LostProtocol(StreamProtocol):
    """Says, when the socket of a connection is about to be closed, whether anybody may still write to it."""

    fails = False
    writable_at_last: bool | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.fails:
            self.connections.clear()  # which uvicorn does not expect
        try:
            super().connection_lost(exc)
        finally:
            assert self.stream is not None
            session: Any = cast(MethodType, self.stream.on_hold).__self__
            LostProtocol.writable_at_last = any(subscription.live for subscription in session.subscriptions)


@pytest.mark.parametrize("fails", [False, True], ids=["well", "with uvicorn failing"])
async def test_a_connection_that_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    """Nobody writes to a connection any more when its descriptor becomes free, for other connections to have."""
    monkeypatch.setattr(LostProtocol, "fails", fails)
    monkeypatch.setattr(LostProtocol, "writable_at_last", None)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of uvicorn's failure
    async with running(World(tmp_path, LostProtocol)) as world:
        async with connect(f"ws://{world.address}/api/tasks/{world.log.task.id}/events") as peer:
            await world.append(world.log, 1, 10)
            await peer.recv()
            await peer.recv()
            await until(partial(_live, world))
            _only_stream(world).transport.abort()
            assert await until(lambda: LostProtocol.writable_at_last, lambda said: said is not None) is False


async def _live(world: World) -> float:
    """Subscriptions to which it is written as soon as anything is committed."""
    found = await scrape(world.http, f"http://{world.address}/metrics")
    return found.value("metagpt_live_subscriptions", state="live")


async def test_a_stream_behind_an_answer(tmp_path: Path) -> None:
    """Nothing is written beside a transport that still holds a part of the answer to the request before."""
    async with running(World(tmp_path)) as world:
        await world.append(world.log, 300, 10, padding=20_000)
        async with _stalled(world):
            protocol = _only_stream(world)
            protocol.writable.set()  # as of a protocol that was not there when its transport got slow
            assert DirectStream(protocol).slow


async def test_a_connection_that_is_slow_again(tmp_path: Path) -> None:
    """Whoever waits until a connection takes more waits on if that has passed before it is their turn."""
    async with running(World(tmp_path)) as world:
        await world.append(world.log, 300, 10, padding=20_000)
        async with _stalled(world):
            protocol = _only_stream(world)
            waiting = asyncio.create_task(DirectStream(protocol).drained())
            await asyncio.sleep(0)
            protocol.resume_writing()
            protocol.pause_writing()
            done, _ = await asyncio.wait({waiting}, timeout=0.05)
            assert not done
            protocol.resume_writing()
            await asyncio.wait_for(waiting, DEADLINE)


async def test_a_stream_over_a_little(tmp_path: Path) -> None:
    """Over TLS, a transport that holds a little is not waited for: it would not say when it is rid of that."""
    async with running(World(tmp_path, certificate=CERTIFICATE)) as world:
        await world.append(world.log, 50, 10, padding=2000)  # more than the transport below takes
        async with _slow_tls_peer(world):
            await until(lambda: world.connections)
            while not any(one.transport.get_write_buffer_size() for one in world.connections):
                await world.append(world.log, 1, 10)
            assert not DirectStream(_only_stream(world)).slow


async def test_a_peer_that_reads_nothing(tmp_path: Path) -> None:
    """A peer that reads nothing, while more is there than the connection takes, is let go."""
    async with running(World(tmp_path, ImpatientProtocol)) as world:
        await world.append(world.log, 300, 10, padding=20_000)
        async with _stalled(world):
            await until(lambda: not world.connections)


async def test_the_end_of_the_server_with_such_a_peer(tmp_path: Path) -> None:
    """A peer that has sent CLOSE and reads no more holds no shutdown up, and others hear of the end."""
    world = World(tmp_path)
    await world.start()
    try:
        await world.begin()
        await world.append(world.log, 300, 10, padding=20_000)
        async with connect(f"ws://{world.address}/ws") as other:
            async with _half_gone(world, CLOSE):
                stopping = asyncio.create_task(world.stop())
                await asyncio.wait({stopping}, timeout=DEADLINE / 4)
                stopped = stopping.done()
            await stopping  # without the peer it ends in any case
            assert stopped
            assert await _close_code(other) == 1012
    finally:
        await world.http.aclose()
