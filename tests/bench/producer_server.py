"""The server under test: everything as in production, with events made here in place of a team's.

    python -m tests.bench.producer_server DATA [--store ours|bare|memory] [--durability normal|full]

Store, recorder, supervisor, hub, application and uvicorn are wired as `metagpt-live serve` does it; only the fork
server is never started. A producer's events go the way of a child's: as lines through `Run`, into the recorder,
committed, and only then to the hub. Further commands than those of producing.py:

    child COUNT RATE SIZE   the same from a process of its own, through its channel and the pipe: the child's whole way
    fill EVENTS SIZE        begin a log of so many events, written through the recorder
    grow EVENTS SIZE        write so many more

--store memory commits nothing, to show what the commit costs; --store bare commits each event as a row in a table that
has nothing else, and knows nothing of logs, to show what it costs at least.
"""

import argparse
import asyncio
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import uvloop

from runner.attempt import Confinement, Llm
from runner.base import Commit, Durability, Entry
from runner.blobs import Blobs
from runner.database import write
from runner.events import EventType
from runner.forkserver import Child, ForkServer
from runner.hearing import heard
from runner.limits import RunLimits
from runner.places import WAITING_LIMIT, Places
from runner.queue import QUEUE_LIMIT, Queue
from runner.recorder import Recorder
from runner.run import Run
from runner.store import SqliteStore
from runner.supervisor import Supervisor
from runner.task import NewTask, Task
from server.app import create_app
from server.serving import listen, serve
from tests.bench.processes import ROOT
from tests.bench.producing import Producer, idle_loop, tail
from tests.loopback import loopback_gate

GROW_BATCH = 1000  # events

MAKE_BARE = "CREATE TABLE bare (event_id INTEGER PRIMARY KEY, event BLOB NOT NULL)"
INSERT_BARE = "REPLACE INTO bare VALUES (?, ?)"


class MemoryStore(SqliteStore):
    """Takes events and forgets them."""

    async def append(self, commits: Sequence[Commit]) -> list[bool]:
        return [True] * len(commits)


class BareStore(SqliteStore):
    """Puts each event into a table of its own, and that is all."""

    @classmethod
    async def open(cls, path: Path, *, durability: Durability = "normal", boot: str | None = None) -> Self:
        store = await super().open(path, durability=durability, boot=boot)
        await store._writer.run(lambda connection: connection.execute(MAKE_BARE))
        return store

    async def append(self, commits: Sequence[Commit]) -> list[bool]:
        rows = [(event.event_id, event.encoded) for commit in commits for event in commit.events]
        await self._writer.run(partial(write, [(INSERT_BARE, rows)]))
        return [True] * len(commits)


STORES: dict[str, type[SqliteStore]] = {"ours": SqliteStore, "bare": BareStore, "memory": MemoryStore}


class ProducerServer:
    def __init__(self, store: SqliteStore, recorder: Recorder, data: Path) -> None:
        self._store = store
        self._recorder = recorder
        self._data = data
        self._forks = ForkServer(data / "scratch")  # never entered: no run is ever started
        self._llm = Llm()
        self.supervisor = Supervisor(
            store=store,
            recorder=recorder,
            forks=self._forks,
            llm=self._llm,
            folder=data / "tasks",
            confinement=Confinement(hidden=str(data)),
            queue=Queue(limit=QUEUE_LIMIT),
            places=Places(1, waiting_limit=WAITING_LIMIT),
            limits=RunLimits(),
        )
        self.application = create_app(self.supervisor, llm=self._llm, gate=loopback_gate())
        self._commit: asyncio.Future[None] | None = None

    async def new(self) -> str:
        task = await self.supervisor.create_task(NewTask(input_prompt="Make events"))
        self._run = self._run_of(task)
        return task.id

    async def send(self, first_id: int, count: int, size: int) -> None:
        task_id = self._run.task.id
        self._commit = self._run._absorb(heard(tail(first_id + n, size, task_id) for n in range(count)))

    async def settle(self) -> None:
        if self._commit is not None:
            await self._commit
        await idle_loop()

    async def command(self, words: list[str]) -> dict[str, Any]:
        match words:
            case ["child", count, rate, size]:
                return await self._child(count, rate, size)
            case ["fill", events, size]:
                await self.new()
                return await self._grow(int(events), int(size))
            case ["grow", events, size]:
                return await self._grow(int(events), int(size))
        raise ValueError(words)

    async def _child(self, count: str, rate: str, size: str) -> dict[str, Any]:
        """As `Run._attempt`: read what the process writes, and record it."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.bench.emitting_child",
                *(str(theirs.fileno()), count, rate, size),
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
            )
        child = Child(self._forks, process.pid, ours)
        while lines := await child.lines():
            await self._run._absorb(heard(lines))
        child.close()
        await process.wait()
        return {"last_id": self._run.task.head}

    async def _grow(self, events: int, size: int) -> dict[str, Any]:
        """In batches, and without the child's lines being looked at: this is about the store."""
        task = self._run.task
        end = task.head + events
        begun = time.perf_counter()
        while task.head < end:
            count = min(GROW_BATCH, end - task.head)
            entries = [Entry(EventType.TOKEN, "Engineer", tail(task.head + 1, size, task.id)[1:])] * count
            task, done = self._recorder.append(task, entries)
            await done
        self._run = self._run_of(task)
        return {"task_id": task.id, "last_id": task.head, "seconds": time.perf_counter() - begun}

    def _run_of(self, task: Task) -> Run:
        return Run(
            task,
            store=self._store,
            recorder=self._recorder,
            forks=self._forks,
            llm=self._llm,
            workspace=self._data / "workspace",
            blobs=Blobs(self._data / "blobs", "normal"),
            confinement=Confinement(hidden=str(self._data)),
            limits=RunLimits(),
            on_waiting=lambda run: None,
        )


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--store", choices=STORES, default="ours")
    parser.add_argument("--durability", choices=("normal", "full"), default="normal")
    arguments = parser.parse_args()
    store = await STORES[arguments.store].open(arguments.data / "bench.db", durability=arguments.durability)
    async with Recorder(store) as recorder:
        server = ProducerServer(store, recorder, arguments.data)
        with listen("127.0.0.1", 0) as listener:
            producing: list[asyncio.Task[None]] = []

            def started() -> None:
                producing.append(Producer(server).start(listener.getsockname()[1]))
                # There is nothing to save, and closing thousands of connections in order would take seconds.
                producing[0].add_done_callback(lambda _: signal.raise_signal(signal.SIGKILL))

            with suppress(asyncio.CancelledError):
                application = server.application
                await serve(
                    application,
                    listener,
                    loopback_gate(),
                    context=None,
                    proxies=(),
                    on_started=started,
                    on_second=application.tend,
                    on_stopping=application.close,
                )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
