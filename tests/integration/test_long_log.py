"""Logs that are long, old, or of many tasks: what is read is bounded, what is missing is stated."""

import asyncio
import contextlib
import json
import sqlite3
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect

from runner.base import Durability, Filter, Page
from runner.database import Database, open_database
from runner.errors import EventsExpired
from runner.events import EventType, ago, now
from runner.folder import DATABASE
from runner.states import Status
from runner.store import SqliteStore
from runner.task import Task
from server.bounds import FRAME_BYTES
from server.hub import Hub
from tests.logs import make_commit, make_task
from tests.support import Api, Server, client, ids, until, watch, watch_task
from tests.world import World, running

LONG = 100_000  # events
KINDS = (EventType.TOKEN, EventType.TOKEN, EventType.LOG, EventType.MESSAGE)
ROLES = (None, "Alice", "Bob")
EVERYTHING = 10**9  # bytes


def commit_many(task: Task, count: int, **changes: Any) -> Any:
    """A commit of events of all kinds. Their messages are short."""
    plain = make_commit(task, [str(n) for n in range(task.head + 1, task.head + count + 1)], **changes)
    events = []
    for event in plain.events:
        kind, role = kind_of(event.event_id), role_of(event.event_id)
        decoded = msgspec.json.decode(event.encoded) | {"event_type": kind, "agent_role": role}
        events.append(
            msgspec.structs.replace(event, event_type=kind, agent_role=role, encoded=msgspec.json.encode(decoded))
        )
    return msgspec.structs.replace(plain, events=events)


def kind_of(event_id: int) -> EventType:
    return KINDS[event_id % len(KINDS)]


def role_of(event_id: int) -> str | None:
    return ROLES[event_id % len(ROLES)]


