"""What is answered when a client uses more than it may, and that others do not suffer."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from runner.errors import LogFileError, TasksFull
from runner.limits import RunLimits
from runner.metagpt.demo.answers import answer as demo_answer
from runner.task import NewTask
from tests.children import told_supervisor
from tests.openai_server import API_KEY, MODEL, OpenAiServer
from tests.support import DEADLINE, TERMINAL, Json, Server, client, until, watch

CONNECTIONS = 8
BODY = 5000  # bytes
TASKS = 5
TLS = Path(__file__).parents[1] / "tls"
EVENTS = 40  # a run of the demo model has hundreds


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that allows little."""
    with Server(
        tmp_path_factory.mktemp("small") / "data",
        BODY_LIMIT=BODY,
        FRAME_LIMIT=2000,
        PROMPT_LIMIT=100,
        SUBSCRIPTION_LIMIT=2,
        CONNECTION_LIMIT=CONNECTIONS,
        EVENT_LIMIT=EVENTS,
    ) as server:
        yield server


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that gives a request little time to come."""
    with Server(tmp_path_factory.mktemp("impatient") / "data", REQUEST_TIMEOUT=0.5) as server:
        yield server


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that speaks TLS, and allows little."""
    settings = {"TLS_CERT": TLS / "cert.pem", "TLS_KEY": TLS / "key.pem", "CONNECTION_LIMIT": 3, "REQUEST_TIMEOUT": 2}
    with Server(tmp_path_factory.mktemp("secured") / "data", **settings) as server:
        yield server


@pytest.fixture
def trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=TLS / "cert.pem")


