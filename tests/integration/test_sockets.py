"""WebSocket clients that talk nonsense, or do not read, while others notice nothing."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from runner.attempt import Options
from runner.base import Entry
from runner.events import EventType, now
from runner.recorder import Recorder
from runner.states import Status
from runner.store import SqliteStore
from runner.task import Task
from tests.support import Api, Server, client, ids, until, watch, watch_task

FRAME_LIMIT = 256 * 1024


@contextlib.asynccontextmanager
async def _witness(server: Server, api: Api):  # type: ignore[no-untyped-def]
    """Another client, that watches a run meanwhile; at the end it must have seen all of it."""
    task_id = await api.create()
    async with watch(server) as watcher:
        await watcher.subscribe(task_id)
        await watcher.until("caught_up")
        yield
        await api.run(task_id)
        await watcher.until("end")
        await api.until_succeeded(task_id)
    assert watcher.events[task_id] == await api.events(task_id)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("not JSON", 4400),
        ("", 4400),
        ("{", 4400),
        ('{"op":"ping"} {"op":"ping"}', 4400),
        ('{"op":"subscribe","task_id":"\\ud800"}', 4400),
        ('{"a":' * 10_000, 4400),
        (b'{"op":"ping"}', 4400),
        (b"\xff\xff", 4400),
        ('{"op":"ping","x":"' + "x" * FRAME_LIMIT + '"}', 4413),
        ("é" * (FRAME_LIMIT // 2 + 1), 4413),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_frame_that_ends_the_connection(server: Server, api: Api, frame: str | bytes, code: int) -> None:
    """What is no frame at all closes the connection with a code that says why; nobody else notices."""
    async with _witness(server, api), watch(server) as watcher:
        await watcher.connection.send(frame)
        assert await watcher.to_close() == code


async def test_a_huge_frame(server: Server, api: Api) -> None:
    """A frame of many megabytes closes the connection without being read whole, as the protocol has it."""
    async with _witness(server, api), watch(server) as watcher:
        with contextlib.suppress(ConnectionClosed):
            await watcher.connection.send("x" * 8_000_000)
        assert await watcher.to_close() == 1009


@pytest.mark.parametrize(
    "frame",
    [
        [],
        7,
        "ping",
        None,
        {},
        {"op": None},
        {"op": "shutdown"},
        {"op": "PING"},
        {"op": "ping", "extra": 1},
        {"op": "subscribe"},
        {"op": "subscribe", "task_id": 7},
        {"op": "subscribe", "task_id": "x", "since_event_id": -1},
        {"op": "subscribe", "task_id": "x", "since_event_id": "1"},
        {"op": "subscribe", "task_id": "x", "since_event_id": 1.5},
        {"op": "subscribe", "task_id": "x", "types": ["NOISE"]},
        {"op": "subscribe", "task_id": "x", "types": "STATUS"},
        {"op": "unsubscribe"},
        {"op": "auth"},
    ],
    ids=str,
)
async def test_a_frame_that_is_answered_with_an_error(server: Server, frame: object) -> None:
    """JSON that is no known frame is answered with an error, and the connection lives on."""
    async with watch(server) as watcher:
        await watcher.connection.send(json.dumps(frame))
        error = await watcher.until("error")
        assert error["code"] == "bad_frame"
        assert error["message"]
        await watcher.send("ping")
        assert (await watcher.receive())["op"] == "pong"


async def test_an_unknown_task_on_the_shared_entrance(server: Server) -> None:
    """Subscribing to a task that does not exist is an error about that task; the connection lives on."""
    for task_id in ("0123456789abcdef", "", "\x00", "x" * 1000):
        async with watch(server) as watcher:
            await watcher.send("subscribe", task_id=task_id)
            error = await watcher.until("error")
            assert (error["code"], error["task_id"]) == ("task_not_found", task_id)
            await watcher.send("ping")
            assert (await watcher.receive())["op"] == "pong"


async def test_an_unknown_task_on_its_own_entrance(server: Server) -> None:
    """The entrance of a task that does not exist says so, and closes with 4404."""
    async with watch(server, "/api/tasks/0123456789abcdef/events") as watcher:
        assert await watcher.to_close() == 4404
    assert [(frame["op"], frame["code"]) for frame in watcher.frames] == [("error", "task_not_found")]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since_event_id": -1}, "since_event_id"),
        ({"since_event_id": "abc"}, "since_event_id"),
        ({"since_event_id": ""}, "since_event_id"),
        ({"since_event_id": "1.5"}, "since_event_id"),
        ({"types": "STATUS,NOISE"}, "types"),
    ],
    ids=str,
)
async def test_a_bad_query_on_the_own_entrance(server: Server, api: Api, query: dict[str, object], field: str) -> None:
    """A query that makes no sense is answered with an error that names the field, and 4400."""
    task_id = await api.create()
    async with watch(server, f"/api/tasks/{task_id}/events", **query) as watcher:
        assert await watcher.to_close() == 4400
    assert [frame["op"] for frame in watcher.frames] == ["error"]
    assert field in watcher.frames[0]["message"]


@pytest.mark.parametrize("cursor", [1, 2**31, 2**53, 2**63, 2**70])
async def test_a_cursor_ahead(server: Server, api: Api, cursor: int) -> None:
    """A cursor beyond the head is refused at both entrances, after it was told in which epoch."""
    task_id = await api.create()
    async with watch(server) as shared:
        await shared.subscribe(task_id, cursor)
        error = await shared.until("error")
        assert error["code"] in ("cursor_ahead", "bad_frame")
    async with watch_task(server, task_id, cursor) as own:
        assert await own.to_close() == 4400
    if error["code"] == "cursor_ahead":
        assert own.frames[0] == {"op": "hello", "epoch": shared.frames[0]["epoch"], "head": 0}
    assert own.frames[-1]["op"] == "error"


async def test_a_cursor_ahead_while_others_watch(server: Server, api: Api) -> None:
    """That somebody else watches the task live does not make a cursor ahead of it any better."""
    task_id = await api.create()
    async with watch(server) as other:
        await other.subscribe(task_id)
        await other.until("caught_up")
        await api.run(task_id)
        await other.until("end")
        head = (await api.state(task_id))["head"]
        async with watch(server) as watcher:
            await watcher.subscribe(task_id, head + 1)
            assert (await watcher.until("error"))["code"] == "cursor_ahead"
        response = await api.http.get(f"/api/tasks/{task_id}/events?since_event_id={head + 1000}")
        assert (response.status_code, response.json()["code"]) == (422, "cursor_ahead")


async def test_a_flood_of_pings(server: Server, api: Api) -> None:
    """A client that asks without reading the answers is held back, not answered into memory; then it gets them all."""
    async with _witness(server, api), watch(server) as watcher:
        count = 20_000
        sending = asyncio.create_task(_send_pings(watcher.connection, count))
        for _ in range(count):
            await watcher.until("pong")
        await sending


async def _send_pings(connection, count: int) -> None:  # type: ignore[no-untyped-def]
    for _ in range(count):
        await connection.send('{"op":"ping"}')


async def test_too_many_subscriptions(server: Server, api: Api) -> None:
    """The subscription above the limit is refused; the others stay."""
    task_id = await api.create()
    async with watch(server) as watcher:
        await watcher.subscribe(task_id)
        await watcher.until("caught_up")
        for n in range(1100):
            await watcher.send("subscribe", task_id=f"nothing-{n}")
        for _ in range(1100):
            await watcher.until("error")
        await api.run(task_id)
        assert (await watcher.until("end"))["status"] == "SUCCEEDED"


async def test_connections_that_are_cut(server: Server, api: Api) -> None:
    """Clients that vanish in the middle of everything leave no trace."""
    task_id = await api.create()
    async with _witness(server, api):
        for n in range(20):
            async with watch_task(server, task_id) as watcher:
                if n % 2:
                    await watcher.receive()
                watcher.connection.transport.abort()
    process = psutil.Process(server.process.pid)
    await until(lambda: len([c for c in process.net_connections() if c.status == "ESTABLISHED"]) <= 2)


LONG_LOG_EVENTS = 750
LONG_LOG_TEXT = 40_000  # characters of each


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server with a task whose log has 30 MB, and the task's id."""
    data = tmp_path_factory.mktemp("long") / "data"
    data.mkdir()
    asyncio.run(_fill(data))
    with Server(data) as server:
        yield server, "long"