async def fill(data: Path, *tasks: Task, count: int, **changes: Any) -> None:
    """Make tasks with so many events, in the database of a data folder."""
    data.mkdir(exist_ok=True)  # noqa: ASYNC240, nothing else is going on
    store = await SqliteStore.open(data / "metagpt-live.db")
    for task in tasks:
        await store.create_task(task, key=None, fingerprint="")
        while task.head < count:
            commit = commit_many(task, min(5000, count - task.head), **changes)
            assert await store.append([commit]) == [True]
            task = commit.task
    await store.aclose()


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a long log, of the task `long`, which has ended."""
    data = tmp_path_factory.mktemp("long") / "data"
    asyncio.run(fill(data, make_task("long"), count=LONG, status=Status.SUCCEEDED, completed_at=now()))
    with Server(data) as server:
        yield server


@pytest.mark.parametrize(
    ("query", "passing"),
    [
        ({}, list(range(1, LONG + 1))),
        ({"types": "LOG,MESSAGE"}, [n for n in range(1, LONG + 1) if kind_of(n) != EventType.TOKEN]),
        ({"types": "LOG", "agent_role": "Bob"}, [n for n in range(1, LONG + 1) if n % 12 == 2]),
        ({"types": "RESULT"}, []),
    ],
    ids=["all", "types", "types and role", "none"],
)
async def test_backwards_to_the_start(long: Server, query: dict[str, str], passing: list[int]) -> None:
    """Page by page backwards, `before=` gives every event that passes, once, and no page after the first."""
    async with client(long) as api:
        found: list[int] = []
        before = LONG + 1
        while before > 1:
            page, cursor = await raw_page(api, before=before, limit=5000, **query)
            assert cursor < before
            assert all(cursor <= event_id < before for event_id in page)
            found = page + found
            before = cursor
    assert found == passing


async def raw_page(api: Api, **query: Any) -> tuple[list[int], int]:
    """The event_ids of a page, and its cursor; the client that checks every answer would be long about so many."""
    async with httpx.AsyncClient(base_url=api.http.base_url, trust_env=False) as http:
        answer = await http.get("/api/tasks/long/events", params=query)
    assert answer.status_code == 200, answer.text
    return ids(answer.json()["events"]), answer.json()["cursor"]


@pytest.mark.parametrize("missed", [0, 1, 7, 600])
async def test_what_was_missed_and_no_more(long: Server, missed: int) -> None:
    """Who missed k events of a long log is sent these k, on every transport."""
    expected = list(range(LONG - missed + 1, LONG + 1))
    async with client(long) as api:
        assert ids((await api.page("long", since_event_id=LONG - missed, limit=1000))["events"]) == expected
    async with watch_task(long, "long", LONG - missed) as own, watch(long) as shared:
        await shared.subscribe("long", LONG - missed)
        await shared.until("end")
        await own.to_close()
    for watcher in (own, shared):
        assert ids(watcher.events.get("long", [])) == expected


@pytest.mark.skipif(not hasattr(psutil.Process, "io_counters"), reason="the system does not count")
@pytest.mark.parametrize(
    "query",
    [{"before": LONG + 1}, {"since_event_id": LONG - 500}, {"before": LONG // 2}],
    ids=["last", "tail", "middle"],
)
async def test_a_page_does_not_read_the_log(long: Server, query: dict[str, int]) -> None:
    """For a page the server reads a small part of its file, whatever the length of the log."""
    process = psutil.Process(long.process.pid)
    async with client(long) as api:
        before = process.io_counters().read_chars
        assert len((await raw_page(api, limit=500, **query))[0]) == 500
        read = process.io_counters().read_chars - before
    assert read < (long.data / "metagpt-live.db").stat().st_size / 10


@contextlib.asynccontextmanager
async def store_at(data: Path, **options: Any) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(data / DATABASE, **options)
    try:
        yield store
    finally:
        await store.aclose()


@pytest.fixture(scope="module")
def expiring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps events for five days. Its tasks: `old` ended before, `young` since, `open` never."""
    data = tmp_path_factory.mktemp("expiring") / "data"

    async def prepare() -> None:
        await fill(data, make_task("old"), count=OLD, status=Status.SUCCEEDED, completed_at=ago(days=6))
        await fill(data, make_task("young"), count=OLD, status=Status.SUCCEEDED, completed_at=ago(days=4))
        await fill(data, make_task("open"), count=OLD)

    asyncio.run(prepare())
    with Server(data, KEEP_DAYS=5) as server:
        asyncio.run(_until_expired(server))
        yield server


OLD = 1500  # events


async def _until_expired(server: Server) -> None:
    async with client(server) as api:
        await until(lambda: api.page("old"), lambda page: page["head"] == OLD and not page["events"])


@pytest.mark.parametrize("cursor", [0, 1, 700, OLD - 1])
async def test_a_gap_is_stated(expiring: Server, cursor: int) -> None:
    """Whoever asks for events that were deleted is told of the gap, on every transport."""
    gap = {"from": cursor + 1, "to": OLD, "reason": "retention"}
    async with client(expiring) as api:
        page = await api.page("old", since_event_id=cursor)
        nothing = {"events": [], "total": 0, "cursor": OLD, "head": OLD, "terminal": True, "gap": gap}
        assert page == nothing | {"epoch": page["epoch"]}
        page = await api.page("old", since_event_id=cursor, types="LOG", wait=5)
        assert page["gap"] == gap
    async with watch(expiring) as shared, watch_task(expiring, "old", cursor) as own:
        await shared.subscribe("old", cursor)
        await shared.until("end")
        assert await own.to_close() == 1000
    for watcher in (shared, own):
        expected = [
            {"op": "gap", "task_id": "old"} | gap,
            {"op": "caught_up", "task_id": "old", "event_id": OLD},
            {"op": "end", "task_id": "old", "status": "SUCCEEDED"},
        ]
        assert watcher.frames[1:] == expected


