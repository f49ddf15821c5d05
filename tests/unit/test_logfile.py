"""Runs as files: there and back byte for byte, and what is no such file is refused, naming the line."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import pytest_asyncio

from runner import database, logfile
from runner.base import Digest, Filter, Placed, Store
from runner.errors import LogFileError, StorageUnavailable, TaskNotFound
from runner.events import EventType, draft, now
from runner.logfile import export_log, import_log
from runner.recorder import Recorder, entry
from runner.states import Status
from runner.store import SqliteStore
from runner.task import Task
from tests.logs import make_task

TASK_ID = "0123456789abcdef"
SAYINGS = ["plain", "é😀\u2028", 'quotes " and \\ and \n newlines', "</script>", ""]


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "tasks.db")
    yield store
    await store.aclose()


async def _write(store: SqliteStore, sayings: list[str]) -> Task:
    """A task that has succeeded, whose log has a line for each saying and the two STATUS around them."""
    task = await store.create_task(make_task(TASK_ID), key=None, fingerprint="")
    drafts = [
        draft(EventType.STATUS, {"message": "At work.", "status": "RUNNING", "attempt": 1}),
        *[draft(EventType.LOG, {"message": text, "level": "INFO"}, agent_role="Engineer") for text in sayings],
        draft(EventType.STATUS, {"message": "Done.", "status": "SUCCEEDED", "attempt": 1}),
    ]
    async with Recorder(store) as recorder:
        ended = msgspec.structs.replace(
            task, status=Status.SUCCEEDED, attempt=1, started_at=now(), completed_at=now(), workspace="/home/me/work"
        )
        task, done = recorder.append(ended, [entry(event) for event in drafts])
        await done
    return task


async def _export(store: SqliteStore) -> bytes:
    return b"".join([chunk async for chunk in await export_log(store, TASK_ID, size=100_000)])


async def _in_pieces(content: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def test_there_and_back(store: SqliteStore, tmp_path: Path) -> None:
    """What is exported and imported elsewhere has the same events, byte for byte, and so the same running hash."""
    task = await _write(store, SAYINGS)
    content = await _export(store)
    elsewhere = await SqliteStore.open(tmp_path / "elsewhere.db")
    imported = await import_log(elsewhere, _in_pieces(content))
    assert imported.imported_at is not None and imported.workspace is None
    assert msgspec.structs.replace(imported, imported_at=None, workspace=task.workspace) == task
    for reader in (store, elsewhere):
        page = await reader.read_events(TASK_ID, after=0, limit=100, size=10**6, filter=Filter())
        assert page.events == content.splitlines()[1:]
    assert await elsewhere.digest(TASK_ID, task.head) == await store.digest(TASK_ID, task.head)
    await elsewhere.aclose()


async def test_an_import_that_cannot_be_written(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose import another program's lock has ended is told so, and can try it again afterwards."""
    monkeypatch.setattr(database, "_BUSY", 0.02)
    await _write(store, SAYINGS)
    header, events = (await _export(store)).split(b"\n", 1)
    async with aclosing(await SqliteStore.open(tmp_path / "elsewhere.db")) as elsewhere:
        with closing(sqlite3.connect(tmp_path / "elsewhere.db", isolation_level=None)) as other:

            async def chunks() -> AsyncIterator[bytes]:
                yield header + b"\n"
                other.execute("BEGIN IMMEDIATE")
                yield events

            with pytest.raises(StorageUnavailable):
                await import_log(elsewhere, chunks())
        assert (await import_log(elsewhere, _in_pieces(header + b"\n" + events))).id == TASK_ID


async def test_a_long_log_comes_in_chunks(store: SqliteStore) -> None:
    """However long a log is, no more of it than a chunk is held."""
    await _write(store, ["x" * 300_000] * 20)
    chunks = [chunk async for chunk in await export_log(store, TASK_ID, size=700_000)]
    assert max(map(len, chunks)) < 700_100 and sum(map(len, chunks)) > 6_000_000


async def test_after_retention(store: SqliteStore) -> None:
    """What retention has left is exported and taken in, with a gap where it deleted."""
    await _write(store, SAYINGS)
    await store.expire(now())
    content = await _export(store)
    assert len(content.splitlines()) == 1
    await store.delete_task(TASK_ID)
    await store.purge()
    imported = await import_log(store, _in_pieces(content))
    page = await store.read_events(TASK_ID, after=0, limit=1, size=1, filter=Filter())
    assert page.gap is not None and page.gap.last == imported.head == len(SAYINGS) + 2


