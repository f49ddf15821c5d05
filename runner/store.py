"""The store on SQLite: one database file, one connection that writes and one that reads.

Every method is one transaction, and one function below that runs it on the connection's thread.

WAL lets the reader go on while the writer commits. What "durable" means is `Durability`'s to say.

The running hash of a log is the SHA-256 of the hash before (32 zero bytes at first) and the event's encoded JSON. It is
kept at the head, and at every `DIGEST_STEP`th event, from where that of any other event is computed.
"""

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import msgspec

from runner import sql
from runner.base import Commit, Digest, Durability, Filter, Gap, Page, TaskPage
from runner.database import Database, open_database
from runner.errors import CursorAhead, DatabaseUnusable, EventsExpired, KeyReused, TaskNotFound
from runner.states import Status
from runner.task import Task

DIGEST_STEP = 1000  # events from one stored running hash to the next
DIGEST_START = bytes(32)  # the running hash of no events

_NEWEST = 2**62  # above every seq
_EXPIRED_AT_ONCE = 5000  # events deleted in one transaction, so that appends need not wait long
_ENDS = 1000  # logs whose end is remembered

# The columns of GET_TASK. What else a task has is in `details`.
_COLUMNS = (
    "id",
    "title",
    "input_prompt",
    "priority",
    "options",
    "created_at",
    "status",
    "attempt",
    "head",
    "completed_at",
    "details",
    "final_result",
)
_DETAILS = tuple(field for field in Task.__struct_fields__ if field not in _COLUMNS)


class _End(msgspec.Struct, frozen=True):
    """The end of a log. until: its bytes."""

    head: int
    digest: bytes
    until: int


class SqliteStore:
    """A `Store` in the file `path`, which is made if it does not exist.

    Raises `DatabaseUnusable` if the file is not ours, damaged, or of a newer version; it is left untouched then.
    durability: "normal": a commit survives the death of the process; "full": of the machine too.
    """

    def __init__(self, writer: Database, reader: Database, epoch: str) -> None:
        self._writer = writer
        self._reader = reader
        self._epoch = epoch
        self._ends: OrderedDict[str, _End] = OrderedDict()  # by task; touched on the writer's thread only

    @classmethod
    async def open(cls, path: Path, *, durability: Durability = "normal") -> Self:
        writer = await open_database(path, writes=True)
        try:
            await writer.transaction(partial(_check, path))
            await writer.run(partial(_configure, durability))
            epoch = await writer.transaction(_migrate)
            reader = await open_database(path, writes=False)
        except sqlite3.DatabaseError as error:
            await writer.close()
            raise DatabaseUnusable(f"The database {path} cannot be used: {error}.") from error
        except BaseException:
            await writer.close()
            raise
        return cls(writer, reader, epoch)

    @property
    def epoch(self) -> str:
        return self._epoch

    async def create_task(self, task: Task, *, key: str | None, fingerprint: str) -> Task:
        return await self._writer.transaction(partial(_create, task, key, fingerprint))

    async def get_task(self, task_id: str) -> Task:
        return await self._reader.transaction(partial(_get, task_id))

    async def list_tasks(self, *, statuses: frozenset[Status], query: str, limit: int, cursor: int | None) -> TaskPage:
        return await self._reader.transaction(partial(_list, statuses, query, limit, cursor))

    async def delete_task(self, task_id: str) -> None:
        await self._writer.transaction(partial(_delete, task_id))

    async def append(self, commits: Sequence[Commit]) -> list[bool]:
        return await self._writer.transaction(partial(_append, commits, self._ends))

    async def read_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
        return await self._reader.transaction(partial(_read_after, task_id, after, limit, size, filter))

    async def read_events_before(self, task_id: str, *, before: int, limit: int, size: int, filter: Filter) -> Page:
        return await self._reader.transaction(partial(_read_before, task_id, before, limit, size, filter))

    async def digest(self, task_id: str, through: int) -> Digest:
        return await self._reader.transaction(partial(_digest, task_id, through))

    async def expire(self, before: str) -> list[str]:
        expired = await self._reader.transaction(partial(_expired, before))
        for seq, _, first, head in expired:
            while first <= head:
                first = min(first + _EXPIRED_AT_ONCE, head + 1)
                await self._writer.transaction(partial(_expire, seq, first))
        return [task_id for _, task_id, _, _ in expired]

    async def aclose(self) -> None:
        await self._reader.close()
        await self._writer.close()