async def test_a_gap_backwards(expiring: Server) -> None:
    """Who pages backwards is told what is missing before the first event that is left."""
    async with client(expiring) as api:
        page = await api.page("old", before=OLD + 1)
    assert (page["events"], page["gap"]) == ([], {"from": 1, "to": OLD, "reason": "retention"})


async def test_no_gap_where_none_is(expiring: Server) -> None:
    """A reader that has everything is told of no gap, nor is any reader of a log that is young, or has not ended."""
    async with client(expiring) as api:
        assert (await api.page("old", since_event_id=OLD))["gap"] is None
        for task_id in ("young", "open"):
            assert (await api.page(task_id))["gap"] is None
            assert ids(await api.events(task_id)) == list(range(1, OLD + 1))


@pytest.mark.parametrize(("through", "status"), [(0, 200), (1, 410), (1001, 410), (OLD - 1, 410), (OLD, 200)])
async def test_the_digest_of_a_gap(expiring: Server, through: int, status: int) -> None:
    """A digest that would need deleted events says that they are gone; one that was kept stays right."""
    async with client(expiring) as api:
        answer = await api.http.get("/api/tasks/old/digest", params={"through": through})
        assert answer.status_code == status
        if status == 410:
            assert answer.json()["code"] == "events_expired"
        else:
            assert answer.json()["count"] == through


async def test_a_log_goes_on_after_a_gap(tmp_path: Path) -> None:
    """Events after a gap keep their ids, and the running hash goes on over it."""
    task = make_task()
    digest = bytes(32)
    async with new_store(tmp_path, task) as store:
        first = commit_many(task, 1200, status=Status.FAILED, completed_at=ago(days=2))
        second = commit_many(first.task, 10)
        await store.append([first])
        assert await store.expire(ago(days=1)) == [task.id]
        await store.append([second])
        page = await read(store, after=0)
        assert page.gap is not None
        assert (page.gap.first, page.gap.last, page.cursor) == (1, 1200, 1210)
        assert list(page.events) == [event.encoded for event in second.events]
        for event in (*first.events, *second.events):
            digest = sha256(digest + event.encoded).digest()
        assert (await store.digest(task.id, 1210)).sha256 == digest.hex()
        with pytest.raises(EventsExpired):
            await store.digest(task.id, 1100)


@pytest.mark.parametrize(("size", "most"), [(256, 1.5), (1024, 1.6), (4096, 1.3)])
async def test_a_lone_event_is_compact(tmp_path: Path, size: int, most: float) -> None:
    """An event that is committed alone takes little more on the disk than its JSON, however long that is."""
    commits = [make_commit(make_task(), ["x" * (size - 150)])]
    while len(commits) < 200:
        commits.append(make_commit(commits[-1].task, ["x" * (size - 150)]))
    async with new_store(tmp_path, make_task()):
        pass
    empty = (tmp_path / DATABASE).stat().st_size
    async with store_at(tmp_path) as store:
        assert all(await store.append(commits))
    written = sum(len(commit.events[0].encoded) for commit in commits)
    assert (tmp_path / DATABASE).stat().st_size - empty < most * written


async def read(store: SqliteStore, after: int, filter: Filter = Filter()) -> Page:  # noqa: B008, it is frozen
    return await store.read_events("task", after=after, limit=100, size=EVERYTHING, filter=filter)


@contextlib.asynccontextmanager
async def new_store(data: Path, task: Task) -> AsyncIterator[SqliteStore]:
    async with store_at(data) as store:
        await store.create_task(task, key=None, fingerprint="")
        yield store


