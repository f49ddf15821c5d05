"""Searching logs: full-text indexes (FTS5) of the events of tasks.

Events are not indexed as they are appended, which would cost every run for the few that are searched. The index of a
task is made by the first search in it, and each search first brings it to the head of the log. It is a file of its own,
beside the database: the connections of the store never wait for it, and what retention or a deletion takes from the log
is out of the index at once, with the file. A search that takes too long ends, and the next one goes on from there.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

import msgspec

from runner import log, sql
from runner.base import Filter, Finding, Findings
from runner.database import Database, open_database
from runner.errors import SearchUnfinished
from runner.events import Event, EventType
from runner.words import BEGIN, END, indexed, match, parts, readable

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

_VERSION = 3  # of what an index holds; another one is made anew

_STEP = 1000  # events indexed in one transaction
_STEP_BYTES = 1024 * 1024  # of their JSON, or a single one
_PATIENCE = 10.0  # seconds that a search may take
_AT_ONCE = 4  # searches; each has a thread, and they share the connection that reads the logs

# What SQLite says of a file that is wrong. A full disk, or a lock, is not the file's fault.
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_PRIMARY = 0xFF  # the bits of an error code that are not its details

# What people have said and are told: not the tokens, which come again in a message or a file, and no measurements.
_SEARCHED = Filter(
    frozenset(
        {
            EventType.STATUS,
            EventType.AGENT_COMPLETE,
            EventType.ACTION_COMPLETE,
            EventType.MESSAGE,
            EventType.ARTIFACT,
            EventType.LOG,
            EventType.INPUT_REQUEST,
            EventType.INPUT_RESPONSE,
            EventType.ERROR,
            EventType.RESULT,
        }
    )
)
# Of these types the message only introduces what was said.
_FIELDS = {
    EventType.MESSAGE: ("content",),
    EventType.ARTIFACT: ("path",),
    EventType.INPUT_RESPONSE: ("answer",),
    EventType.ERROR: ("message", "traceback"),
}


class Search:
    """folder: where the indexes are. reader: a connection to the database with the logs. epoch: of that database."""

    def __init__(self, folder: Path, reader: Database, epoch: str) -> None:
        self._folder = folder
        self._reader = reader
        self._epoch = epoch
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def find(self, task_id: str, *, query: str, limit: int, before: int | None) -> Findings:
        """As `Store.search_events`."""
        try:
            async with asyncio.timeout(_PATIENCE), self._lock(task_id), self._places:
                try:
                    return await self._find(task_id, match(query), limit, before)
                except _Damaged as damage:
                    _log.warning("the search index of task %s is made anew, since it is damaged: %s", task_id, damage)
                    _unlink(self._path(task_id))
                    return await self._find(task_id, match(query), limit, before)
        except TimeoutError:
            raise SearchUnfinished(task_id) from None

    async def _find(self, task_id: str, query: str, limit: int, before: int | None) -> Findings:
        """query: for FTS5. Raises `_Damaged`."""
        at = await self._reader.transaction(partial(log.position, task_id))
        async with self._open(task_id, at.head) as index:
            cursor = await index.transaction(_blaming(_through))
            while cursor < at.head:
                read = partial(log.read_after, task_id, cursor, _STEP, _STEP_BYTES, _SEARCHED)
                page = await self._reader.transaction(read)
                await index.transaction(_blaming(partial(_add, page.events, page.cursor)))
                cursor = page.cursor
            return await index.transaction(_blaming(partial(_find, query, limit, before or cursor + 1, cursor)))

    @asynccontextmanager
    async def dropped(self, task_id: str) -> AsyncIterator[None]:
        """No index of a task, and none is made meanwhile."""
        async with self._lock(task_id):
            _unlink(self._path(task_id))
            yield

    @asynccontextmanager
    async def _open(self, task_id: str, head: int) -> AsyncIterator[Database]:
        """The index of a task whose log has this head; one that cannot be of this log is made anew.

        Raises `_Damaged`.
        """
        path = self._path(task_id)
        self._folder.mkdir(exist_ok=True, mode=0o700)
        index = await open_database(path, writes=True)
        try:
            if not await index.run(_blaming(partial(_is_current, self._epoch, head))):
                await index.close()
                _unlink(path)
                index = await open_database(path, writes=True)
                await index.run(partial(_make, self._epoch))
            yield index
        finally:
            await index.close()

    def _path(self, task_id: str) -> Path:
        return self._folder / f"{task_id}.db"

    def _lock(self, task_id: str) -> asyncio.Lock:
        return self._locks.setdefault(task_id, asyncio.Lock())


class _Damaged(Exception):
    """The file of an index is not what it was made as."""


def _blaming(work: Callable[[sqlite3.Connection], _T]) -> Callable[[sqlite3.Connection], _T]:
    """The same work on an index, which raises `_Damaged` where the file is at fault."""

    def blaming(connection: sqlite3.Connection) -> _T:
        try:
            return work(connection)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & _PRIMARY in _DAMAGE:
                raise _Damaged(str(error)) from error
            raise

    return blaming


def _is_current(epoch: str, head: int, connection: sqlite3.Connection) -> bool:
    """Whether an index can be of this log; a new file cannot, nor one of events that may have been lost since."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != _VERSION:
        return False
    (made_in,) = connection.execute(sql.GET_INDEXED_EPOCH).fetchone()
    return made_in == epoch and _through(connection) <= head


def _make(epoch: str, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN")
    for statement in sql.MAKE_INDEX:
        connection.execute(statement)
    connection.execute(sql.BEGIN_INDEXED, (epoch,))
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _unlink(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _through(connection: sqlite3.Connection) -> int:
    return int(connection.execute(sql.GET_INDEXED).fetchone()[0])


def _add(events: Sequence[bytes], through: int, connection: sqlite3.Connection) -> None:
    rows = []
    for encoded in events:
        event = msgspec.json.decode(encoded, type=Event)
        rows.append((event.event_id, indexed(_text(event)), event.event_type, event.agent_role, event.timestamp))
    connection.executemany(sql.INDEX_EVENT, rows)
    connection.execute(sql.SET_INDEXED, (through,))


def _find(query: str, limit: int, before: int, through: int, connection: sqlite3.Connection) -> Findings:
    """query: for FTS5."""
    parameters = {"match": query, "before": before, "limit": limit + 1, "begin": BEGIN, "end": END}
    found = connection.execute(sql.SEARCH_EVENTS, parameters).fetchall() if query else []
    findings = [
        Finding(event_id, EventType(event_type), role, timestamp, parts(snippet))
        for event_id, event_type, role, timestamp, snippet in found[:limit]
    ]
    return Findings(findings, through, len(found) > limit)


def _text(event: Event) -> str:
    values = [event.payload.get(field) for field in _FIELDS.get(event.event_type, ("message",))]
    return "\n".join(readable(value) for value in values if isinstance(value, str))
