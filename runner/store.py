"""The store on SQLite: one database file, one connection that writes and one that reads.

WAL lets the reader go on while the writer commits. What "durable" means is `Durability`'s to say.

The running hash of a log is the SHA-256 of the hash before (32 zero bytes at first) and the event's encoded JSON. It is
kept at the head, and at every `DIGEST_STEP`th event, from where that of any other event is computed.
"""

import asyncio
import json
import sqlite3
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import aiosqlite
import msgspec

from runner import sql
from runner.base import Commit, Digest, Durability, Filter, Gap, Page, TaskPage
from runner.errors import CursorAhead, DatabaseUnusable, EventsExpired, KeyReused, TaskNotFound
from runner.states import Status
from runner.task import Task

DIGEST_STEP = 1000  # events from one stored running hash to the next
DIGEST_START = bytes(32)  # the running hash of no events

_NEWEST = 2**62  # above every seq
_FIRST_ROWS = 32  # fetched from SQLite before the size of an event can be guessed
_EXPIRED_AT_ONCE = 5000  # events deleted in one transaction, so that appends need not wait long
_DIGEST_CACHE = 1000  # logs

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


class SqliteStore:
    """A `Store` in the file `path`, which is made if it does not exist.

    Raises `DatabaseUnusable` if the file is not ours, damaged, or of a newer version; it is left untouched then.
    durability: "normal": a commit survives the death of the process; "full": of the machine too.
    """

    def __init__(self, writer: aiosqlite.Connection, reader: aiosqlite.Connection, epoch: str) -> None:
        self._writer = writer
        self._reader = reader
        self._epoch = epoch
        self._writing = asyncio.Lock()
        self._digests: OrderedDict[str, tuple[int, bytes]] = OrderedDict()  # by task: event_id, running hash

    @classmethod
    async def open(cls, path: Path, *, durability: Durability = "normal") -> Self:
        writer = await aiosqlite.connect(path)
        try:
            await _migrate(writer, path)
            await writer.execute("PRAGMA journal_mode = WAL")
            await writer.execute(f"PRAGMA synchronous = {durability}")
            await writer.execute("PRAGMA foreign_keys = ON")
            epoch = await _one(writer, sql.GET_EPOCH)
            reader = await aiosqlite.connect(_read_only(path), uri=True)
        except sqlite3.DatabaseError as error:
            await writer.close()
            raise DatabaseUnusable(f"The database {path} cannot be used: {error}.") from error
        except BaseException:
            await writer.close()
            raise
        return cls(writer, reader, epoch["value"])

    @property
    def epoch(self) -> str:
        return self._epoch

    async def create_task(self, task: Task, *, key: str | None, fingerprint: str) -> Task:
        async with self._transaction() as writer:
            if key is not None:
                async with writer.execute(sql.GET_KEY, (key,)) as rows:
                    used = await rows.fetchone()
                if used is not None:
                    if used[0] != fingerprint:
                        raise KeyReused(key)
                    return await self.get_task(used[1])
            await writer.execute(sql.INSERT_TASK, _fixed(task))
            await writer.execute(sql.INSERT_STATE, {"id": task.id, "digest": DIGEST_START} | _changing(task))
            if key is not None:
                await writer.execute(sql.INSERT_KEY, {"key": key, "fingerprint": fingerprint, "id": task.id})
        return task

    async def get_task(self, task_id: str) -> Task:
        rows = await self._query(sql.GET_TASK, (task_id,))
        if not rows:
            raise TaskNotFound(task_id)
        return _task(rows[0])

    async def list_tasks(self, *, statuses: frozenset[Status], query: str, limit: int, cursor: int | None) -> TaskPage:
        escaped = query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        parameters = {
            "pattern": f"%{escaped}%",
            "cursor": _NEWEST if cursor is None else cursor,
            "limit": limit + 1,
            "statuses": json.dumps(sorted(statuses)),
        }
        found = await self._query(sql.LIST_TASKS_OF_STATUS if statuses else sql.LIST_TASKS, parameters)
        page = found[:limit]
        return TaskPage([_task(row[1:]) for row in page], page[-1][0] if len(found) > limit else None)

    async def delete_task(self, task_id: str) -> None:
        async with self._transaction() as writer, writer.execute(sql.DELETE_TASK, (task_id,)) as deleted:
            if not deleted.rowcount:
                raise TaskNotFound(task_id)

    async def append(self, commits: Sequence[Commit]) -> list[bool]:
        taken = []
        events: list[tuple[int, int, str, str | None, str]] = []
        steps: list[tuple[int, int, bytes]] = []
        digests: dict[str, tuple[int, bytes]] = {}
        async with self._transaction() as writer:
            for commit in commits:
                digest, passed = await self._digest_after(commit)
                seq = await self._advance(writer, commit, digest)
                taken.append(seq is not None)
                if seq is not None:
                    events += _rows(seq, commit)
                    steps += ((seq, event_id, step) for event_id, step in passed)
                    digests[commit.task.id] = commit.task.head, digest
            await writer.executemany(sql.INSERT_EVENT, events)
            if steps:
                await writer.executemany(sql.INSERT_DIGEST, steps)
        self._keep_digests(digests)
        return taken

    async def read_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
        seq, head, first = await self._position(task_id)
        if after > head:
            raise CursorAhead(after, head)
        query = sql.READ_EVENTS if filter == Filter() else sql.READ_FILTERED_EVENTS
        parameters = _reading(seq, task_id, filter) | {"after": after}
        events, cursor, complete = await self._read(query, parameters, limit=limit, size=size)
        kept = max(after, first - 1)
        cursor = max(cursor, kept)
        contiguous = cursor - kept == len(events) and (cursor >= head or not complete)
        if not contiguous and (await self._position(task_id))[2] != first:  # retention was at work
            return await self.read_events(task_id, after=after, limit=limit, size=size, filter=filter)
        gap = Gap(after + 1, first - 1, "retention") if after < kept else None
        # The log may have grown since its head was read. At its end the cursor also passes what was filtered out.
        head = max(head, cursor)
        return Page(events, head if complete else cursor, head, gap)

    async def read_events_before(self, task_id: str, *, before: int, limit: int, size: int, filter: Filter) -> Page:
        seq, head, first = await self._position(task_id)
        parameters = _reading(seq, task_id, filter) | {"before": before}
        events, oldest, complete = await self._read(sql.READ_EVENTS_BEFORE, parameters, limit=limit, size=size)
        if (await self._position(task_id))[2] != first:  # retention was at work
            return await self.read_events_before(task_id, before=before, limit=limit, size=size, filter=filter)
        reached = min(oldest or before, first) if complete else oldest
        gap = Gap(1, first - 1, "retention") if first > 1 and reached <= first else None
        return Page(events[::-1], min(before - 1, head), head, gap)

    async def digest(self, task_id: str, through: int) -> Digest:
        rows = await self._query(sql.GET_DIGEST, (task_id,))
        if not rows:
            raise TaskNotFound(task_id)
        seq, head, first, digest = rows[0]
        if through > head:
            raise CursorAhead(through, head)
        if through < head:
            digest = await self._compute_digest(seq, task_id, through, first)
        return Digest(through, digest.hex())

    async def expire(self, before: str) -> list[str]:
        expired = await self._query(sql.GET_EXPIRED, {"before": before})
        for seq, _, first, head in expired:
            for kept in range(min(first + _EXPIRED_AT_ONCE, head + 1), head + 1 + _EXPIRED_AT_ONCE, _EXPIRED_AT_ONCE):
                parameters = {"seq": seq, "first": min(kept, head + 1)}
                async with self._transaction() as writer:
                    await writer.execute(sql.EXPIRE_EVENTS, parameters)
                    await writer.execute(sql.EXPIRE_STATE, parameters)
        return [task_id for _, task_id, _, _ in expired]

    async def aclose(self) -> None:
        await self._reader.close()
        await self._writer.close()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """The writer, for one transaction that is committed whole or rolled back."""
        async with self._writing:
            try:
                yield self._writer
                await self._writer.commit()
            except BaseException:
                await self._writer.rollback()
                raise

    async def _advance(self, writer: aiosqlite.Connection, commit: Commit, digest: bytes) -> int | None:
        """Move the task on to what it is after a commit. Returns its seq, or None if the commit is refused."""
        parameters = {"id": commit.task.id, "new_head": commit.task.head, "digest": digest}
        parameters |= _changing(commit.task) | {"head": commit.head}
        async with writer.execute(sql.ADVANCE_TASK, parameters) as rows:
            row = await rows.fetchone()
        return None if row is None else row[0]

    async def _digest_after(self, commit: Commit) -> tuple[bytes, list[tuple[int, bytes]]]:
        """The running hash after a commit, and those of the steps that it passes, by event_id."""
        known = self._digests.get(commit.task.id)
        if known is None or known[0] != commit.head:
            async with self._writer.execute(sql.GET_DIGEST, (commit.task.id,)) as rows:
                row = await rows.fetchone()
            digest = DIGEST_START if row is None else row[3]
        else:
            digest = known[1]
        passed = []
        for event in commit.events:
            digest = sha256(digest + event.encoded).digest()
            if event.event_id % DIGEST_STEP == 0:
                passed.append((event.event_id, digest))
        return digest, passed

    def _keep_digests(self, digests: Mapping[str, tuple[int, bytes]]) -> None:
        for task_id, digest in digests.items():
            self._digests[task_id] = digest
            self._digests.move_to_end(task_id)
        while len(self._digests) > _DIGEST_CACHE:
            self._digests.popitem(last=False)

    async def _compute_digest(self, seq: int, task_id: str, through: int, first: int) -> bytes:
        rows = await self._query(sql.GET_DIGEST_BEFORE, (seq, through))
        event_id, digest = rows[0] if rows else (0, DIGEST_START)
        if event_id < through and event_id + 1 < first:
            raise EventsExpired(task_id, first)
        missing = through - event_id
        parameters = _reading(seq, task_id, Filter()) | {"after": event_id}
        events, _, _ = await self._read(sql.READ_EVENTS, parameters, limit=missing, size=_NEWEST)
        if len(events) < missing:  # retention was at work
            raise EventsExpired(task_id, (await self._position(task_id))[2])
        for event in events:
            digest = sha256(digest + event).digest()
        return bytes(digest)

    async def _position(self, task_id: str) -> tuple[int, int, int]:
        """seq, head and first kept event_id of a task."""
        rows = await self._query(sql.GET_POSITION, (task_id,))
        if not rows:
            raise TaskNotFound(task_id)
        return rows[0][0], rows[0][1], rows[0][2]

    async def _read(
        self, query: str, parameters: dict[str, Any], *, limit: int, size: int
    ) -> tuple[list[bytes], int, bool]:
        """Events, the id of the last one (0 if there is none), and whether these are all there are.

        Cut to about `size` bytes, but at least one event, so that a reader always moves on.
        """
        events: list[bytes] = []
        last, room = 0, size
        while len(events) < limit:
            # As many as fit, to judge by those before.
            guess = room * len(events) // (size - room) + 1 if events else _FIRST_ROWS
            wanted = min(guess, limit - len(events))
            rows = await self._query(query, parameters | {"limit": wanted})
            for last, encoded in rows:
                events.append(encoded)
                room -= len(encoded)
                if room <= 0:
                    return events, last, False
            if len(rows) < wanted:
                return events, last, True
            parameters |= {"after": last, "before": last}
        return events, last, False

    async def _query(self, query: str, parameters: Mapping[str, Any] | Sequence[Any]) -> list[Any]:
        """All rows of a query.

        Read to the end in one go: a statement that is left open keeps the whole connection, and whoever else reads
        through it, in the past at which it began.
        """
        return list(await self._reader.execute_fetchall(query, parameters))