@pytest.mark.parametrize("filter", [Filter(), Filter(agent_role="Bob")], ids=["all", "filtered"])
async def test_reading_while_a_log_expires(tmp_path: Path, filter: Filter) -> None:
    """However retention and a reader meet: the reader gets the events, or is told that they are missing."""
    passing = [n for n in range(1, 101) if filter.passes(kind_of(n), role_of(n))]
    for attempt in range(30):
        async with new_store(tmp_path, make_task()) as store:
            ended = commit_many(make_task(), 100, status=Status.FAILED, completed_at=ago(days=2))
            await store.append([ended])
            reads = [asyncio.ensure_future(read(store, 0, filter)) for _ in range(attempt)]
            expiring = asyncio.ensure_future(store.expire(ago(days=1)))
            reads += [asyncio.ensure_future(read(store, 0, filter)) for _ in range(10)]
            await expiring
            for page in await asyncio.gather(*reads):
                held = [msgspec.json.decode(event)["event_id"] for event in page.events]
                assert (page.gap is None, held) in ((True, passing), (False, []))
            await store.delete_task("task")


async def test_a_long_read_keeps_nobody_in_the_past(tmp_path: Path) -> None:
    """However many others read, a reader sees what was committed before it began."""
    task = make_task()
    async with new_store(tmp_path, task) as store:
        commit = commit_many(task, 2000)
        await store.append([commit])
        reading = True

        async def read_on() -> None:
            while reading:
                await store.read_events("task", after=0, limit=2000, size=EVERYTHING, filter=Filter())

        async with asyncio.TaskGroup() as others:
            for _ in range(8):
                others.create_task(read_on())
            for _ in range(50):
                commit = commit_many(commit.task, 1)
                await store.append([commit])
                assert (await store.get_task("task")).head == commit.task.head
                assert (await read(store, commit.task.head)).head == commit.task.head
            reading = False


@pytest.mark.parametrize("watched", [False, True], ids=["unwatched", "watched"])
async def test_a_cursor_ahead_is_an_error(long: Server, watched: bool) -> None:
    """A cursor beyond the head is refused with words that say so, at every entrance, whoever else watches."""
    async with contextlib.AsyncExitStack() as stack, client(long) as api:
        if watched:
            other = await stack.enter_async_context(watch(long))
            await other.subscribe("long", LONG)
            await other.until("end")
        said = []
        queries: list[dict[str, Any]] = [{}, {"wait": 5}, {"types": "LOG"}]
        for query in queries:
            answer = await api.http.get("/api/tasks/long/events", params={"since_event_id": LONG + 1} | query)
            assert answer.status_code == 422
            said.append((answer.json()["code"], answer.json()["detail"]))
        answer = await api.http.get("/api/tasks/long/digest", params={"through": LONG + 1})
        assert answer.status_code == 422
        said.append((answer.json()["code"], answer.json()["detail"]))
        shared = await stack.enter_async_context(watch(long))
        await shared.subscribe("long", LONG + 1)
        own = await stack.enter_async_context(watch_task(long, "long", LONG + 1))
        assert await own.to_close() == 4400
        for watcher in (shared, own):
            error = watcher.frames[-1] if watcher is own else await shared.until("error")
            said.append((error["code"], error["message"]))
    assert set(said) == {("cursor_ahead", f"The cursor {LONG + 1} is beyond the head of the log, which is {LONG}.")}


async def test_a_new_database_has_a_new_epoch(long: Server, expiring: Server) -> None:
    """A client is told the epoch first of all, and it is another one for another database."""
    epochs = []
    for server, task_id in ((long, "long"), (long, "long"), (expiring, "old")):
        async with watch(server) as shared, watch_task(server, task_id) as own:
            hellos = [await shared.receive(), await own.receive()]
            assert [hello["op"] for hello in hellos] == ["hello", "hello"]
            epochs.append({hello["epoch"] for hello in hellos})
    assert epochs[0] == epochs[1]
    assert len(epochs[0] | epochs[2]) == 2


