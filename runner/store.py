"""The store on SQLite: one database file, one connection that writes and one that reads.

A method is a transaction, or a few; each is a function that runs on the connection's thread, one of those below or of
runner/log.py or runner/ends.py.

WAL lets the reader go on while the writer commits. What "durable" means is `Durability`'s to say.
"""

import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self

from runner import log, rows, sql
from runner.base import Commit, Digest, Durability, Filter, Findings, Page, Placed, TaskPage
from runner.database import Database, open_database
from runner.ends import Ends
from runner.epoch import close_epoch, open_epoch, synchronize
from runner.errors import DatabaseDamaged, DatabaseUnusable, KeyReused, StorageUnavailable, TaskExists, TaskNotFound
from runner.search import Search
from runner.states import Status
from runner.task import Task
from runner.wal import Wal, limit
from runner.words import BEGIN, END, indexed, match, parts

_log = logging.getLogger(__name__)

_NEWEST = 2**62  # above every seq
_LOOKED_THROUGH = 32 * 1024 * 1024  # bytes of a database that is looked through before it is used: up to 0.1 s


class SqliteStore:
    """A `Store` in the file `path`, which is made if it does not exist.

    Raises `DatabaseUnusable` if the file is not ours, damaged, or of a newer version; it is left untouched then.
    durability: "normal": a commit survives the death of the process; "full": of the machine too. boot: which boot of
    the machine this is, None if that is not known.
    """

    def __init__(
        self, writer: Database, reader: Database, wal: Wal, search: Search, epoch: str, stack: AsyncExitStack
    ) -> None:
        """stack: closes them."""
        for database in (writer, reader):
            database.on_damage = partial(_log.error, "the database %s is damaged (%s)", database.path)
        self._writer = writer
        self._reader = reader
        self._search = search
        self._wal = wal
        self._epoch = epoch
        self._stack = stack
        self._ends = Ends()
        self._importing: set[str] = set()  # tasks that are hidden only because they are not whole yet

    @classmethod
    async def open(cls, path: Path, *, durability: Durability = "normal", boot: str | None = None) -> Self:
        async with AsyncExitStack() as stack:
            writer = await open_database(path, writes=True)
            stack.push_async_callback(writer.close)
            try:
                await writer.transaction(partial(_check, path))
                await writer.run(_configure)
                await writer.transaction(_migrate)
                epoch = await writer.transaction(partial(open_epoch, boot, durability))
                await writer.run(partial(synchronize, durability))
                reader = await open_database(path, writes=False)
                stack.push_async_callback(reader.close)
                wal = Wal(await open_database(path, writes=True))
                stack.push_async_callback(wal.aclose)
            except sqlite3.DatabaseError as error:
                reason = error.reason if isinstance(error, DatabaseDamaged) else error
                raise DatabaseUnusable(f"The database {path} cannot be used: {reason}.") from error
            search = Search(path.with_name(f"{path.stem}-search"), reader, epoch)
            return cls(writer, reader, wal, search, epoch, stack.pop_all())

    @property
    def epoch(self) -> str:
        return self._epoch

    async def check_writable(self) -> None:
        with _writing():
            await self._writer.transaction(_try_writing)

    async def create_task(self, task: Task, *, key: str | None, fingerprint: str) -> Task:
        with _writing():
            return await self._writer.transaction(partial(_create, task, key, fingerprint))

    async def import_task(self, task: Task, start: Digest, batches: AsyncIterator[Sequence[Placed]]) -> None:
        if task.id in self._importing:
            raise TaskExists(task.id)
        self._importing.add(task.id)
        try:
            with _writing():
                seq, digest = await self._writer.transaction(partial(_reserve, task, start))
                async for events in batches:
                    digest = await self._writer.run(partial(log.append, seq, events, digest))
                    self._wal.grown(commits=1, size=sum(len(event.encoded) for event in events))
                await self._writer.transaction(partial(_show, task, start.count + 1))
        finally:
            self._importing.remove(task.id)

    async def find_task(self, key: str, fingerprint: str) -> Task | None:
        return await self._reader.transaction(partial(_find, key, fingerprint))

    async def get_task(self, task_id: str) -> Task:
        return await self._reader.transaction(partial(rows.get_task, task_id))

    async def list_tasks(self, *, statuses: frozenset[Status], query: str, limit: int, cursor: int | None) -> TaskPage:
        return await self._reader.transaction(partial(_list, statuses, query, limit, cursor))

    async def count_tasks(self) -> Mapping[Status, int]:
        return await self._reader.transaction(_count)

    async def delete_task(self, task_id: str) -> None:
        await self.get_task(task_id)  # what is no task's id names no file either
        with _writing():
            async with self._search.dropped(task_id):
                await self._writer.transaction(partial(_hide, task_id, self._ends))

    async def deleted(self) -> list[str]:
        return await self._reader.transaction(_deleted)

    async def purge(self) -> None:
        try:
            for seq, task_id in await self._reader.transaction(_hidden):
                if task_id not in self._importing:
                    await self._purge(seq)
        except sqlite3.Error as error:
            _log.error("what deleted tasks take could not be freed (%s); the next purge will", error)

    async def _purge(self, seq: int) -> None:
        while await self._writer.transaction(partial(log.purge, seq)):
            self._wal.grown(commits=1, size=0)
        await self._writer.transaction(partial(_delete, seq))

    async def append(self, commits: Sequence[Commit]) -> list[bool]:
        taken = await self._writer.run(partial(self._ends.append, commits))
        self._wal.grown(commits=len(commits), size=sum([commit.size for commit in commits]))
        return taken

    async def read_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
        return await self._reader.transaction(partial(log.read_after, task_id, after, limit, size, filter))

    async def read_events_before(self, task_id: str, *, before: int, limit: int, size: int, filter: Filter) -> Page:
        return await self._reader.transaction(partial(log.read_before, task_id, before, limit, size, filter))

    async def search_events(self, task_id: str, *, query: str, limit: int, before: int | None) -> Findings:
        return await self._search.find(task_id, query=query, limit=limit, before=before)

    async def digest(self, task_id: str, through: int) -> Digest:
        return await self._reader.transaction(partial(log.digest, task_id, through))

    async def expire(self, before: str) -> list[str]:
        expired = await self._reader.transaction(partial(_expired, before))
        for task_id, head in expired:
            with suppress(TaskNotFound):  # it was deleted meanwhile
                async with self._search.dropped(task_id):
                    while await self._writer.transaction(partial(log.expire, task_id, head)):
                        pass
        return [task_id for task_id, _ in expired]

    async def aclose(self) -> None:
        try:
            await self._writer.run(close_epoch)
        except sqlite3.Error as error:  # locked, or the disk is full: it counts as not closed
            _log.warning("the database could not be synced before it was closed (%s)", error)
        finally:
            await self._stack.aclose()