def _check(path: Path, connection: sqlite3.Connection) -> None:
    """Raise unless the database is empty, or ours and not newer than we are."""
    version, application, tables = (
        connection.execute(query).fetchone()[0]
        for query in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )
    if tables and application != sql.APPLICATION_ID:
        raise DatabaseUnusable(f"The file {path} is a database of another program.")
    if version > len(sql.MIGRATIONS):
        raise DatabaseUnusable(
            f"The database {path} has version {version}; this metagpt-live knows versions up to "
            f"{len(sql.MIGRATIONS)}. Use a newer metagpt-live."
        )


def _configure(durability: Durability, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {durability}")
    connection.execute("PRAGMA foreign_keys = ON")


def _migrate(connection: sqlite3.Connection) -> str:
    """Bring the tables to our version. Returns the epoch."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, migration in enumerate(sql.MIGRATIONS[version:], version + 1):
        for statement in migration:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {sql.APPLICATION_ID}")
    return str(connection.execute(sql.GET_EPOCH).fetchone()[0])


def _create(task: Task, key: str | None, fingerprint: str, connection: sqlite3.Connection) -> Task:
    used = None if key is None else connection.execute(sql.GET_KEY, (key,)).fetchone()
    if used is not None:
        if used[0] != fingerprint:
            raise KeyReused(str(key))
        return _get(used[1], connection)
    connection.execute(sql.INSERT_TASK, _fixed(task))
    connection.execute(sql.INSERT_STATE, {"id": task.id, "digest": DIGEST_START} | _changing(task))
    if key is not None:
        connection.execute(sql.INSERT_KEY, {"key": key, "fingerprint": fingerprint, "id": task.id})
    return task


def _get(task_id: str, connection: sqlite3.Connection) -> Task:
    row = connection.execute(sql.GET_TASK, (task_id,)).fetchone()
    if row is None:
        raise TaskNotFound(task_id)
    return _task(row)


def _list(
    statuses: frozenset[Status], query: str, limit: int, cursor: int | None, connection: sqlite3.Connection
) -> TaskPage:
    escaped = query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    parameters = {
        "pattern": f"%{escaped}%",
        "cursor": _NEWEST if cursor is None else cursor,
        "limit": limit + 1,
        "statuses": json.dumps(sorted(statuses)),
    }
    found = connection.execute(sql.LIST_TASKS_OF_STATUS if statuses else sql.LIST_TASKS, parameters).fetchall()
    page = found[:limit]
    return TaskPage([_task(row[1:]) for row in page], page[-1][0] if len(found) > limit else None)


def _delete(task_id: str, connection: sqlite3.Connection) -> None:
    if not connection.execute(sql.DELETE_TASK, (task_id,)).rowcount:
        raise TaskNotFound(task_id)


def _append(commits: Sequence[Commit], ends: OrderedDict[str, _End], connection: sqlite3.Connection) -> list[bool]:
    """ends: of some logs, which are used and kept up."""
    taken = []
    for commit in commits:
        end, steps = _end_after(commit, ends.get(commit.task.id), connection)
        parameters = {"id": commit.task.id, "head": commit.head, "new_head": commit.task.head, "digest": end.digest}
        row = connection.execute(sql.ADVANCE_TASK, _changing(commit.task) | parameters).fetchone()
        taken.append(row is not None)
        if row is not None:
            _insert_events(row[0], commit, end.until, connection)
            connection.executemany(sql.INSERT_DIGEST, ((row[0], event_id, step) for event_id, step in steps))
            ends[commit.task.id] = end
            ends.move_to_end(commit.task.id)
    while len(ends) > _ENDS:
        ends.popitem(last=False)
    return taken


def _insert_events(seq: int, commit: Commit, until: int, connection: sqlite3.Connection) -> None:
    """until: bytes of the log after the commit."""
    until -= sum(len(event.encoded) for event in commit.events)
    done = 0
    for count, statement in sql.INSERT_EVENTS.items():
        while len(commit.events) - done >= count:
            parameters: list[Any] = []
            for event in commit.events[done : done + count]:
                until += len(event.encoded)
                tail = event.encoded[event.encoded.index(b'"timestamp"') :].decode()
                parameters += (seq, event.event_id, event.event_type, event.agent_role, until, tail)
            connection.execute(statement, parameters)
            done += count


def _end_after(
    commit: Commit, known: _End | None, connection: sqlite3.Connection
) -> tuple[_End, list[tuple[int, bytes]]]:
    """The end of the log after a commit, and the running hashes at the steps that it passes, by event_id."""
    end = known if known is not None and known.head == commit.head else _find_end(commit.task.id, connection)
    digest, until = end.digest, end.until
    steps = []
    for event in commit.events:
        digest = sha256(digest + event.encoded).digest()
        until += len(event.encoded)
        if event.event_id % DIGEST_STEP == 0:
            steps.append((event.event_id, digest))
    return _End(commit.task.head, digest, until), steps


def _find_end(task_id: str, connection: sqlite3.Connection) -> _End:
    row = connection.execute(sql.GET_DIGEST, (task_id,)).fetchone()
    if row is None:
        return _End(0, DIGEST_START, 0)
    seq, head, _, digest = row
    return _End(head, digest, _until(seq, head, connection))


def _until(seq: int, event_id: int, connection: sqlite3.Connection) -> int:
    """Bytes of the log up to and with an event; 0 if it is not there: an end after a gap is a new beginning."""
    row = connection.execute(sql.GET_UNTIL, (seq, event_id)).fetchone()
    return 0 if row is None else int(row[0])


def _read_after(
    task_id: str, after: int, limit: int, size: int, filter: Filter, connection: sqlite3.Connection
) -> Page:
    seq, head, first = _position(task_id, connection)
    if after > head:
        raise CursorAhead(after, head)
    gap = Gap(after + 1, first - 1, "retention") if after + 1 < first else None
    parameters = _reading(seq, task_id, filter) | {"after": after, "before": _NEWEST, "limit": limit}
    if filter != Filter():
        query = sql.read_filtered_events(sorted(filter.event_types), "ASC")
        events, last, complete = _read(query, parameters, size, connection)
        # At its end the log has nothing more that passes the filter.
        return Page(b",".join(events), len(events), head if complete else last, head, gap)
    start = max(after, first - 1)
    parameters |= {"start": _until(seq, start, connection), "size": size, "first": start + 1}
    count, last, body = connection.execute(sql.READ_PAGE, parameters).fetchone()
    return Page(body or b"", count, last or head, head, gap)


def _read_before(
    task_id: str, before: int, limit: int, size: int, filter: Filter, connection: sqlite3.Connection
) -> Page:
    seq, head, first = _position(task_id, connection)
    parameters = _reading(seq, task_id, filter) | {"after": 0, "before": before, "limit": limit}
    query = sql.read_filtered_events(sorted(filter.event_types), "DESC")
    events, oldest, complete = _read(query, parameters, size, connection)
    reached_first = complete or oldest == first
    gap = Gap(1, first - 1, "retention") if first > 1 and reached_first else None
    return Page(b",".join(reversed(events)), len(events), min(before - 1, head), head, gap)


def _read(
    query: str, parameters: Mapping[str, Any], size: int, connection: sqlite3.Connection
) -> tuple[list[bytes], int, bool]:
    """Events, the id of the last one read (0 if there is none), and whether these are all there are.

    At most `size` bytes, but at least one event, so that a reader always moves on.
    """
    events: list[bytes] = []
    last = 0
    with closing(connection.execute(query, parameters)) as rows:
        for event_id, encoded in rows:
            size -= len(encoded)
            if events and size < 0:
                return events, last, False
            events.append(encoded)
            last = event_id
    return events, last, len(events) < parameters["limit"]


def _position(task_id: str, connection: sqlite3.Connection) -> tuple[int, int, int]:
    """seq, head and first kept event_id of a task."""
    row = connection.execute(sql.GET_POSITION, (task_id,)).fetchone()
    if row is None:
        raise TaskNotFound(task_id)
    return row[0], row[1], row[2]


def _digest(task_id: str, through: int, connection: sqlite3.Connection) -> Digest:
    row = connection.execute(sql.GET_DIGEST, (task_id,)).fetchone()
    if row is None:
        raise TaskNotFound(task_id)
    seq, head, first, digest = row
    if through > head:
        raise CursorAhead(through, head)
    if through < head:
        digest = _compute_digest(seq, task_id, through, first, connection)
    return Digest(through, digest.hex())


def _compute_digest(seq: int, task_id: str, through: int, first: int, connection: sqlite3.Connection) -> bytes:
    step = connection.execute(sql.GET_DIGEST_BEFORE, (seq, through)).fetchone()
    event_id, digest = step or (0, DIGEST_START)
    if event_id < through and event_id + 1 < first:
        raise EventsExpired(task_id, first)
    parameters = _reading(seq, task_id, Filter()) | {"after": event_id, "limit": through - event_id}
    with closing(connection.execute(sql.READ_EVENTS, parameters)) as rows:
        for _, encoded in rows:
            digest = sha256(digest + encoded).digest()
    return bytes(digest)


def _expired(before: str, connection: sqlite3.Connection) -> list[tuple[int, str, int, int]]:
    """seq, id, first kept event_id and head of the tasks whose events are too old."""
    return connection.execute(sql.GET_EXPIRED, {"before": before}).fetchall()


def _expire(seq: int, first: int, connection: sqlite3.Connection) -> None:
    connection.execute(sql.EXPIRE_EVENTS, {"seq": seq, "first": first})
    connection.execute(sql.EXPIRE_STATE, {"seq": seq, "first": first})


def _fixed(task: Task) -> Mapping[str, Any]:
    """The parameters of what never changes in a task."""
    return {
        "id": task.id,
        "title": task.title,
        "input_prompt": task.input_prompt,
        "priority": task.priority,
        "options": msgspec.json.encode(task.options).decode(),
        "created_at": task.created_at,
    }


def _changing(task: Task) -> dict[str, Any]:
    """The parameters of what changes in a task."""
    return {
        "status": task.status,
        "attempt": task.attempt,
        "head": task.head,
        "completed_at": task.completed_at,
        "details": msgspec.json.encode({name: getattr(task, name) for name in _DETAILS}).decode(),
        "final_result": msgspec.json.encode(task.final_result).decode(),
    }


def _reading(seq: int, task_id: str, filter: Filter) -> dict[str, Any]:
    """The parameters that all queries of events have, but for where to begin and how many to read."""
    types = sorted(filter.event_types)
    return {
        "seq": seq,
        "middle": f',"task_id":"{task_id}",',
        "event_types": json.dumps(types),
        "agent_role": filter.agent_role,
    } | {f"type_{number}": event_type for number, event_type in enumerate(types)}


def _task(row: Sequence[Any]) -> Task:
    """A task from the columns of GET_TASK, in their order."""
    columns = dict(zip(_COLUMNS, row, strict=True))
    columns["options"] = msgspec.json.decode(columns["options"])
    columns["final_result"] = msgspec.json.decode(columns["final_result"])
    return msgspec.convert(columns | msgspec.json.decode(columns.pop("details")), Task)
