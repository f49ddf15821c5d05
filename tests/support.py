"""What the tests of the server share: a real server process, a REST client that checks every answer against the OpenAPI
document, and WebSocket watchers that check the order of what they see.
"""

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, TypeVar, overload

import httpx
import jsonschema
import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from server.tokens import AccessRole, TokenFile

METAGPT_LIVE = Path(sys.executable).with_name("metagpt-live")
TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
DEADLINE = 20.0  # seconds after which a test gives up waiting

_UNVERIFIED = ssl.create_default_context()
_UNVERIFIED.check_hostname = False
_UNVERIFIED.verify_mode = ssl.CERT_NONE

Json = dict[str, Any]
_T = TypeVar("_T")


def environment(home: Path, **settings: object) -> dict[str, str]:
    """An environment without settings of ours but these, such as DEMO_PACE=0; home: where no MetaGPT config is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("METAGPT_LIVE_")}
    ours = {f"METAGPT_LIVE_{name}": str(value) for name, value in settings.items()}
    return kept | {"HOME": str(home)} | ours


def command(*arguments: object, home: Path, **settings: object) -> "subprocess.CompletedProcess[str]":
    """Run the command line to its end. settings: of the environment, without their prefix."""
    return subprocess.run(
        [METAGPT_LIVE, *map(str, arguments)],
        env=environment(home, **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE * 2,
    )


class Server:
    """A real server process on a free port, ready for use once its `with` block begins.

    data: its data folder. settings: of the environment, without their prefix; the demo model does not wait unless
    DEMO_PACE says so.
    """

    def __init__(self, data: Path, **settings: object) -> None:
        self.data = data
        self.home = data.parent / "home"
        self.settings = {"DEMO_PACE": 0} | settings
        self.url = ""
        self._log = data.parent / f"{data.name}.stderr"

    def __enter__(self) -> Self:
        self.home.mkdir(exist_ok=True)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [METAGPT_LIVE, "serve", "--port", "0", "--data", self.data],
                env=environment(self.home, **self.settings),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"is serving at (https?://\S+)", line):
                self.url = found[1]
                return self
        self.kill()
        raise AssertionError(f"the server did not start: {self.log}")

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(DEADLINE)
            finally:
                self.process.kill()
        self._close()
        assert "Traceback" not in self.log, self.log

    @property
    def log(self) -> str:
        """What the server wrote to its standard error."""
        return self._log.read_text()

    @property
    def fork_server(self) -> psutil.Process:
        """The process with MetaGPT in it; beside it there may be orphans that have ended."""
        (found,) = filter(_is_fork_server, psutil.Process(self.process.pid).children())
        return found

    @property
    def children(self) -> list[psutil.Process]:
        """The processes of runs."""
        return self.fork_server.children()

    @property
    def descendants(self) -> list[psutil.Process]:
        """The processes of runs, and whatever they have started."""
        return self.fork_server.children(recursive=True)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.process.kill()
        self.process.wait(DEADLINE)
        self._close()

    def _close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()


def _is_fork_server(process: psutil.Process) -> bool:
    try:
        return "runner.metagpt.forkserver" in process.cmdline()
    except psutil.Error:  # it has ended
        return False


@overload
async def until(get: Callable[[], Awaitable[_T]], holds: Callable[[_T], object] = ...) -> _T: ...
@overload
async def until(get: Callable[[], _T], holds: Callable[[_T], object] = ...) -> _T: ...
async def until(get: Callable[[], Any], holds: Callable[[Any], object] = bool) -> Any:
    """What `get` answers, once it holds. Raises after `DEADLINE` seconds."""
    deadline = time.monotonic() + DEADLINE
    while True:
        answer = get()
        value = await answer if isinstance(answer, Awaitable) else answer
        if holds(value):
            return value
        assert time.monotonic() < deadline, f"still {value!r:.500}"
        await asyncio.sleep(0.01)


async def gone(processes: list[psutil.Process]) -> None:
    """Wait until none of these processes is left; a zombie is gone."""

    def left() -> list[psutil.Process]:
        return [process for process in processes if alive(process)]

    await until(left, lambda found: not found)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@asynccontextmanager
async def open_request(server: Server, method: str, path: str) -> AsyncIterator[None]:
    """A request that was sent and whose answer nobody waits for, until the block ends."""
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
    await writer.drain()
    try:
        yield
    finally:
        writer.transport.abort()


class Description:
    """An OpenAPI document, to check answers against."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self._paths = {
            re.compile(re.sub(r"{\w+}", "[^/]+", path.replace("{path}", ".+")) + "$"): operations
            for path, operations in document["paths"].items()
        }
        self._validators: dict[str, jsonschema.Draft202012Validator] = {}
        self.seen: set[tuple[str, str, int]] = set()
        """Method, operation and status of every answer that was checked."""

    def check(self, response: httpx.Response) -> None:
        """Raise unless the document describes this answer."""
        method, path = response.request.method.lower(), response.request.url.path
        if path == "/openapi.json":
            return
        described = next((o[method] for pattern, o in self._paths.items() if pattern.match(path) and method in o), None)
        if described is None:
            assert response.status_code in (404, 405), f"{method} {path} is not described"
            self._validate(response.json(), {"$ref": "#/components/schemas/Problem"})
            return
        status = response.status_code
        assert str(status) in described["responses"], f"{method} {path} answers {status}: {response.text[:300]}"
        self.seen.add((method, described["operationId"], status))
        headers = described["responses"][str(status)].get("headers", {})
        assert ("Retry-After" in headers) == ("retry-after" in response.headers), f"{method} {path} answers {status}"
        content = described["responses"][str(status)].get("content")
        if content is None:
            assert not response.content
            return
        ((media_type, body),) = content.items()
        assert media_type in ("*/*", response.headers["content-type"].partition(";")[0])
        if not media_type.endswith("json"):
            return
        self._validate(response.json(), body["schema"])
        if media_type == "application/problem+json":
            assert response.json()["status"] == status

    def _validate(self, value: Any, schema: Json) -> None:
        key = json.dumps(schema)
        if key not in self._validators:
            self._validators[key] = jsonschema.Draft202012Validator(
                schema | {"components": self.document["components"]}
            )
        self._validators[key].validate(value)


