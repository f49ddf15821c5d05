"""A server in the test's own process, on a data folder, whose tasks say what the test wants.

Everything is real: recorder, SQLite, supervisor, hub, application and uvicorn. Only the fork server is never started.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import uvicorn

from runner.attempt import Confinement, Llm
from runner.base import Filter
from runner.events import EventType, draft, now
from runner.forkserver import ForkServer
from runner.limits import RunLimits
from runner.places import WAITING_LIMIT, Places
from runner.queue import QUEUE_LIMIT, Queue
from runner.recorder import Recorder, entry
from runner.states import TERMINAL, Status
from runner.store import SqliteStore
from runner.supervisor import Supervisor
from runner.task import NewTask, Task
from server.app import create_app
from server.bounds import STALL_TIMEOUT
from server.intake import intake
from server.stream import StreamProtocol
from tests.loopback import loopback_gate
from tests.support import DEADLINE

# What events are made of, in turn.
TYPES = (EventType.TOKEN, EventType.LOG, EventType.MESSAGE)
ROLES = (None, "Alice", "Bob")

SOCKET_BUFFER = 4096  # bytes that the kernel may hold for a connection


class Log:
    """What was written to a task: the truth, by event_id from 1.

    ends: the last events of its attempts so far. expired: event_id up to which retention may have deleted.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.drafts: list[tuple[EventType, str | None, str]] = []
        self.deleted = False
        self.ends: list[int] = []
        self.expired = 0

    def passing(self, filter: Filter, after: int) -> list[int]:
        """The event_ids above a cursor that a filter lets pass."""
        return [
            number
            for number, (event_type, role, _) in enumerate(self.drafts[after:], after + 1)
            if filter.passes(event_type, role)
        ]


class World:
    """A server on a data folder that can be closed and opened again, and what was written to its tasks."""

    def __init__(
        self,
        data: Path,
        protocol: type[asyncio.Protocol] | str = StreamProtocol,
        store: type[SqliteStore] = SqliteStore,
        stall: float = STALL_TIMEOUT,
        certificate: Path | None = None,
    ) -> None:
        """certificate: of a server that speaks TLS; its key lies beside it."""
        self._data = data
        self._open = store.open
        self._protocol = protocol
        self._stall = stall
        self._certificate = certificate
        self.up = asyncio.Event()
        self.epoch = ""
        self.http = httpx.AsyncClient(timeout=DEADLINE, trust_env=False)

    async def start(self) -> None:
        self.store = await self._open(self._data / "metagpt-live.db")
        assert self.epoch in ("", self.store.epoch)
        self.epoch = self.store.epoch
        self._recorder = await Recorder(self.store).__aenter__()
        self.supervisor = Supervisor(
            store=self.store,
            recorder=self._recorder,
            forks=ForkServer(self._data / "scratch"),  # never entered: the events are made here
            llm=Llm(),
            folder=self._data / "tasks",
            confinement=Confinement(hidden=str(self._data)),
            queue=Queue(limit=QUEUE_LIMIT),
            places=Places(1, waiting_limit=WAITING_LIMIT),
            limits=RunLimits(),
        )
        gate = loopback_gate()
        config = uvicorn.Config(
            create_app(self.supervisor, llm=Llm(), gate=gate),
            lifespan="off",
            http=intake(gate.clients, timeout=gate.limits.request_timeout, stall=self._stall),  # type: ignore[arg-type]
            ws=self._protocol,
            ws_per_message_deflate=False,
            log_config=None,
            log_level="critical",
            ssl_certfile=self._certificate,
            ssl_keyfile=self._certificate and self._certificate.with_name("key.pem"),
        )
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
        self.port = listener.getsockname()[1]
        self._server = uvicorn.Server(config)
        self.connections = self._server.server_state.connections
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:  # noqa: ASYNC110, it has no event
            await asyncio.sleep(0)
        self.address = f"127.0.0.1:{self.port}"
        self.up.set()

    async def stop(self) -> None:
        self.up.clear()
        self._server.should_exit = True
        await self._serving
        await self._recorder.__aexit__()
        await self.store.aclose()

    async def begin(self) -> None:
        """Make the task that is read, and another."""
        self.log = await self.new_log()
        self.other = await self.new_log()

    def append(
        self, log: Log, count: int, size: int, *, padding: int = 0, status: Status = Status.RUNNING
    ) -> "asyncio.Future[None]":
        """Write events. size: characters of each message, about. padding: further ones, that are not kept here.

        Returns a future that is done when they are committed.
        """
        head = len(log.drafts)
        for number in range(head + 1, head + count + 1):
            text = f"{log.task.id} says {number} — “{'x' * (number * 7 % (size + 1))}”"
            log.drafts.append((TYPES[number % 3], ROLES[number // 3 % 3], text))
        entries = [
            entry(draft(event_type, {"message": text, "padding": "x" * padding}, agent_role=role))
            for event_type, role, text in log.drafts[head:]
        ]
        log.task, done = self._recorder.append(_moved(log.task, status), entries)
        if status in TERMINAL:
            log.ends.append(len(log.drafts))
        return done

    async def expire(self, log: Log) -> None:
        """Have retention delete the events of a log whose attempt has ended."""
        log.expired = len(log.drafts)
        assert await self.supervisor.expire(now()) == [log.task.id]

    async def new_log(self) -> Log:
        return Log(await self.supervisor.create_task(NewTask(input_prompt="Make events")))


def _moved(task: Task, status: Status) -> Task:
    """A task with a status; where its attempt has ended, of the next attempt."""
    attempt = task.attempt + (task.status in TERMINAL)
    ended = now() if status in TERMINAL else None
    return msgspec.structs.replace(task, status=status, attempt=attempt, completed_at=ended)


@contextlib.asynccontextmanager
async def running(world: World) -> AsyncIterator[World]:
    await world.start()
    try:
        await world.begin()
        yield world
    finally:
        await world.stop()
        await world.http.aclose()
