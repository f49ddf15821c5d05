"""REST clients that read slowly, or not at all."""

import asyncio
import contextlib
import gc
import socket
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from runner.base import Digest, Placed
from runner.events import EventType, now
from runner.log import DIGEST_START
from runner.states import Status
from server.bounds import PIECE_BYTES, WRITE_BUFFER
from tests.support import DEADLINE, until
from tests.world import SOCKET_BUFFER, World, running

STALL = 0.4  # seconds after which a client that takes nothing is let go
SIP, PAUSE = 4096, 0.02  # bytes that a slow reader reads at once, and how many seconds it then waits

Answer = httpx.Response


class Page(msgspec.Struct, forbid_unknown_fields=True):
    events: list["Numbered"]
    total: int
    cursor: int
    head: int
    terminal: bool
    gap: object
    epoch: str


class Numbered(msgspec.Struct):
    event_id: int


@contextlib.asynccontextmanager
async def _asking(world: World, path: str, *headers: str) -> AsyncIterator[socket.socket]:
    """A client that has asked for something, and for which the kernel holds next to nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
    client.setblocking(False)
    with client:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", world.port))
        lines = [f"GET /api/tasks/{world.log.task.id}/{path} HTTP/1.1", f"Host: {world.address}", *headers, "", ""]
        await loop.sock_sendall(client, "\r\n".join(lines).encode())
        await until(lambda: any(owed(connection) for connection in world.connections))
        yield client


def owed(connection: object) -> int:
    """Bytes that wait in the server until a client takes them."""
    return int(connection.transport.get_write_buffer_size())  # type: ignore[attr-defined]


async def _rest(client: socket.socket, *, pause: float = 0) -> bytes:
    """What comes until the server closes the connection."""
    received = b""
    async with asyncio.timeout(DEADLINE):
        while sip := await asyncio.get_running_loop().sock_recv(client, SIP):
            received += sip
            await asyncio.sleep(pause)
    return received


def _body(answer: bytes) -> bytes:
    """The body of an answer, which is chunked if it does not say how long it is."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head:
        return rest
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if not int(size, 16):
            return body
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]


@pytest.mark.parametrize(
    ("events", "path", "headers"),
    [
        (300, "events", ()),
        (300, "export.jsonl", ()),
        (20, "events", ()),
        (20, "events", ("Connection: close",)),
    ],
    ids=["page", "export", "answered", "answered, closing"],
)
async def test_a_client_that_reads_nothing(tmp_path: Path, events: int, path: str, headers: tuple[str, ...]) -> None:
    """A client that reads nothing of an answer is let go, whether all of it was handed to the connection or not."""
    async with running(World(tmp_path, stall=STALL)) as world:
        await world.append(world.log, events, 10, padding=2000)
        async with _asking(world, path, *headers):
            await until(lambda: not world.connections)


async def test_a_client_that_reads_slowly(tmp_path: Path) -> None:
    """A client that takes several times as long, but reads on all the time, gets everything."""
    async with running(World(tmp_path, stall=STALL)) as world:
        await world.append(world.log, 150, 10, padding=2000)
        async with _asking(world, "events?limit=5000", "Connection: close") as client:
            begun = asyncio.get_running_loop().time()
            page = msgspec.json.decode(_body(await _rest(client, pause=PAUSE)), type=Page)
            assert asyncio.get_running_loop().time() - begun > 1.5 * STALL
        assert [event.event_id for event in page.events] == list(range(1, 151))


