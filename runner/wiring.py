"""The wiring of the runner: a supervisor over a folder, with everything it needs."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from runner.attempt import Confinement, Llm
from runner.base import Durability
from runner.boot import boot_id
from runner.folder import DATABASE, hold
from runner.forkserver import ForkServer
from runner.limits import RunLimits
from runner.places import WAITING_LIMIT, Places
from runner.queue import QUEUE_LIMIT, Queue
from runner.recorder import Recorder
from runner.retention import retain
from runner.store import SqliteStore
from runner.supervisor import Supervisor
from runner.workspace import unfinished

_KEEPING_THREADS = 4  # for the files of runs
_READING_THREADS = 4  # for who looks at files: a zip may take long, and no run waits for it


@asynccontextmanager
async def open_supervisor(
    data: Path,
    *,
    llm: Llm,
    limits: RunLimits,
    concurrency: int,
    queue_limit: int = QUEUE_LIMIT,
    waiting_limit: int = WAITING_LIMIT,
    durability: Durability = "normal",
    keep_days: float | None = None,
    allow_network: bool = False,
) -> AsyncIterator[Supervisor]:
    """A supervisor over the folder `data`, with everything it needs; closed in order at the end.

    Attempts that the last server left open are ended; what it left queued waits for `resume_queue`.

    concurrency: attempts at work at the same time. waiting_limit: attempts that may wait for a person beside them.
    queue_limit: tasks that may wait in the queue. keep_days: days after its end that a run's events are kept; None for
    ever. allow_network: whether the programs of runs have the network.

    Raises `DataFolderBusy` and `DatabaseUnusable`.
    """
    with hold(data):
        store = await SqliteStore.open(data / DATABASE, durability=durability, boot=boot_id())
        try:
            async with (
                Recorder(store) as recorder,
                ForkServer(data / "scratch") as forks,
                _threads(_KEEPING_THREADS, "keeping") as keeping,
                _threads(_READING_THREADS, "reading") as reading,
            ):
                supervisor = Supervisor(
                    store=store,
                    recorder=recorder,
                    forks=forks,
                    llm=llm,
                    folder=data / "tasks",
                    confinement=Confinement(hidden=str(data), allow_network=allow_network),
                    queue=Queue(limit=queue_limit),
                    places=Places(concurrency, waiting_limit=waiting_limit),
                    limits=limits,
                    durability=durability,
                    keeping=keeping,
                    reading=reading,
                )
                await supervisor.recover()
                left = unfinished(data / "tasks")
                retention = asyncio.create_task(retain(supervisor.expire, keep_days), name="retention")
                sweeping = asyncio.create_task(supervisor.sweep(left), name="sweep")
                try:
                    yield supervisor
                finally:
                    retention.cancel()
                    sweeping.cancel()
                    await supervisor.aclose()
        finally:
            await store.aclose()


@asynccontextmanager
async def _threads(count: int, name: str) -> AsyncIterator[Executor]:
    executor = ThreadPoolExecutor(count, thread_name_prefix=name)
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
