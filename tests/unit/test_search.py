"""The indexes of searches: files that can be spoilt, that take time to make, and are only so many open at a time."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
import pytest_asyncio

from runner import search
from runner.database import Database, open_database
from runner.errors import SearchUnfinished
from runner.store import SqliteStore
from tests.logs import make_commit, make_task


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "tasks.db")
    yield store
    await store.aclose()


async def _write(store: SqliteStore, task_id: str, words: list[str]) -> None:
    task = await store.create_task(make_task(task_id), key=None, fingerprint="")
    await store.append([make_commit(task, words)])


async def _search(store: SqliteStore, task_id: str = "task") -> list[int]:
    findings = await store.search_events(task_id, query="needle", limit=2000, before=None)
    return [finding.event_id for finding in findings.found]


def _overwrite(path: Path, content: bytes, *, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def _empty_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as index:
        index.execute("DROP TABLE events")


DAMAGES = {
    "no database": lambda path: path.write_bytes(b"no database" * 1000),
    "pages": lambda path: _overwrite(path, b"\xff" * 100_000, at=4096),
    "cut short": lambda path: os.truncate(path, 4096 * 3),
    "tables": _empty_tables,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_index(
    store: SqliteStore, tmp_path: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    """An index of events that is no index any more is made anew, and the log says so."""
    words = [f"needle {number * 'x'}" for number in range(300)]
    await _write(store, "task", words)
    found = await _search(store)
    (file,) = await asyncio.to_thread(lambda: list(tmp_path.glob("*/task.db")))
    await asyncio.to_thread(damage, file)
    assert await _search(store) == found and len(found) == 300
    assert "the search index of task task is made anew" in caplog.text


async def test_an_impatient_search(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that takes too long ends with an error; the next one goes on from where it was."""
    monkeypatch.setattr(search, "_PATIENCE", 0.1)
    monkeypatch.setattr(search, "_STEP", 1)
    await _write(store, "task", ["needle"] * 1500)
    with pytest.raises(SearchUnfinished):
        await _search(store)
    found: list[int] = []
    while not found:
        with suppress(SearchUnfinished):
            found = await _search(store)
    assert found == [*range(1500, 0, -1)]


async def test_a_flood_of_searches(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many search at once, a few indexes are open at a time; each search gets its answer."""
    open_now, most = 0, 0

    async def counted(path: Path, *, writes: bool) -> Database:
        nonlocal open_now, most
        database = await open_database(path, writes=writes)
        open_now += 1
        most = max(most, open_now)
        close = database.close

        async def closed() -> None:
            nonlocal open_now
            await close()
            open_now -= 1

        monkeypatch.setattr(database, "close", closed)
        return database

    monkeypatch.setattr(search, "open_database", counted)
    tasks = [f"t{number}" for number in range(20)]
    for task_id in tasks:
        await _write(store, task_id, ["needle"])
    assert await asyncio.gather(*(_search(store, task_id) for task_id in tasks)) == [[1]] * 20
    assert (open_now, most) == (0, search._AT_ONCE)