async def _migrate(connection: aiosqlite.Connection, path: Path) -> None:
    version = (await _one(connection, "PRAGMA user_version"))["user_version"]
    application = (await _one(connection, "PRAGMA application_id"))["application_id"]
    tables = (await _one(connection, "SELECT count(*) AS tables FROM sqlite_master"))["tables"]
    if tables and application != sql.APPLICATION_ID:
        raise DatabaseUnusable(f"The file {path} is a database of another program.")
    if version > len(sql.MIGRATIONS):
        raise DatabaseUnusable(
            f"The database {path} has version {version}; this metagpt-live knows versions up to "
            f"{len(sql.MIGRATIONS)}. Use a newer metagpt-live."
        )
    for number, migration in enumerate(sql.MIGRATIONS[version:], version + 1):
        await connection.executescript(
            f"BEGIN; {migration}; PRAGMA user_version = {number}; PRAGMA application_id = {sql.APPLICATION_ID}; COMMIT;"
        )


def _read_only(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


async def _one(connection: aiosqlite.Connection, query: str) -> dict[str, Any]:
    async with connection.execute(query) as rows:
        row = await rows.fetchone()
        assert row is not None, query
        return {column[0]: value for column, value in zip(rows.description, row, strict=True)}


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


def _rows(seq: int, commit: Commit) -> Iterator[tuple[int, int, str, str | None, str]]:
    """The parameters of INSERT_EVENT for a commit."""
    for event in commit.events:
        tail = event.encoded[event.encoded.index(b'"timestamp"') :]
        yield seq, event.event_id, event.event_type, event.agent_role, tail.decode()


def _reading(seq: int, task_id: str, filter: Filter) -> dict[str, Any]:
    """The parameters that all queries of events have, but for where to begin and how many to read."""
    return {
        "seq": seq,
        "middle": f',"task_id":"{task_id}",',
        "event_types": json.dumps(sorted(filter.event_types)),
        "agent_role": filter.agent_role,
    }


def _task(row: Sequence[Any]) -> Task:
    """A task from the columns of GET_TASK, in their order."""
    columns = dict(zip(_COLUMNS, row, strict=True))
    columns["options"] = msgspec.json.decode(columns["options"])
    columns["final_result"] = msgspec.json.decode(columns["final_result"])
    return msgspec.convert(columns | msgspec.json.decode(columns.pop("details")), Task)