Lines = list[bytes]


def _event(number: int, **changes: Any) -> Callable[[Lines], Lines]:
    """The line of an event, changed."""

    def change(lines: Lines) -> Lines:
        event = json.loads(lines[number]) | changes
        return [*lines[:number], json.dumps(event, separators=(",", ":")).encode(), *lines[number + 1 :]]

    return change


def _task(**changes: Any) -> Callable[[Lines], Lines]:
    """The header, with the task changed."""

    def change(lines: Lines) -> Lines:
        header = json.loads(lines[0])
        header["task"] |= changes
        return [json.dumps(header).encode(), *lines[1:]]

    return change


def _header(**changes: Any) -> Callable[[Lines], Lines]:
    return lambda lines: [json.dumps(json.loads(lines[0]) | changes).encode(), *lines[1:]]


def _artifact(**changes: Any) -> Callable[[Lines], Lines]:
    """An event that tells of a file."""
    file = {"path": "game/main.py", "version": 1, "size": 7, "sha256": "a" * 64} | changes
    return _event(2, event_type="ARTIFACT", payload={"message": "A file."} | file)


def _result(**changes: Any) -> Callable[[Lines], Lines]:
    """A header whose result has a file."""
    file = {"path": "game/main.py", "version": 1, "size": 7, "sha256": "a" * 64} | changes
    return _task(final_result={"project": "game", "artifacts": [file]})


ZEROS = "0" * 64
DEEP = b'{"event_id":2,"task_id":"%b","payload":' % TASK_ID.encode() + b"[" * 100_000

# What is done to the lines of a good file with 5 events, the line at fault, and words of the error.
BAD_FILES: dict[str, tuple[Callable[[Lines], Lines], int, str]] = {
    "empty": (lambda lines: [], 1, "header"),
    "no JSON": (lambda lines: [b"\x89PNG", *lines], 1, "header"),
    "no UTF-8": (lambda lines: [lines[0].replace(b"hangman", b"\xff"), *lines[1:]], 1, "header"),
    "no header": (lambda lines: lines[1:], 1, "header"),
    "another format": (_header(format="something"), 1, "format"),
    "a later version": (_header(version=2), 1, "version"),
    "a time that is no time": (_task(completed_at="2026-99-99T99:99:99Z"), 1, "month"),
    "an event at no time": (_event(2, timestamp="2026-02-30T00:00:00Z"), 3, "day"),
    "an id with the end of a line": (_task(id="0123456789abcdef\n"), 1, "id"),
    "an id that is a path": (_task(id="../../etc/passwd"), 1, "id"),
    "a title too long": (_task(title="t" * 201), 1, "title"),
    "a time that is none": (_task(completed_at="yesterday"), 1, "completed_at"),
    "a run that goes on": (_task(status="RUNNING"), 1, "RUNNING"),
    "a run without an end": (_task(completed_at=None), 1, "export it again"),
    "an attempt too large": (_task(attempt=10**30), 1, "attempt"),
    "a result without artifacts": (_task(final_result={"project": "p"}), 1, "artifacts"),
    "a head that is wrong": (_task(head=4), 1, "head"),
    "a start that is made up": (_header(start={"count": 0, "sha256": "f" * 64}), 1, "zero"),
    "a log that is too long": (_header(end={"count": 2**31 + 1, "sha256": ZEROS}), 1, "count"),
    "another end": (_header(end={"count": 5, "sha256": ZEROS}), 6, "changed"),
    "another status": (_task(status="FAILED"), 6, "FAILED"),
    "cut short": (lambda lines: lines[:-1], 5, "ends after event 4"),
    "cut in a line": (lambda lines: [*lines[:-1], lines[-1][:-9]], 6, "not an event"),
    "an event missing": (lambda lines: lines[:2] + lines[3:], 3, "not event 2"),
    "an event twice": (lambda lines: lines[:3] + lines[2:], 4, "not event 3"),
    "an event too many": (lambda lines: [*lines, lines[-1]], 7, "more events"),
    "an event of another task": (_event(3, task_id="f" * 16), 4, "not event 3"),
    "an id twice": (lambda lines: [*lines[:2], lines[2][:-1] + b',"event_id":7}', *lines[3:]], 3, "twice"),
    "an event changed": (_event(2, timestamp="2020-01-01T00:00:00Z"), 6, "changed"),
    "an unknown type": (_event(2, event_type="GOSSIP"), 3, "event_type"),
    "an unknown field": (_event(2, more=1), 3, "more"),
    "a time of an event": (_event(2, timestamp="now"), 3, "timestamp"),
    "a payload that is none": (_event(2, payload=[]), 3, "payload"),
    "a payload without message": (_event(2, payload={"level": "INFO"}), 3, "message"),
    "a status that is none": (_event(1, payload={"message": "", "status": "FINE", "attempt": 1}), 2, "status"),
    "a file elsewhere": (_artifact(path="../x"), 3, "lead nowhere but down"),
    "a file at an absolute path": (_artifact(path="/etc/passwd"), 3, "relative"),
    "a file with a line in its name": (_artifact(path="a\n+++ b/x"), 3, "control characters"),
    "a file with half a character in its name": (_artifact(path="\ud800"), 3, "not an event"),
    "a file with an endless name": (_artifact(path="x" * 5000), 3, "path"),
    "a file smaller than nothing": (_artifact(size=-1), 3, "size"),
    "a file larger than any disk": (_artifact(size=2**60), 3, "size"),
    "a file of no version": (_artifact(version=0), 3, "version"),
    "a file elsewhere in the result": (_result(path="game/../../x"), 1, "lead nowhere but down"),
    "a size in the result": (_result(size=-1), 1, "size"),
    "nested too deeply": (lambda lines: [*lines[:2], DEEP, *lines[3:]], 3, "not an event"),
}