class Api:
    """The REST API of a server. Every answer is checked against the OpenAPI document."""

    def __init__(self, client: httpx.AsyncClient, description: Description) -> None:
        self.http = client
        self.description = description

    async def create(self, idea: str = "hangman", **fields: Any) -> str:
        """Make a task; its id."""
        response = await self.http.post("/api/tasks", json={"input_prompt": idea} | fields)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def run(self, task_id: str) -> None:
        response = await self.http.post(f"/api/tasks/{task_id}/run")
        assert response.status_code == 202, response.text

    async def started(self, idea: str = "hangman", **fields: Any) -> str:
        """Make and run a task; its id."""
        task_id = await self.create(idea, **fields)
        await self.run(task_id)
        return task_id

    async def finished(self, idea: str = "hangman", **fields: Any) -> str:
        """A task that has run to its end, and succeeded; its id."""
        task_id = await self.started(idea, **fields)
        await self.until_succeeded(task_id)
        return task_id

    async def state(self, task_id: str) -> Json:
        return await self._get(f"/api/tasks/{task_id}/state")

    async def stop(self, task_id: str) -> Json:
        response = await self.http.post(f"/api/tasks/{task_id}/stop")
        assert response.status_code == 200, response.text
        stopped: Json = response.json()
        return stopped

    async def page(self, task_id: str, **query: Any) -> Json:
        return await self._get(f"/api/tasks/{task_id}/events", **query)

    async def events(self, task_id: str, **query: Any) -> list[Json]:
        """The events of a task so far, in pages."""
        events: list[Json] = []
        cursor, head = 0, 1
        while cursor < head:
            page = await self.page(task_id, since_event_id=cursor, **query)
            events += page["events"]
            cursor, head = page["cursor"], page["head"]
        return events

    async def follow(self, task_id: str, **query: Any) -> list[Json]:
        """The events of a task until it has ended, by long polls."""
        events: list[Json] = []
        cursor = 0
        while True:
            page = await self.page(task_id, since_event_id=cursor, wait=DEADLINE, **query)
            events += page["events"]
            cursor = page["cursor"]
            if page["terminal"]:
                return events

    async def until_status(self, task_id: str, *statuses: str) -> Json:
        return await until(lambda: self.state(task_id), lambda state: state["status"] in statuses)

    async def until_succeeded(self, task_id: str) -> None:
        state = await self.until_status(task_id, *TERMINAL)
        assert state["status"] == "SUCCEEDED", state["reason"]

    async def until_event(self, task_id: str, event_type: str) -> Json:
        """The first event of a type."""
        page = await self.page(task_id, types=event_type, limit=1, wait=DEADLINE)
        assert page["events"], f"no {event_type}: {await self.state(task_id)}"
        event: Json = page["events"][0]
        return event

    async def _get(self, path: str, **query: Any) -> Json:
        response = await self.http.get(path, params=query)
        assert response.status_code == 200, response.text
        body: Json = response.json()
        return body


_descriptions: dict[str, Description] = {}


