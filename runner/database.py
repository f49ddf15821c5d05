"""A database connection whose transactions are functions.

aiosqlite hands every statement to its thread and back, which costs more than most statements do; and between two
statements of one caller come those of others. Here a whole transaction is one visit to the thread: nothing comes in
between, all its reads see one state of the database, and a caller who is cancelled leaves nothing half done.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
import msgspec

from runner.errors import DatabaseDamaged

_T = TypeVar("_T")

Row = Sequence[Any] | Mapping[str, Any]
"""The parameters of a statement."""

Write = tuple[str, Sequence[Row]]
"""A statement, and what it is to be run with, once for each."""

_CHUNK = 64  # rows, of aiosqlite's own iteration, which is not used
_BUSY = 5.0  # seconds to wait for a lock that another process holds

BEGIN_READ = "BEGIN"
# A transaction that reads first, and then finds that another process writes, could not wait for it.
BEGIN_WRITE = "BEGIN IMMEDIATE"

_PRIMARY = 0xFF  # the bits of an error code that are not its details
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_NOT_DECODED = "Could not decode to UTF-8"  # an OperationalError without a code


class Database(aiosqlite.Connection):
    """Make one with `open_database`; close it with `close`.

    Its methods raise `DatabaseDamaged` when they meet what was never written so. on_damage: is told before.
    """

    path: Path
    on_damage: Callable[[Exception], None] | None = None
    begin = BEGIN_READ

    async def transaction(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` in a transaction of its own: committed when it returns, rolled back when it raises."""
        return await self.run(partial(_transact, self.begin, work))

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` outside of a transaction: for pragmas, and for what has transactions of its own."""
        execute: Callable[..., Awaitable[_T]] = self._execute
        try:
            return await execute(work, self._conn)
        except (sqlite3.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
            if not _is_damage(error):
                raise
            if self.on_damage is not None:
                self.on_damage(error)
            raise DatabaseDamaged(self.path, str(error)) from error


async def open_database(path: Path, *, writes: bool) -> Database:
    """A connection to the file `path`, which is made if it does not exist and is to be written."""
    database = Database(partial(_connect, path, "rwc" if writes else "ro"), _CHUNK)
    database.path = path
    if writes:
        database.begin = BEGIN_WRITE
    await database
    return database


def write(writes: Sequence[Write], connection: sqlite3.Connection) -> None:
    """Write all of it, or nothing. To be run outside of a transaction.

    A single row is one to SQLite anyway; to begin and end it as well takes a tenth longer (measured).
    """
    match writes:
        case [(statement, [row])]:
            connection.execute(statement, row)
        case _:
            _transact(BEGIN_WRITE, partial(_write_all, writes), connection)


def _write_all(writes: Sequence[Write], connection: sqlite3.Connection) -> None:
    for statement, rows in writes:
        connection.executemany(statement, rows)


def _is_damage(error: Exception) -> bool:
    """Whether this is the file's fault; what cannot be decoded was not written so."""
    if isinstance(error, sqlite3.Error) and not str(error).startswith(_NOT_DECODED):
        return getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _DAMAGE
    return True


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY)
    # On macOS alone fsync leaves the drive its cache; what a WAL held must be on the disk before it is written over.
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    return connection


def _transact(begin: str, work: Callable[[sqlite3.Connection], _T], connection: sqlite3.Connection) -> _T:
    connection.execute(begin)
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