class Taken:
    """A store that takes in whatever comes."""

    def __init__(self) -> None:
        self.events = 0
        self.purges = 0

    async def import_task(self, task: Task, start: Digest, batches: AsyncIterator[Sequence[Placed]]) -> None:
        async for batch in batches:
            self.events += len(batch)

    async def purge(self) -> None:
        self.purges += 1


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Lines:
    """The lines of a file with 5 events."""

    async def export() -> bytes:
        store = await SqliteStore.open(tmp_path_factory.mktemp("good") / "tasks.db")
        await _write(store, ["one", "two", "three"])
        content = await _export(store)
        await store.aclose()
        return content

    return asyncio.run(export()).splitlines()


@pytest.mark.parametrize(("change", "line", "words"), BAD_FILES.values(), ids=BAD_FILES)
async def test_a_bad_file(good: Lines, change: Callable[[Lines], Lines], line: int, words: str) -> None:
    """A file that is not right to its end is refused, naming the line and what is wrong."""
    with pytest.raises(LogFileError, match=f"^Line {line}: .*{words}"):
        await import_log(cast("Store", Taken()), _in_pieces(b"\n".join(change(good)), 1000))


async def test_too_many_events(good: Lines) -> None:
    """A file with more events than a task may have is refused before it is read."""
    await import_log(cast("Store", Taken()), _in_pieces(b"\n".join(good)), event_limit=5)
    with pytest.raises(LogFileError, match="may have 4 events"):
        await import_log(cast("Store", Taken()), _in_pieces(b"\n".join(good)), event_limit=4)


async def test_a_bad_file_leaves_nothing(store: SqliteStore, good: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken in of a file that is bad further on is deleted: the right file is welcome at once."""
    monkeypatch.setattr(logfile, "_BATCH", 2)
    with pytest.raises(LogFileError):
        await import_log(store, _in_pieces(b"\n".join(good[:-1])))
    with pytest.raises(TaskNotFound):
        await store.get_task(TASK_ID)
    await import_log(store, _in_pieces(b"\n".join(good)))


async def test_what_editors_do_to_files(good: Lines) -> None:
    """Line ends of Windows, and empty lines at the end, change nothing."""
    taken = Taken()
    await import_log(cast("Store", taken), _in_pieces(b"\r\n".join([*good, b"", b""])))
    assert (taken.events, taken.purges) == (5, 0)


async def test_a_line_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is longer than it can be is not read to its end."""
    monkeypatch.setattr(logfile, "HEADER_LIMIT", 10_000)
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1000
            yield b"x" * 1000

    with pytest.raises(LogFileError, match="longer"):
        await import_log(cast("Store", Taken()), endless())
    assert read < 20_000


async def test_a_header_without_end(good: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line, which is decoded as a whole, has a limit of its own."""
    monkeypatch.setattr(logfile, "HEADER_LIMIT", len(good[0]) - 1)
    with pytest.raises(LogFileError, match=r"^Line 1: .*longer"):
        await import_log(cast("Store", Taken()), _in_pieces(b"\n".join(good)))
