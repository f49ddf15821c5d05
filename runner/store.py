"""The store on SQLite: one database file, one connection that writes and one that reads.

WAL lets the reader go on while the writer commits. With synchronous=NORMAL a commit survives the death of the process,
not of the machine; a checkpoint syncs it.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiosqlite
import msgspec

from runner import sql
from runner.attempt import Options
from runner.base import Append, Filter, Page, TaskPage
from runner.errors import CursorAhead, DatabaseUnusable, KeyReused, TaskNotFound
from runner.states import Status
from runner.task import Task

_NEWEST = 2**62  # above every seq

_OWN_COLUMNS = {
    "id", "title", "input_prompt", "priority", "options", "created_at", "status", "attempt", "head", "final_result",
}  # fmt: skip
_DETAILS = tuple(field for field in Task.__struct_fields__ if field not in _OWN_COLUMNS)


class SqliteStore:
    """A `Store` in the file `path`, which is made if it does not exist.

    Raises `DatabaseUnusable` if the file is not ours, damaged, or of a newer version; it is left untouched then.
    """

    def __init__(self, writer: aiosqlite.Connection, reader: aiosqlite.Connection, epoch: str) -> None:
        self._writer = writer
        self._reader = reader
        self._epoch = epoch
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path) -> Self:
        writer = await aiosqlite.connect(path)
        try:
            await _migrate(writer, path)
            await writer.execute("PRAGMA journal_mode = WAL")
            await writer.execute("PRAGMA synchronous = NORMAL")
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
            await writer.execute(sql.INSERT_STATE, {"id": task.id} | _changing(task))
            if key is not None:
                await writer.execute(sql.INSERT_KEY, {"key": key, "fingerprint": fingerprint, "id": task.id})
        return task

    async def get_task(self, task_id: str) -> Task:
        async with self._reader.execute(sql.GET_TASK, (task_id,)) as rows:
            row = await rows.fetchone()
        if row is None:
            raise TaskNotFound(task_id)
        return _task(row)

    async def list_tasks(self, *, statuses: frozenset[Status], query: str, limit: int, cursor: int | None) -> TaskPage:
        escaped = query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        parameters = {
            "pattern": f"%{escaped}%",
            "cursor": _NEWEST if cursor is None else cursor,
            "limit": limit + 1,
            "statuses": json.dumps(sorted(statuses)),
        }
        async with self._reader.execute(sql.LIST_TASKS_OF_STATUS if statuses else sql.LIST_TASKS, parameters) as rows:
            found = list(await rows.fetchall())
        page = found[:limit]
        return TaskPage([_task(row[1:]) for row in page], page[-1][0] if len(found) > limit else None)

    async def delete_task(self, task_id: str) -> None:
        async with self._transaction() as writer, writer.execute(sql.DELETE_TASK, (task_id,)) as deleted:
            if not deleted.rowcount:
                raise TaskNotFound(task_id)

    async def append(self, appends: Sequence[Append]) -> list[bool]:
        taken = []
        rows: list[tuple[int, int, str, str | None, str]] = []
        async with self._transaction() as writer:
            for append in appends:
                advanced = {"id": append.task.id, "new_head": append.task.head} | _changing(append.task)
                async with writer.execute(sql.ADVANCE_TASK, advanced | {"head": append.head}) as advance:
                    row = await advance.fetchone()
                taken.append(row is not None)
                if row is not None:
                    rows += (
                        (row[0], event_id, entry.event_type, entry.agent_role, entry.tail.decode())
                        for event_id, entry in enumerate(append.entries, append.head + 1)
                    )
            await writer.executemany(sql.INSERT_EVENT, rows)
        return taken

    async def read_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
        async with self._reader.execute(sql.GET_POSITION, (task_id,)) as rows:
            position = await rows.fetchone()
        if position is None:
            raise TaskNotFound(task_id)
        seq, head = position
        if after > head:
            raise CursorAhead(after, head)
        unfiltered = filter == Filter()
        parameters: dict[str, Any] = {"seq": seq, "after": after, "limit": limit, "middle": f',"task_id":"{task_id}",'}
        if not unfiltered:
            parameters["event_types"] = json.dumps(sorted(filter.event_types))
            parameters["agent_role"] = filter.agent_role
        query = sql.READ_EVENTS if unfiltered else sql.READ_FILTERED_EVENTS
        async with self._reader.execute(query, parameters) as rows:
            return _page(list(await rows.fetchall()), after=after, limit=limit, size=size, head=head)

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

    async def aclose(self) -> None:
        await self._reader.close()
        await self._writer.close()


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
        "details": msgspec.json.encode({name: getattr(task, name) for name in _DETAILS}).decode(),
        "final_result": msgspec.json.encode(task.final_result).decode(),
    }


def _task(row: Sequence[Any]) -> Task:
    """A task from the columns of GET_TASK, in their order."""
    task_id, title, input_prompt, priority, options, created_at, status, attempt, head, details, final_result = row
    return msgspec.convert(
        {
            "id": task_id,
            "title": title,
            "input_prompt": input_prompt,
            "priority": priority,
            "options": msgspec.json.decode(options, type=Options),
            "created_at": created_at,
            "status": status,
            "attempt": attempt,
            "head": head,
            "final_result": msgspec.json.decode(final_result),
        }
        | msgspec.json.decode(details),
        Task,
    )


def _page(rows: Sequence[Any], *, after: int, limit: int, size: int, head: int) -> Page:
    """Cut rows of (event_id, encoded) to about `size` bytes; at least one event, so that a reader always moves on."""
    events: list[bytes] = []
    cursor = after
    room = size
    for event_id, encoded in rows:
        if events and room <= 0:
            return Page(events, cursor, head)
        events.append(encoded.encode())
        room -= len(events[-1])
        cursor = event_id
    # The log may have grown since its head was read. At its end the cursor also passes what was filtered out.
    head = max(head, cursor)
    return Page(events, head if len(rows) < limit else cursor, head)