@contextmanager
def _writing() -> Iterator[None]:
    """Whoever has asked for what is written in the block is told if that cannot be now."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageUnavailable(error) from error


def _check(path: Path, connection: sqlite3.Connection) -> None:
    """Raise unless the database is empty, or ours, not newer than we are, and whole as far as that can be seen soon."""
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
    if path.stat().st_size <= _LOOKED_THROUGH:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise DatabaseDamaged(path, " ".join(found.split()))


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    limit(connection)
    synchronize("full", connection)  # until it is open
    connection.execute("PRAGMA foreign_keys = ON")


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to our version."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, migration in enumerate(sql.MIGRATIONS[version:], version + 1):
        for statement in migration:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {sql.APPLICATION_ID}")


def _try_writing(connection: sqlite3.Connection) -> None:
    connection.execute(sql.TRY_WRITING)


def _create(task: Task, key: str | None, fingerprint: str, connection: sqlite3.Connection) -> Task:
    known = None if key is None else _find(key, fingerprint, connection)
    if known is not None:
        return known
    connection.execute(sql.INSERT_TASK, rows.fixed(task))
    _show(task, 1, connection)
    if key is not None:
        connection.execute(sql.INSERT_KEY, {"key": key, "fingerprint": fingerprint, "id": task.id})
    return task


def _reserve(task: Task, start: Digest, connection: sqlite3.Connection) -> tuple[int, bytes]:
    """Keep a task, hidden, whose log begins after an event. Returns its seq, and its running hash."""
    digest = bytes.fromhex(start.sha256)
    connection.execute(sql.FREE_ID, (task.id,))
    try:
        seq = int(connection.execute(sql.INSERT_TASK, rows.fixed(task)).lastrowid or 0)
    except sqlite3.IntegrityError:
        raise TaskExists(task.id) from None
    connection.execute(sql.INSERT_DIGEST, (seq, start.count, digest))
    return seq, digest


def _show(task: Task, first: int, connection: sqlite3.Connection) -> None:
    """Have a task be found. first: event_id of the first event that is kept."""
    connection.execute(sql.INSERT_STATE, {"id": task.id, "first": first} | rows.changing(task))
    texts = [indexed(text) for text in (task.title, task.input_prompt, rows.outcome(task))]
    connection.execute(sql.INDEX_TASK, (*texts, task.id))


def _find(key: str, fingerprint: str, connection: sqlite3.Connection) -> Task | None:
    used = connection.execute(sql.GET_KEY, (key,)).fetchone()
    if used is None:
        return None
    if used[0] != fingerprint:
        raise KeyReused(key)
    return rows.get_task(used[1], connection)


def _list(
    statuses: frozenset[Status], query: str, limit: int, cursor: int | None, connection: sqlite3.Connection
) -> TaskPage:
    parameters = {
        "cursor": _NEWEST if cursor is None else cursor,
        "limit": limit + 1,
        "statuses": json.dumps(sorted(statuses)),
    }
    if query.strip():
        wanted = {"match": match(query), "begin": BEGIN, "end": END}
        found = connection.execute(sql.SEARCH_TASKS, parameters | wanted).fetchall() if wanted["match"] else []
        counts = _by_status(connection.execute(sql.COUNT_FOUND_TASKS, (wanted["match"],)) if wanted["match"] else ())
    else:
        found = connection.execute(sql.LIST_TASKS_OF_STATUS if statuses else sql.LIST_TASKS, parameters).fetchall()
        counts = _count(connection)
    page = found[:limit]
    snippets = {row[1]: parts(row[-1]) for row in page if row[-1] is not None}
    return TaskPage(
        [rows.read(row[1:-1]) for row in page], page[-1][0] if len(found) > limit else None, counts, snippets
    )


def _count(connection: sqlite3.Connection) -> Mapping[Status, int]:
    return _by_status(connection.execute(sql.COUNT_TASKS))


def _by_status(rows: Iterable[tuple[str, int]]) -> Mapping[Status, int]:
    counts = {Status(status): count for status, count in rows}
    return {status: counts.get(status, 0) for status in Status}


def _hide(task_id: str, ends: Ends, connection: sqlite3.Connection) -> None:
    ends.forget(task_id)
    row = connection.execute(sql.GET_SEQ, (task_id,)).fetchone()
    if row is None:
        raise TaskNotFound(task_id)
    for statement in sql.HIDE_TASK:
        connection.execute(statement, row)


def _hidden(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    return connection.execute(sql.LIST_HIDDEN_TASKS).fetchall()


def _deleted(connection: sqlite3.Connection) -> list[str]:
    return [task_id for (task_id,) in connection.execute(sql.LIST_DELETED_IDS)]


def _delete(seq: int, connection: sqlite3.Connection) -> None:
    if connection.execute(sql.DELETE_HIDDEN_TASK, (seq,)).rowcount:
        connection.execute(sql.UNINDEX_TASK, (seq,))


def _expired(before: str, connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """The tasks whose events are too old, and their heads."""
    return connection.execute(sql.GET_EXPIRED, {"before": before}).fetchall()
