"""The file of a store: which files it opens, which it refuses, and what it makes of an older one."""

import sqlite3
from contextlib import aclosing, closing
from pathlib import Path

import pytest

from runner.base import Filter
from runner.errors import DatabaseUnusable
from runner.events import EventType
from runner.sql import APPLICATION_ID, MIGRATIONS
from runner.store import SqliteStore
from tests.damage import damaged_database
from tests.logs import ids, make_commit, make_task

EVERYTHING = Filter()


async def _refused(path: Path) -> DatabaseUnusable:
    """The error of a file that cannot be used; the file, and what lies beside it, is left as it was."""
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(DatabaseUnusable) as refusal:
        await (await SqliteStore.open(path)).aclose()
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    assert str(path) in str(refusal.value)
    return refusal.value


async def test_a_newer_version(tmp_path: Path) -> None:
    """A database of a version that we do not know is refused, untouched, and says which."""
    path = tmp_path / "tasks.db"
    await (await SqliteStore.open(path)).aclose()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 999")
    assert "999" in str(await _refused(path))


async def test_an_older_version(tmp_path: Path) -> None:
    """A database of the first version is brought to ours: each log is what it was, and goes on."""
    path = tmp_path / "tasks.db"
    events = {name: [b'{"event_id":%d,"task_id":"%b"}' % (n, name.encode()) for n in (1, 2, 3)] for name in "ab"}
    _write_first_version(path, events)
    async with aclosing(await SqliteStore.open(path)) as store:
        more = make_commit(await store.get_task("a"), ["more"])
        assert await store.append([more]) == [True]
        pages = {
            name: await store.read_events(name, after=0, limit=10, size=10**6, filter=EVERYTHING) for name in events
        }
    assert {name: page.events for name, page in pages.items()} == events | {"a": [*events["a"], more.events[0].encoded]}


async def test_a_filter_over_an_older_version(tmp_path: Path) -> None:
    """What was appended before a database was brought to our version is found by its type like what came after it."""
    path = tmp_path / "tasks.db"
    _write_first_version(path, {"a": [b'{"event_id":%d}' % n for n in (1, 2, 3)]})
    async with aclosing(await SqliteStore.open(path)) as store:
        assert await store.append([make_commit(await store.get_task("a"), ["more"])]) == [True]
        logs = Filter(frozenset({EventType.LOG}))
        page = await store.read_events("a", after=0, limit=10, size=10**6, filter=logs)
    assert ids(page.events) == [1, 2, 3, 4]


def _write_first_version(path: Path, logs: dict[str, list[bytes]]) -> None:
    """Tasks with three events of type LOG, in batches of two and of one."""
    with closing(sqlite3.connect(path)) as database, database:
        for statement in MIGRATIONS[0]:
            database.execute(statement)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute("PRAGMA user_version = 1")
        for seq, (name, encoded) in enumerate(logs.items(), 1):
            database.execute("INSERT INTO tasks VALUES (?, ?, 'title', 'prompt', 0, '{}', '')", (seq, name))
            database.execute("INSERT INTO task_states VALUES (?, 'RUNNING', 1, 3, 1, NULL, '{}', 'null')", (seq,))
            for head, batch in ((2, encoded[:2]), (3, encoded[2:])):
                database.execute("INSERT INTO batches VALUES (?, ?, ?, ?)", (seq, head, len(batch), b",".join(batch)))
            by_type = [(seq, "LOG", event_id, None) for event_id in (1, 2, 3)]
            database.executemany("INSERT INTO events_by_type VALUES (?, ?, ?, ?)", by_type)


@pytest.mark.parametrize(("messages", "rows"), [(["one"], (1, 0)), (["one", "two"], (1, 2))], ids=["alone", "together"])
async def test_what_a_commit_takes(tmp_path: Path, messages: list[str], rows: tuple[int, int]) -> None:
    """An event that is committed alone is one row, which is also what it is found by."""
    path = tmp_path / "tasks.db"
    async with aclosing(await SqliteStore.open(path)) as store:
        await store.append([make_commit(await store.create_task(make_task(), key=None, fingerprint=""), messages)])
    with closing(sqlite3.connect(path)) as database:
        counts = "SELECT (SELECT count(*) FROM batches), (SELECT count(*) FROM events_by_type)"
        assert database.execute(counts).fetchone() == rows


async def test_a_database_of_another_program(tmp_path: Path) -> None:
    """A foreign database is refused, untouched, whatever its version is."""
    path = tmp_path / "tasks.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE tasks (x); INSERT INTO tasks VALUES (1); PRAGMA user_version = 1;")
    await _refused(path)


@pytest.mark.parametrize("content", [b"hello", b"SQLite format 3\x00" + b"\xff" * 5000], ids=["text", "damaged"])
async def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    """A file that is no database is refused, untouched."""
    path = tmp_path / "tasks.db"
    path.write_bytes(content)
    await _refused(path)


async def test_an_empty_file(tmp_path: Path) -> None:
    """An empty file, as a crash at the very beginning leaves it, becomes a database."""
    (tmp_path / "tasks.db").touch()
    store = await SqliteStore.open(tmp_path / "tasks.db")
    await store.aclose()
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as database:
        assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


async def test_the_integrity_of_the_file(tmp_path: Path) -> None:
    """After all kinds of changes SQLite finds nothing wrong with the file, nor with its foreign keys."""
    store = await SqliteStore.open(tmp_path / "tasks.db")
    for n in range(3):
        task = await store.create_task(make_task(f"t{n}"), key=f"k{n}", fingerprint="")
        await store.append([make_commit(task, ["x"] * 50)])
    await store.delete_task("t1")
    await store.purge()
    await store.aclose()
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute("SELECT count(*) FROM events").fetchone() == (100,)
        database.execute("INSERT INTO task_texts (task_texts) VALUES ('integrity-check')")
        assert database.execute("SELECT count(*) FROM task_texts").fetchone() == (2,)


async def test_a_damaged_database(tmp_path: Path) -> None:
    """A database with garbage in the middle is refused, untouched, and says what was found."""
    path = tmp_path / "tasks.db"
    await damaged_database(path)
    assert "btree" in str(await _refused(path))
