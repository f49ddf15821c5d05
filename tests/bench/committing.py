"""Commits single rows through aiosqlite's thread, paced: what a commit costs at least where the loop must not wait.

    python -m tests.bench.committing FOLDER NORMAL|FULL

The command `run COUNT RATE SIZE` answers with the median time from asking for a commit to its end.
"""

import asyncio
import json
import sqlite3
import statistics
import sys
import time
from functools import partial
from pathlib import Path

import uvloop

from runner.database import open_database
from tests.bench.producing import tail
from tests.bench.rows import INSERT_ROW, prepare_rows


async def run(path: Path, synchronous: str, count: int, rate: float, size: int) -> float:
    """Seconds."""
    prepare_rows(path)
    text = tail(1, size, "rows").decode()[1:]
    database = await open_database(path, writes=True)
    await database.run(lambda connection: connection.execute(f"PRAGMA synchronous = {synchronous}"))
    times: list[float] = []
    begun = time.perf_counter()
    for event_id in range(1, count + 1):
        await asyncio.sleep(max(0.0, begun + event_id / rate - time.perf_counter()))
        asked = time.perf_counter()
        await database.transaction(partial(_insert, (event_id, "LOG", "Engineer", text)))
        times.append(time.perf_counter() - asked)
    await database.close()
    return statistics.median(times)


def _insert(row: tuple[int, str, str, str], connection: sqlite3.Connection) -> None:
    connection.execute(INSERT_ROW, row)


def main(folder: Path, synchronous: str) -> None:
    print(json.dumps({"ready": True}), flush=True)
    for number, line in enumerate(sys.stdin):
        _, count, rate, size = line.split()
        path = folder / f"committing-{synchronous}-{number}.db"
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            took = runner.run(run(path, synchronous, int(count), float(rate), int(size)))
        print(json.dumps({"p50_ms": took * 1000}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