@asynccontextmanager
async def _connection(
    server: Server, trust: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection, with TLS if it is said whom to trust."""
    host, port = server.url.partition("://")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=trust)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _answer(reader: asyncio.StreamReader) -> httpx.Response:
    """What was answered by the time that the connection was closed."""
    async with asyncio.timeout(DEADLINE):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
    return httpx.Response(int(lines[0].split()[1]), headers=headers, content=body)


async def test_a_body(small: Server) -> None:
    """A body above the limit is refused, whether its length was told or not; one at the limit is read."""

    async def chunks(size: int) -> AsyncIterator[bytes]:
        yield b" " * size

    async with client(small) as api:
        headers = {"Content-Type": "application/json"}
        for content in (b" " * (BODY + 1), chunks(BODY + 1)):
            response = await api.http.post("/api/tasks", content=content, headers=headers)
            assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
        response = await api.http.post("/api/tasks", content=b" " * BODY, headers=headers)
        assert response.json()["code"] == "bad_json"


async def test_a_prompt(small: Server) -> None:
    """A prompt above the limit is refused by the field and what is allowed; one at the limit is taken."""
    async with client(small) as api:
        response = await api.http.post("/api/tasks", json={"input_prompt": "x" * 101})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "input_prompt")
        assert "100 characters" in response.json()["detail"]
        await api.create("x" * 100)


async def test_a_frame(small: Server) -> None:
    """A frame above the limit closes the connection with 4413."""
    async with watch(small) as watcher:
        await watcher.send("ping", padding="x" * 2000)
        assert await watcher.to_close() == 4413


async def test_subscriptions(small: Server) -> None:
    """A subscription too many is refused, and those that there are go on."""
    async with client(small) as api, watch(small) as watcher:
        tasks = [await api.create() for _ in range(3)]
        for task_id in tasks:
            await watcher.subscribe(task_id)
        error = await watcher.until("error")
        assert (error["code"], error["task_id"]) == ("too_many_subscriptions", tasks[2])
        await watcher.send("unsubscribe", task_id=tasks[0])
        await watcher.subscribe(tasks[2])
        await watcher.until("caught_up", lambda frame: frame["task_id"] == tasks[2])


async def test_connections(small: Server) -> None:
    """A client with as many connections as it may have gets no other, of whatever kind, until it closes one."""
    url = f"{small.url.replace('http', 'ws')}/ws"
    sockets = [await connect(url) for _ in range(CONNECTIONS - 1)]
    try:
        async with _connection(small) as (reader, writer):  # the last one that it may have
            async with _connection(small) as (refused, _):
                answer = await _answer(refused)
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_connections")
            assert answer.headers["content-type"] == "application/problem+json"
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert (await _answer(reader)).status_code == 200
        await sockets.pop().close()
        async with client(small) as api:

            async def is_served() -> bool:
                try:
                    return (await api.http.get("/api/tasks")).status_code == 200
                except httpx.RemoteProtocolError:
                    return False

            await until(is_served)
    finally:
        for connection in sockets:
            await connection.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /api/tasks",
        b"GET /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"POST /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
    ],
    ids=["request line", "headers", "body"],
)
async def test_slowloris(impatient: Server, sent: bytes) -> None:
    """A request that comes a byte at a time is given up, wherever it is, and nothing of it is kept."""
    async with _connection(impatient) as (reader, writer), _dripping(writer, sent):
        answer = await _answer(reader)
    assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")


@asynccontextmanager
async def _dripping(writer: asyncio.StreamWriter, begin: bytes) -> AsyncIterator[None]:
    """Something is sent at once, and then a byte at a time."""

    async def drip() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.05)

    writer.write(begin)
    dripping = asyncio.create_task(drip())
    try:
        yield
    finally:
        dripping.cancel()


async def test_slowloris_over_tls(secured: Server, trust: ssl.SSLContext) -> None:
    """It is the same once the handshake is done."""
    async with (
        _connection(secured, trust) as (reader, writer),
        _dripping(writer, b"GET /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\n"),
    ):
        answer = await _answer(reader)
    assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")


async def test_a_slow_handshake(secured: Server) -> None:
    """A handshake that comes a byte at a time is given up as well, in the time that a request may take."""
    hello = b"\x16\x03\x01\x10\x00\x01"  # the beginning of a record of 4 KiB
    async with _connection(secured) as (reader, writer), _dripping(writer, hello), asyncio.timeout(DEADLINE):
        assert await _until_closed(reader) == b""


async def test_a_flood_of_handshakes(secured: Server, trust: ssl.SSLContext) -> None:
    """A client has so many handshakes under way and no more; its connections go on, and others follow later."""
    async with AsyncExitStack() as stack:
        served, asking = await stack.enter_async_context(_connection(secured, trust))
        silent = [(await stack.enter_async_context(_connection(secured)))[0] for _ in range(3)]
        async with _connection(secured) as (refused, _):
            await _until_closed(refused)
        assert not any(reader.at_eof() for reader in silent)
        asking.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert (await _answer(served)).status_code == 200
        for reader in silent:
            await _until_closed(reader)
    async with _connection(secured, trust) as (served, asking):
        asking.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert (await _answer(served)).status_code == 200


async def test_connections_over_tls(secured: Server, trust: ssl.SSLContext) -> None:
    """A connection too many is made, to be told so."""
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(_connection(secured, trust))
        async with _connection(secured, trust) as (refused, _):
            answer = await _answer(refused)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_connections")


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    """What comes before the other side closes the connection, cleanly or not."""
    async with asyncio.timeout(DEADLINE):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def test_a_long_upload(impatient: Server) -> None:
    """A log that is taken in may take longer than a request, and be larger, as long as it comes."""
    async with client(impatient) as api:
        task_id = await api.started("Something")
        await api.stop(task_id)
        content = (await api.http.get(f"/api/tasks/{task_id}/export.jsonl")).content
        await api.http.delete(f"/api/tasks/{task_id}")

        async def slowly() -> AsyncIterator[bytes]:
            for _ in range(14):
                await asyncio.sleep(0.05)
                yield b" " * BODY
            yield content

        headers = {"Content-Type": "application/jsonl"}
        assert (await api.http.post("/api/tasks/import", content=slowly(), headers=headers)).status_code == 201
        await api.http.delete(f"/api/tasks/{task_id}")


async def test_a_long_upload_that_is_refused(impatient: Server) -> None:
    """What goes on coming once it was refused is given up as any other request is."""
    head = b"POST /api/tasks/import HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\n"
    async with _connection(impatient) as (reader, writer), _dripping(writer, head):
        assert b" 415 " in await reader.readuntil(b"\r\n")
        await _until_closed(reader)


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
async def test_a_connection_that_asks_for_nothing(impatient: Server, sent: bytes) -> None:
    """A connection over which nothing comes, or nothing more, is closed."""
    async with _connection(impatient) as (reader, writer):
        writer.write(sent)
        async with asyncio.timeout(DEADLINE):
            await reader.read()


async def test_a_flood_of_requests(tmp_path: Path) -> None:
    """A client that asks faster than it may, also for WebSockets, is told when to come again, and is served then."""
    with Server(tmp_path / "data", REQUEST_RATE=1) as server:
        async with httpx.AsyncClient(base_url=server.url) as http:

            async def flood() -> Json:
                """What a WebSocket is told first after many requests at once."""
                responses = await asyncio.gather(*(http.get("/api/tasks") for _ in range(20)))
                refused = [response.json()["code"] for response in responses if response.status_code == 429]
                assert set(refused) == {"too_many_requests"}
                async with watch(server) as watcher:
                    frame = await watcher.receive()
                    assert frame["op"] == "hello" or await watcher.to_close() == 1013
                return frame

            async def is_served() -> bool:
                response = await http.get("/api/tasks")
                await asyncio.sleep(int(response.headers.get("retry-after", 0)))
                return response.status_code == 200

            assert (await until(flood, lambda frame: frame["op"] != "hello"))["code"] == "too_many_requests"
            await until(is_served)


async def test_frames_that_come_too_fast(tmp_path: Path) -> None:
    """What is sent too fast over a WebSocket is answered all the same, at the pace of the limit."""
    with Server(tmp_path / "data", REQUEST_RATE=2) as server:
        async with watch(server) as watcher:
            await watcher.until("hello")
            began = time.monotonic()
            for _ in range(7):
                await watcher.send("ping")
            for _ in range(7):
                await watcher.until("pong")
            assert time.monotonic() - began > 1


async def test_a_flood_of_frames(server: Server) -> None:
    """A client that sends without end and reads nothing holds nobody else up."""
    async with connect(f"{server.url.replace('http', 'ws')}/ws", close_timeout=0.1) as flooding:
        frame = json.dumps({"op": "subscribe", "task_id": "x"})

        async def flood() -> None:
            while True:
                await flooding.send(frame)
                await asyncio.sleep(0)  # as long as the socket takes it, nothing is waited for

        task = asyncio.create_task(flood())
        try:
            async with client(server) as api, watch(server) as watcher:
                for _ in range(10):
                    task_id = await api.create()
                    await watcher.subscribe(task_id)
                    await watcher.until("caught_up")
        finally:
            task.cancel()


async def test_the_events_of_a_task(small: Server) -> None:
    """A run that writes more events than it may is ended, and its log, with the reason, is within the limit."""
    async with client(small) as api:
        task_id = await api.started()
        state = await api.until_status(task_id, *TERMINAL)
        assert state["status"] == "FAILED"
        assert "40 events" in state["reason"]
        # What the server itself tells of the run, its terminal STATUS for one, is told in any case.
        told = [event for event in await api.events(task_id) if event["event_type"] not in ("STATUS", "RESOURCE")]
        assert len(told) <= EVENTS


# Writes less than a disk holds, and more than the run may.
FILLER = """```python
import time

for number in range(100):
    with open(f"{number}.txt", "w") as file:
        file.write("x" * 1_000_000)
    time.sleep(0.05)
```"""


def _qa_fills(prompt: str, system: str) -> str:
    return FILLER if "QA engineer" in prompt else demo_answer(prompt, system)


async def test_the_files_of_a_task(tmp_path: Path) -> None:
    """A run whose programs fill the disk is ended with all of them, and says why; another one is not."""
    with (
        OpenAiServer(answer=_qa_fills) as endpoint,
        Server(
            tmp_path / "data",
            LLM_BASE_URL=endpoint.url,
            LLM_API_KEY=API_KEY,
            LLM_MODEL=MODEL,
            WORKSPACE_LIMIT=10_000_000,
        ) as server,
    ):
        async with client(server) as api:
            full = await api.started("hangman", options={"run_tests": True})
            other = await api.started("hangman")
            state = await api.until_status(full, *TERMINAL)
            assert state["status"] == "FAILED" and "10,000,000 bytes on the disk" in state["reason"]
            errors = [event["payload"] for event in await api.events(full) if event["event_type"] == "ERROR"]
            assert [(error["error_type"], error["fatal"]) for error in errors] == [("WorkspaceFull", True)]
            assert not server.descendants or (await api.state(other))["status"] not in TERMINAL
            await api.until_succeeded(other)


async def test_tasks_in_all(tmp_path: Path) -> None:
    """Where there are as many tasks as may be, also when many come at once, others are refused until one is deleted."""
    with Server(tmp_path / "data", TASK_LIMIT=TASKS) as server:
        async with client(server) as api:
            responses = await asyncio.gather(
                *(api.http.post("/api/tasks", json={"input_prompt": "x"}) for _ in range(TASKS + 3))
            )
            refused = [response.json() for response in responses if response.status_code != 201]
            assert [(problem["status"], problem["code"]) for problem in refused] == [(409, "too_many_tasks")] * 3
            assert refused[0]["limit"] == TASKS
            tasks = (await api.http.get("/api/tasks")).json()["tasks"]
            assert len(tasks) == TASKS
            await api.http.delete(f"/api/tasks/{tasks[0]['id']}")
            await api.create()


async def test_an_import_has_a_place_from_its_start(tmp_path: Path) -> None:
    """A log that is on its way counts as a task, until it turns out to be none: many at once are no way around it."""
    begun, come = asyncio.Event(), asyncio.Event()

    async def coming() -> AsyncIterator[bytes]:
        begun.set()
        await come.wait()
        yield b"no log"

    async with told_supervisor(tmp_path, limits=RunLimits(grace=0.2, tasks=1)) as (supervisor, _):
        importing = asyncio.create_task(supervisor.import_log(coming()))
        await begun.wait()
        with pytest.raises(TasksFull):
            await supervisor.create_task(NewTask(input_prompt="x"))
        with pytest.raises(TasksFull):
            await supervisor.import_log(coming())
        come.set()
        with pytest.raises(LogFileError):
            await importing
        await supervisor.create_task(NewTask(input_prompt="x"))
