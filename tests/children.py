"""Children that do what a test tells them, under a real supervisor and a real store."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec

from runner.attempt import AttemptSpec, Confinement, Llm, Note, Options, Sync
from runner.base import Filter
from runner.errors import ChildLost
from runner.events import EventType, draft
from runner.forkserver import Child, ForkServer
from runner.limits import RunLimits
from runner.places import WAITING_LIMIT, Places
from runner.queue import QUEUE_LIMIT, Queue
from runner.recorder import Recorder
from runner.states import TERMINAL, Status
from runner.store import SqliteStore
from runner.supervisor import Supervisor
from runner.task import NewTask, Task
from tests.support import DEADLINE, until

LIMITS = RunLimits(grace=0.2)


class ToldChild(Child):
    """A child whose side of the pipe the test holds. deaf: it does not end on SIGTERM."""

    def __init__(self, server: ForkServer, connection: socket.socket, theirs: socket.socket, spec: AttemptSpec) -> None:
        super().__init__(server, os.getpid(), connection)
        self.spec = spec
        self.deaf = False
        self.signals: list[signal.Signals] = []
        self._theirs = theirs

    def signal(self, number: signal.Signals) -> None:
        if self.exited.done():
            return
        self.signals.append(number)
        if number == signal.SIGKILL:
            self.exit(-number)
        elif not self.deaf:
            self.exit(143)

    def emit(self, event_type: EventType, payload: dict[str, Any], *, agent_role: str | None = None) -> None:
        self.write(_line(event_type, payload, agent_role))

    async def emit_all(self, event_type: EventType, payload: dict[str, Any], *, agent_role: str | None = None) -> None:
        """Emit what may be more than the pipe has room for now."""
        await asyncio.get_running_loop().sock_sendall(self._theirs, _line(event_type, payload, agent_role))

    def note(self, note: Note) -> None:
        self.write(msgspec.json.encode(note) + b"\n")

    def emit_and_sync(self, event_type: EventType, payload: dict[str, Any]) -> None:
        """Emit, and ask with the same write when that is in the log."""
        self.write(_line(event_type, payload, None) + msgspec.json.encode(Sync(number=1)) + b"\n")

    def write(self, data: bytes) -> None:
        self._theirs.sendall(data)

    def finish(self) -> None:
        """End well."""
        self.emit(EventType.RESULT, {"message": "done", "final_result": {"artifacts": []}})
        self.exit(0)

    def exit(self, code: int | None) -> None:
        self._theirs.close()
        self.exited.set_result(code)

    async def received(self) -> dict[str, Any]:
        """The next line that the supervisor has sent."""
        line = b""
        async with asyncio.timeout(DEADLINE):
            while not line.endswith(b"\n"):
                line += await asyncio.get_running_loop().sock_recv(self._theirs, 1)
        decoded: dict[str, Any] = msgspec.json.decode(line)
        return decoded


def _line(event_type: EventType, payload: dict[str, Any], agent_role: str | None) -> bytes:
    return msgspec.json.encode(draft(event_type, payload, agent_role=agent_role)) + b"\n"


class ToldForks(ForkServer):
    """A fork server whose children are told what to do. refuses: why no child can be made; None if it can."""

    def __init__(self) -> None:
        self.refuses: str | None = None
        self.held = asyncio.Event()
        """Set as long as forks are served."""
        self.held.set()
        self._made: asyncio.Queue[ToldChild] = asyncio.Queue()

    async def fork(self, spec: AttemptSpec) -> Child:
        await self.held.wait()
        if self.refuses is not None:
            raise ChildLost(self.refuses)
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        child = ToldChild(self, ours, theirs, spec)
        self._made.put_nowait(child)
        return child

    async def child(self) -> ToldChild:
        """The next child that was forked."""
        async with asyncio.timeout(DEADLINE):
            return await self._made.get()


@asynccontextmanager
async def told_supervisor(
    folder: Path,
    *,
    places: int = 2,
    limits: RunLimits = LIMITS,
    waiting_limit: int = WAITING_LIMIT,
    kind: type[SqliteStore] = SqliteStore,
) -> AsyncIterator[tuple[Supervisor, ToldForks]]:
    """A supervisor, and the fork server whose children the test tells what to do. kind: of its store."""
    forks = ToldForks()
    async with aclosing(await kind.open(folder / "tasks.db")) as store, Recorder(store) as recorder:
        supervisor = Supervisor(
            store=store,
            recorder=recorder,
            forks=forks,
            llm=Llm(demo_pace=0),
            folder=folder / "tasks",
            confinement=Confinement(hidden=str(folder)),
            queue=Queue(limit=QUEUE_LIMIT),
            places=Places(places, waiting_limit=waiting_limit),
            limits=limits,
        )
        try:
            yield supervisor, forks
        finally:
            await supervisor.aclose()


def leave_behind(folder: Path, other: Path) -> None:
    """Put into another folder what a server that was killed now would leave in this one."""
    other.mkdir()
    with (
        closing(sqlite3.connect(folder / "tasks.db")) as left,
        closing(sqlite3.connect(other / "tasks.db")) as copy,
    ):
        left.backup(copy)


class Stage:
    """A task that is being run, and its child."""

    def __init__(self, supervisor: Supervisor, forks: ToldForks) -> None:
        self.supervisor = supervisor
        self.forks = forks
        self.task_id = ""

    async def start(self, **options: Any) -> None:
        new = NewTask(input_prompt="x", options=Options(**options))
        self.task_id = (await self.supervisor.create_task(new)).id
        await self.supervisor.start_task(self.task_id)

    async def child(self, **options: Any) -> ToldChild:
        """The child of a run that has just begun."""
        await self.start(**options)
        return await self.forks.child()

    async def task(self) -> Task:
        return await self.supervisor.get_task_state(self.task_id)

    async def until(self, *statuses: Status) -> Task:
        return await until(self.task, lambda task: task.status in statuses)

    async def end(self) -> Task:
        return await self.until(*TERMINAL)

    async def log(self) -> list[dict[str, Any]]:
        page = await self.supervisor.get_task_events(self.task_id, after=0, limit=10**5, size=10**9, filter=Filter())
        return [json.loads(event) for event in page.events]

    async def kinds(self) -> list[str]:
        return [event["event_type"] for event in await self.log()]