@asynccontextmanager
async def client(server: Server, *, token: str | None = None) -> AsyncIterator[Api]:
    """token: one to come in with, where that is needed."""
    headers = bearer(token) if token else {}
    async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE * 2, verify=False, headers=headers) as http:
        if server.url not in _descriptions:
            _descriptions[server.url] = Description((await http.get("/openapi.json")).json())
        description = _descriptions[server.url]

        async def check(response: httpx.Response) -> None:
            await response.aread()
            description.check(response)

        http.event_hooks = {"response": [check]}
        yield Api(http, description)


class Watcher:
    """A WebSocket client, and what it has seen of each task.

    Unless told otherwise by a filter, it raises when an event is missing, comes twice or out of order.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.frames: list[Json] = []
        """Every frame, in order; with their events, which are in `events` too."""
        self.events: dict[str, list[Json]] = {}
        self._cursors: dict[str, int | None] = {}

    @property
    def close_code(self) -> int | None:
        return self.connection.close_code

    async def send(self, op: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"op": op} | fields))

    async def subscribe(self, task_id: str, since_event_id: int = 0, **filter: Any) -> None:
        self.expect(task_id, since_event_id, filtered=bool(filter))
        await self.send("subscribe", task_id=task_id, since_event_id=since_event_id, **filter)

    def expect(self, task_id: str, cursor: int, *, filtered: bool) -> None:
        self._cursors[task_id] = None if filtered else cursor

    async def receive(self) -> Json:
        """The next frame."""
        async with asyncio.timeout(DEADLINE):
            text = await self.connection.recv()
        assert isinstance(text, str)
        frame: Json = json.loads(text)
        self.frames.append(frame)
        if frame["op"] == "events":
            self._take(frame["task_id"], frame["events"])
        return frame

    async def until(self, op: str, when: Callable[[Json], object] = lambda frame: True) -> Json:
        """The next frame of this op."""
        while True:
            frame = await self.receive()
            if frame["op"] == op and when(frame):
                return frame

    async def until_event(self, event_type: str) -> Json:
        """The next event of a type."""
        while True:
            frame = await self.until("events")
            for event in frame["events"]:
                if event["event_type"] == event_type:
                    found: Json = event
                    return found

    async def to_close(self) -> int | None:
        """Read until the server closes; the close code."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            return self.close_code

    def _take(self, task_id: str, events: list[Json]) -> None:
        assert events, "an empty events frame"
        seen = self.events.setdefault(task_id, [])
        for event in events:
            assert event["task_id"] == task_id
            cursor = self._cursors[task_id]
            if cursor is not None:
                assert event["event_id"] == cursor + 1, f"{event['event_id']} follows {cursor}"
                self._cursors[task_id] = cursor + 1
            seen.append(event)


@asynccontextmanager
async def watch(
    server: Server, path: str = "/ws", headers: Mapping[str, str] | None = None, /, **query: object
) -> AsyncIterator[Watcher]:
    """A watcher at an entrance. headers: of its handshake."""
    encoded = str(httpx.QueryParams({name: str(value) for name, value in query.items()}))
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(
            connect(
                f"{server.url.replace('http', 'ws', 1)}{path}?{encoded}",
                max_size=None,
                ssl=_UNVERIFIED if server.url.startswith("https") else None,
                additional_headers=headers,
            )
        )
        yield Watcher(connection)


@asynccontextmanager
async def watch_task(server: Server, task_id: str, since_event_id: int = 0, **filter: object) -> AsyncIterator[Watcher]:
    """A watcher at a task's own entrance."""
    query: Mapping[str, object] = {"since_event_id": since_event_id} | filter
    async with watch(server, f"/api/tasks/{task_id}/events", **query) as watcher:
        watcher.expect(task_id, since_event_id, filtered=bool(filter))
        yield watcher


def new_token(file: Path, *, role: str = "operator") -> str:
    """A new token in a file, good for an hour."""
    presented, _ = TokenFile(file).create(AccessRole(role), timedelta(hours=1))
    return presented


def bearer(token: str) -> dict[str, str]:
    """The header of a request with a token."""
    return {"Authorization": f"Bearer {token}"}


def ids(events: list[Json]) -> list[int]:
    return [event["event_id"] for event in events]


def statuses(events: list[Json]) -> list[tuple[int, str]]:
    """Attempt and status of every STATUS event."""
    return [
        (event["payload"]["attempt"], event["payload"]["status"]) for event in events if event["event_type"] == "STATUS"
    ]


def ends(events: list[Json]) -> list[tuple[int, str]]:
    """Attempt and status of every terminal STATUS."""
    return [(attempt, status) for attempt, status in statuses(events) if status in TERMINAL]
