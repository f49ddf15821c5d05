"""Readers that stop reading: they cost next to nothing, slow nobody, and get everything when they read again.

The server is the benchmarks': all its parts are the real ones, and events are made in its process, at its full speed.
"""

import asyncio
import contextlib
import json
import resource
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect

from server.bounds import RING_BYTES, UNSENT_BYTES
from tests.scrapes import scrape
from tests.support import until

ALLOWED_GROWTH = RING_BYTES + 16 * 1024 * 1024  # bytes
SEGMENT = 1400  # bytes of a TCP segment; the kernel's buffer for sending has room for some tens of them
RECEIVE_BUFFER = 64 * 1024  # bytes
PAGES = 50  # of 4 MB, which are asked for and not read
FILES = 4096  # descriptors, of which each connection needs one on either side


class Numbered(msgspec.Struct):
    event_id: int


class Frame(msgspec.Struct):
    op: str
    events: list[msgspec.Raw] = []


class NumberedFrame(msgspec.Struct):
    op: str
    events: list[Numbered] = []


class ServerOfEvents:
    """A server process with one task, whose log grows when it is told to."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = psutil.Process(process.pid)
        self.address = f"127.0.0.1:{port}"
        self.task_id = ""
        self._process = process

    async def grow(self, events: int, size: int) -> int:
        """Make so many events of so many bytes, as fast as they can be committed. Returns the id of the last."""
        answer = await self.command("grow", events, size)
        return int(answer["last_id"])

    async def command(self, *words: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        assert "error" not in answer, answer
        return answer


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[ServerOfEvents]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.producer_server", str(folder), stdin=pipe, stdout=pipe, cwd=_ROOT
    )
    try:
        assert process.stdout is not None
        server = ServerOfEvents(process, json.loads(await process.stdout.readline())["port"])
        progress = folder / "progress"
        progress.write_bytes(bytes(4096))
        server.task_id = (await server.command("new", progress, 0))["task_id"]
        yield server
    finally:
        process.kill()
        await process.wait()


_ROOT = Path(__file__).parents[2]


class Reader:
    """A client that checks that each event is the next one, and computes the running hash if it is to."""

    def __init__(self, connection: ClientConnection) -> None:
        self.cursor = 0
        self.digest = bytes(32)
        self._connection = connection

    async def subscribe(self, task_id: str) -> None:
        await self._connection.send(json.dumps({"op": "subscribe", "task_id": task_id}))

    def stall(self) -> None:
        self._connection.transport.pause_reading()

    def go_on(self) -> None:
        self._connection.transport.resume_reading()

    async def read_to(self, event_id: int, *, hashing: bool = False) -> None:
        while self.cursor < event_id:
            text = await self._connection.recv(decode=False)
            if hashing:
                for raw in msgspec.json.decode(text, type=Frame).events:
                    self._take(msgspec.json.decode(raw, type=Numbered))
                    self.digest = sha256(self.digest + bytes(raw)).digest()
            else:
                for event in msgspec.json.decode(text, type=NumberedFrame).events:
                    self._take(event)

    def _take(self, event: Numbered) -> None:
        assert event.event_id == self.cursor + 1, f"{event.event_id} follows {self.cursor}"
        self.cursor = event.event_id


@contextlib.asynccontextmanager
async def reader(server: ServerOfEvents, sock: socket.socket | None = None) -> AsyncIterator[Reader]:
    # Read only when it is asked to; and not bothered by pings, which wait behind the events.
    options: dict[str, Any] = {"max_queue": 1, "max_size": None, "ping_interval": None, "close_timeout": 0}
    async with connect(f"ws://{server.address}/ws", compression=None, sock=sock, **options) as connection:
        yield Reader(connection)
        connection.transport.abort()


async def _narrow(address: str) -> socket.socket:
    """A connection for which the kernel holds little; otherwise it takes megabytes before a reader is slow."""
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setblocking(False)
    host, port = address.split(":")
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    return sock


async def test_a_reader_that_stops_in_the_middle(tmp_path: Path) -> None:
    """A reader that stops in the middle of 200 MB costs bounded memory, slows no other, and gets all when it reads
    again."""
    async with serving(tmp_path) as server, reader(server) as stopped, reader(server) as other:
        for one in (stopped, other):
            await one.subscribe(server.task_id)
        middle, _, _ = await asyncio.gather(
            server.grow(20_000, 2000), stopped.read_to(20_000, hashing=True), other.read_to(20_000, hashing=True)
        )
        before = server.process.memory_info().rss
        last, _ = await asyncio.gather(server.grow(100_000, 2000), other.read_to(middle + 100_000, hashing=True))
        assert (stopped.cursor, other.cursor) == (middle, last)
        assert server.process.memory_info().rss - before < ALLOWED_GROWTH
        await stopped.read_to(last, hashing=True)
        assert server.process.memory_info().rss - before < ALLOWED_GROWTH
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"http://{server.address}/api/tasks/{server.task_id}/digest")
        expected = {"task_id": server.task_id, "count": last, "sha256": answer.json()["sha256"]}
        for one in (stopped, other):
            assert {"task_id": server.task_id, "count": one.cursor, "sha256": one.digest.hex()} == expected


async def test_rest_readers_that_stop_in_the_middle(tmp_path: Path) -> None:
    """REST readers that stop in the middle of 200 MB, or of a page of it, cost bounded memory, and get all when they
    read again."""
    async with serving(tmp_path) as server, httpx.AsyncClient(trust_env=False) as http:
        last = await server.grow(100_000, 2000)
        log = f"http://{server.address}/api/tasks/{server.task_id}"
        async with contextlib.AsyncExitStack() as stack:
            before = server.process.memory_info().rss
            export = await stack.enter_async_context(http.stream("GET", f"{log}/export.jsonl"))
            lines = export.aiter_lines()
            digest, count = bytes(32), -1  # the first line is a header
            while count < last // 2:
                digest, count = _counted(await anext(lines), digest, count)
            for _ in range(PAGES):
                await stack.enter_async_context(http.stream("GET", f"{log}/events?limit=5000"))
            # Asked last, it is answered when the server has done for the others all that it does.
            assert (await http.get(f"{log}/state")).status_code == 200
            assert server.process.memory_info().rss - before < ALLOWED_GROWTH
            async for line in lines:
                digest, count = _counted(line, digest, count)
        answer = (await http.get(f"{log}/digest")).json()
        assert (count, digest.hex()) == (last, answer["sha256"])


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells what it holds for a connection")
@pytest.mark.parametrize("path", ["events", "export.jsonl"], ids=["WebSocket", "REST"])
async def test_what_the_kernel_holds(tmp_path: Path, path: str) -> None:
    """For a reader that has stopped, the kernel takes little more than that side has room for."""
    request = f"GET /api/tasks/%s/{path} HTTP/1.1\r\nHost: localhost\r\n"
    if path == "events":
        request += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        request += "AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    async with serving(tmp_path) as server:
        await server.grow(10_000, 2000)
        host, port = server.address.split(":")
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(f"{request % server.task_id}\r\n".encode())
            await until(lambda: _unacknowledged(sock), lambda held: held > UNSENT_BYTES // 2)
            async with httpx.AsyncClient(trust_env=False) as http:  # answered when all is written that can be
                await http.get(f"http://{server.address}/healthz")
            held = _unacknowledged(sock)
    assert 0 < held < 2 * UNSENT_BYTES


def _unacknowledged(sock: socket.socket) -> int:
    """Bytes that the kernel holds for the other end of a connection: proc(5), /proc/net/tcp."""
    here, there = sock.getsockname()[1], sock.getpeername()[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if (int(local.split(":")[1], 16), int(remote.split(":")[1], 16)) == (there, here):
            return int(queues.split(":")[0], 16)
    return 0


def _counted(line: str, digest: bytes, count: int) -> tuple[bytes, int]:
    """The running hash and the number of events with a line more."""
    return (digest, 0) if count < 0 else (sha256(digest + line.encode()).digest(), count + 1)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for many connections, here and in the processes that are started."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
async def test_a_hundred_of_a_thousand(tmp_path: Path) -> None:
    """While 100 of 1 000 readers stand still the 900 get everything; then the 100 do too."""
    async with serving(tmp_path) as server, contextlib.AsyncExitStack() as stack:
        readers = []
        for _ in range(20):
            socks = [None if number % 10 else await _narrow(server.address) for number in range(50)]
            readers += [await stack.enter_async_context(reader(server, sock)) for sock in socks]
        for one in readers:
            await one.subscribe(server.task_id)
        first = await server.grow(10, 1000)
        await _all_read_to(readers, first)
        before = server.process.memory_info().rss
        stalled, healthy = readers[::10], [one for n, one in enumerate(readers) if n % 10]
        for one in stalled:
            one.stall()
        last, _ = await asyncio.gather(server.grow(1000, 1000), _all_read_to(healthy, first + 1000))
        assert {one.cursor for one in stalled} == {first}
        await until(lambda: _lagging(server), lambda lagging: lagging == len(stalled))
        assert server.process.memory_info().rss - before < ALLOWED_GROWTH
        for one in stalled:
            one.go_on()
        await _all_read_to(readers, last)


async def _all_read_to(readers: list[Reader], event_id: int) -> None:
    await asyncio.gather(*(one.read_to(event_id) for one in readers))


async def _lagging(server: ServerOfEvents) -> float:
    """Subscriptions to which the server has not written all that there is."""
    async with httpx.AsyncClient(trust_env=False) as http:
        found = await scrape(http, f"http://{server.address}/metrics")
    return found.value("metagpt_live_subscriptions", state="lagging")