# On macOS, fsync alone leaves the drive its cache.
@pytest.mark.parametrize(
    ("durability", "writing"),
    [("normal", {"synchronous": 1, "fullfsync": 0}), ("full", {"synchronous": 2, "fullfsync": 1})],
)
async def test_durability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Durability, writing: dict[str, int]
) -> None:
    """What writes syncs commits as the level of durability says, and whatever moves the WAL syncs in full."""
    opened: list[Database] = []
    moving = {"checkpoint_fullfsync": 1}

    async def open_and_keep(path: Path, *, writes: bool) -> Database:
        opened.append(await open_database(path, writes=writes))
        return opened[-1]

    monkeypatch.setattr("runner.store.open_database", open_and_keep)
    async with store_at(tmp_path, durability=durability):
        writer, _, wal = [
            {name: await database.run(partial(_pragma, name)) for name in (*writing, *moving, "journal_mode")}
            for database in opened
        ]
    assert writer == writing | moving | {"journal_mode": "wal"}
    assert wal["checkpoint_fullfsync"] == 1


def _pragma(name: str, connection: sqlite3.Connection) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


async def test_the_list_carries_no_events(tmp_path: Path) -> None:
    """Who watches the list of 2 000 tasks is told each change of their states, and none of their events."""
    async with running(World(tmp_path)) as world:
        logs = [await world.new_log() for _ in range(2000)]
        async with connect(f"ws://{world.address}/ws", max_size=None) as connection:
            await connection.send('{"op":"subscribe_tasks"}')
            assert await _states_to_pong(connection) == []
            for status in (Status.RUNNING, Status.SUCCEEDED):
                changes = asyncio.gather(*(world.append(log, 20, 100, status=status) for log in logs))
                told = await _states(connection, len(logs))
                await changes
                assert {task_id for task_id, _ in told} == {log.task.id for log in logs}
                assert {said for _, said in told} == {status}
                if status is Status.RUNNING:  # they run on, and say much
                    await asyncio.gather(*(world.append(log, 20, 100) for log in logs))
                assert await _states_to_pong(connection) == []


async def _states(connection: ClientConnection, count: int) -> list[tuple[str, str]]:
    """Task and status of the next frames, which are all of states."""
    told = []
    for _ in range(count):
        frame = json.loads(await connection.recv())
        assert frame["op"] == "state", frame
        told.append((frame["task_id"], frame["state"]["status"]))
    return told


async def _states_to_pong(connection: ClientConnection) -> list[str]:
    """The ops of the frames that come before the answer to a ping, but for the hello."""
    await connection.send('{"op":"ping"}')
    ops = []
    while (op := json.loads(await connection.recv())["op"]) != "pong":
        ops.append(op)
    return [op for op in ops if op != "hello"]


async def test_an_idle_task_holds_no_memory(tmp_path: Path) -> None:
    """Events that nobody watches are not kept in memory; nor are pages that were read once nobody watches any more."""
    async with running(World(tmp_path)) as world:
        hub = Hub(world.supervisor)
        world.supervisor.watch(hub.publish)
        task_id = world.log.task.id
        await world.append(world.log, 10, 10)
        tracemalloc.start()
        try:
            begun = tracemalloc.get_traced_memory()[0]
            await _append_megabytes(world, 8)
            assert tracemalloc.get_traced_memory()[0] - begun < 1_000_000
            bell = asyncio.Event()
            topic = hub.watch(task_id, bell.set)
            cursor = 0
            while cursor < (await hub.position(task_id)).head:
                cursor = (
                    await hub.read_framed(task_id, after=cursor, size=FRAME_BYTES, most=FRAME_BYTES, filter=Filter())
                ).cursor
            await _append_megabytes(world, 8)
            assert tracemalloc.get_traced_memory()[0] - begun > 2_000_000  # somebody watches
            hub.unwatch(topic, bell.set)
            del topic
            assert tracemalloc.get_traced_memory()[0] - begun < 1_500_000  # a frame, and what was appended last
        finally:
            tracemalloc.stop()


async def _append_megabytes(world: World, count: int) -> None:
    """Append so many megabytes, in events that are forgotten here at once."""
    for _ in range(count * 10):
        await world.append(world.log, 10, 0, padding=10_000)