@pytest.mark.parametrize("path", ["events?limit=5000", "export.jsonl"])
async def test_what_a_stalled_client_holds(tmp_path: Path, path: str) -> None:
    """Of an answer of 3 MB that is not read, a piece waits in the connection, one to go there, and no more is held."""
    async with running(World(tmp_path)) as world:
        await world.append(world.log, 300, 10, padding=10_000)
        url = f"http://{world.address}/api/tasks/{world.log.task.id}/{path}"
        whole = (await world.http.get(url)).content
        tracemalloc.start()
        try:
            begun = tracemalloc.get_traced_memory()[0]
            async with _asking(world, path):
                await until(lambda: any(owed(connection) > WRITE_BUFFER for connection in world.connections))
                async with asyncio.timeout(DEADLINE):
                    # Another request goes through all that this one would do by now.
                    assert (await world.http.get(url)).content == whole
                assert max(map(owed, world.connections)) < 2 * PIECE_BYTES
                gc.collect()
                # The thread that reads the store holds what it has read last, for all readers.
                assert tracemalloc.get_traced_memory()[0] - begun < 3.5 * PIECE_BYTES
        finally:
            tracemalloc.stop()


async def test_a_page_in_pieces(tmp_path: Path) -> None:
    """A page that is sent in pieces is as asked for, and ends where the limit or the log does."""
    async with running(World(tmp_path)) as world:
        await world.append(world.log, 300, 10, padding=5000, status=Status.SUCCEEDED)
        url = f"http://{world.address}/api/tasks/{world.log.task.id}/events"
        first = await world.http.get(url, params={"limit": 250})
        found = [event["event_id"] for event in first.json()["events"]]
        assert (found, first.json()["terminal"]) == (list(range(1, 251)), False)
        bobs = (await world.http.get(url, params={"limit": 60, "agent_role": "Bob", "since_event_id": 3})).json()
        assert [event["agent_role"] for event in bobs["events"]] == ["Bob"] * 60
        assert (bobs["total"], bobs["head"]) == (60, 300)
        last = (await world.http.get(url, params={"limit": 5000, "since_event_id": 3})).json()
        assert [event["event_id"] for event in last["events"]] == list(range(4, 301))
        assert (last["total"], last["head"], last["terminal"], last["gap"]) == (297, 300, True, None)
        known = await world.http.get(url, params={"limit": 250}, headers={"If-None-Match": first.headers["etag"]})
        assert known.status_code == 304


@pytest.mark.parametrize("end", ["expire", "delete", "replace", "replace with less"])
async def test_a_log_that_goes_while_it_is_read(tmp_path: Path, end: str) -> None:
    """A page whose events go while it is read ends before them, and who reads on is told."""
    async with running(World(tmp_path)) as world:
        task_id = world.log.task.id
        await world.append(world.log, 300, 10, padding=10_000, status=Status.SUCCEEDED)
        async with _asking(world, "events?limit=5000", "Connection: close") as client:
            if end == "expire":
                await world.expire(world.log)
            else:
                await world.supervisor.delete_task(task_id)
            if end.startswith("replace"):
                await _take_in(world, 300 if end == "replace" else 1)
            page = msgspec.json.decode(_body(await _rest(client)), type=Page)
        found = [event.event_id for event in page.events]
        assert found == list(range(1, len(found) + 1))
        assert (0 < len(found) < 300, page.total, page.head, page.terminal) == (True, len(found), 300, False)
        answer = await world.http.get(f"http://{world.address}/api/tasks/{task_id}/events?since_event_id={len(found)}")
        gap = {"from": len(found) + 1, "to": 300, "reason": "retention"} if end == "expire" else None
        told = {"expire": 200, "delete": 404, "replace": 200, "replace with less": 422}
        assert (answer.status_code, answer.json().get("gap")) == (told[end], gap)


async def _take_in(world: World, count: int) -> None:
    """Put another log with the id of one that was deleted."""

    async def events() -> AsyncIterator[list[Placed]]:
        yield [Placed(number, EventType.TOKEN, None, b'{"event_id":%d}' % number) for number in range(1, count + 1)]

    task = msgspec.structs.replace(world.log.task, head=count, workspace=None, imported_at=now())
    await world.store.import_task(task, Digest(0, DIGEST_START.hex()), events())
