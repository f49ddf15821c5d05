"""Appends to one log in one of several ways.

    python -m tests.bench.appending FOLDER WAY NORMAL|FULL

Ways: `lines`, as the supervisor does it, through `Run` and the recorder, LINES of the child at a time; `single`,
through the recorder from 256 tasks of which each waits for its commit. The references have a row per event, as a log in
SQLite usually has, and keep no running hash: `each`, aiosqlite with a commit per event; `raw`, sqlite3 with 100 events
per commit and nothing around it.
The command `run SECONDS SIZE` answers with the events and the seconds that they took.
"""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiosqlite
import uvloop

from runner.attempt import Confinement, Llm, Options
from runner.base import Entry
from runner.blobs import Blobs
from runner.events import EventType
from runner.forkserver import ForkServer
from runner.hearing import heard
from runner.limits import RunLimits
from runner.recorder import Recorder
from runner.run import Run
from runner.store import SqliteStore
from runner.task import Task
from tests.bench.producing import tail
from tests.bench.rows import ADVANCE, INSERT_ROW, prepare_rows

LINES = 100  # of the child, read at a time
UNDER_WAY = 8  # such reads that wait for their commit; the supervisor itself waits for each
RAW_BATCH = 100
TASKS = 256

Way = Callable[[Path, str, float, int], Coroutine[Any, Any, tuple[int, float]]]


async def lines(path: Path, synchronous: str, seconds: float, size: int) -> tuple[int, float]:
    store = await _store(path, synchronous)
    forks = ForkServer(path.parent / "scratch")
    async with Recorder(store) as recorder:
        task = await store.create_task(_task("lines"), key=None, fingerprint="")
        run = Run(
            task,
            store=store,
            recorder=recorder,
            forks=forks,
            llm=Llm(),
            workspace=path.parent,
            blobs=Blobs(path.parent / "blobs", "normal"),
            confinement=Confinement(hidden=str(path.parent)),
            limits=RunLimits(),
            on_waiting=lambda run: None,
        )
        batch = [tail(n, size, task.id) for n in range(LINES)]
        under_way: list[asyncio.Future[None]] = []
        begun = time.perf_counter()
        while time.perf_counter() < begun + seconds:
            under_way.append(run._absorb(heard(batch)))
            if len(under_way) == UNDER_WAY:
                await under_way.pop(0)
        for commit in under_way:
            await commit
        took = time.perf_counter() - begun
    await store.aclose()
    return run.task.head, took


async def single(path: Path, synchronous: str, seconds: float, size: int) -> tuple[int, float]:
    store = await _store(path, synchronous)
    async with Recorder(store) as recorder:

        async def produce(task: Task) -> int:
            line = tail(1, size, task.id)
            while time.perf_counter() < begun + seconds:
                task, done = recorder.append(task, [Entry(EventType.TOKEN, "Engineer", line[1:])])
                await done
            return task.head

        tasks = [await store.create_task(_task(f"task-{n}"), key=None, fingerprint="") for n in range(TASKS)]
        begun = time.perf_counter()
        heads = await asyncio.gather(*(produce(task) for task in tasks))
        took = time.perf_counter() - begun
    await store.aclose()
    return sum(heads), took


async def each(path: Path, synchronous: str, seconds: float, size: int) -> tuple[int, float]:
    prepare_rows(path)
    text = tail(1, size, "each").decode()[1:]
    event_id = 0
    async with aiosqlite.connect(path) as database:
        await database.execute(f"PRAGMA synchronous = {synchronous}")
        begun = time.perf_counter()
        while time.perf_counter() < begun + seconds:
            event_id += 1
            await database.execute(ADVANCE, (event_id,))
            await database.execute(INSERT_ROW, (event_id, "TOKEN", "Engineer", text))
            await database.commit()
        took = time.perf_counter() - begun
    return event_id, took


async def raw(path: Path, synchronous: str, seconds: float, size: int) -> tuple[int, float]:
    prepare_rows(path)
    text = tail(1, size, "raw").decode()[1:]
    event_id = 0
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA synchronous = {synchronous}")
    begun = time.perf_counter()
    while time.perf_counter() < begun + seconds:
        rows = [(event_id + n, "TOKEN", "Engineer", text) for n in range(1, RAW_BATCH + 1)]
        event_id += RAW_BATCH
        database.execute("BEGIN")
        database.execute(ADVANCE, (event_id,))
        database.executemany(INSERT_ROW, rows)
        database.execute("COMMIT")
    took = time.perf_counter() - begun
    database.close()
    return event_id, took


WAYS: dict[str, Way] = {"lines": lines, "single": single, "each": each, "raw": raw}


async def _store(path: Path, synchronous: str) -> SqliteStore:
    return await SqliteStore.open(path, durability="full" if synchronous == "FULL" else "normal")


def _task(task_id: str) -> Task:
    return Task(
        id=task_id,
        title="Append",
        input_prompt="Append",
        priority=0,
        options=Options(),
        created_at="2026-01-01T00:00:00.000000Z",
    )


def main(folder: Path, way: str, synchronous: str) -> None:
    print(json.dumps({"ready": way}), flush=True)
    for number, line in enumerate(sys.stdin):
        _, seconds, size = line.split()
        path = folder / f"{way}-{synchronous}-{number}.db"
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            events, took = runner.run(WAYS[way](path, synchronous, float(seconds), int(size)))
        print(json.dumps({"events": events, "seconds": took, "bytes": path.stat().st_size}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
