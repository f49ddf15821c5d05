"""A database with garbage in the middle of one log, as a failing disk leaves it."""

import asyncio
from contextlib import aclosing
from pathlib import Path

from runner.store import SqliteStore
from tests.logs import make_commit, make_task

PAGE = 4096  # bytes, SQLite's own size
COMMITS = 60  # of each log, so that it fills pages of its own


async def damaged_database(path: Path) -> None:
    """Make one with the tasks "damaged" and "whole"."""
    async with aclosing(await SqliteStore.open(path)) as store:
        for task_id in ("damaged", "whole"):
            task = await store.create_task(make_task(task_id), key=None, fingerprint="")
            for number in range(COMMITS):
                commit = make_commit(task, [f"{task_id} says {number} {'x' * 200}"])
                await store.append([commit])
                task = commit.task
    await asyncio.to_thread(_damage, path)


def _damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    page = content.index(f"damaged says {COMMITS // 2} ".encode()) // PAGE * PAGE
    content[page : page + PAGE] = b"\xff" * PAGE
    path.write_bytes(content)