async def _fill(data: Path) -> None:
    store = await SqliteStore.open(data / "metagpt-live.db")
    task = Task(id="long", title="long", input_prompt="x", priority=0, options=Options(), created_at=now())
    await store.create_task(task, key=None, fingerprint="")
    text = b"x" * LONG_LOG_TEXT
    tail = b'"timestamp":"%b","agent_role":null,"event_type":"LOG","payload":{"message":"%b"}}' % (now().encode(), text)
    entries = [Entry(EventType.LOG, None, tail)] * LONG_LOG_EVENTS
    ended = msgspec.structs.replace(task, status=Status.CANCELLED)
    async with Recorder(store) as recorder:
        _, committed = recorder.append(ended, entries)
        await committed
    await store.aclose()


async def test_a_stalled_reader(long_log: tuple[Server, str]) -> None:
    """Readers that have stopped reading cost the server next to nothing, slow nobody, and get everything once they
    read again."""
    server, task_id = long_log
    process = psutil.Process(server.process.pid)
    async with client(server) as api, contextlib.AsyncExitStack() as stack:
        async with watch_task(server, task_id) as first:
            assert await first.to_close() == 1000
        before = process.memory_info().rss
        stalled = []
        for cursor in range(20):  # apart from each other, so that they cannot share what is sent
            watcher = await stack.enter_async_context(watch(server))
            watcher.connection.transport.pause_reading()
            await watcher.subscribe(task_id, cursor)
            stalled.append(watcher)
        async with watch_task(server, task_id) as reader:
            assert await reader.to_close() == 1000
        assert ids(reader.events[task_id]) == list(range(1, LONG_LOG_EVENTS + 1))
        assert (await api.state(task_id))["head"] == LONG_LOG_EVENTS
        assert process.memory_info().rss - before < 60 * 1024 * 1024  # 20 of them want 600 MB
        stalled[0].connection.transport.resume_reading()
        await stalled[0].until("end")
        assert ids(stalled[0].events[task_id]) == list(range(1, LONG_LOG_EVENTS + 1))
        for watcher in stalled[1:]:
            watcher.connection.transport.abort()


async def test_pages_of_a_long_log(long_log: tuple[Server, str]) -> None:
    """REST gives a log of any length in pages of bounded size, and all of it."""
    server, task_id = long_log
    async with client(server) as api:
        response = await api.http.get(f"/api/tasks/{task_id}/events?limit=5000")
        assert len(response.content) < 5 * 1024 * 1024
        assert response.json()["terminal"] is False
        assert ids(await api.events(task_id, limit=5000)) == list(range(1, LONG_LOG_EVENTS + 1))


async def test_the_database_is_never_locked_by_a_reader(long_log: tuple[Server, str]) -> None:
    """A long read of the file by another process holds no run up."""
    server, _ = long_log
    with contextlib.closing(sqlite3.connect(f"file:{server.data}/metagpt-live.db?mode=ro", uri=True)) as other:
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM events").fetchone()
        async with client(server) as api:
            assert (await api.state(await api.finished()))["status"] == "SUCCEEDED"
