"""The write-ahead log of the database, kept short beside the writer and not by it.

SQLite's own way is to move the pages of a long WAL into the database within a commit, which then takes some 10 ms
longer. Here another connection does it while the writer goes on. Only if that cannot keep up, because the writer never
rests, does SQLite's own limit hold, further up.
"""

import asyncio
import logging
import sqlite3

from runner.database import Database

PAGES = 1000  # of the WAL, about, at which it is moved into the database
PAGES_AT_MOST = 8000  # at which the writer has to do it
_PAGE = 4096  # bytes
_PAGES_OF_COMMIT = 3  # beside its bytes: the inner pages, and those that are only partly new

_log = logging.getLogger(__name__)


class Wal:
    """database: a connection for this alone; closed by `aclose`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pages = 0
        self._moving: asyncio.Task[None] | None = None

    def grown(self, *, commits: int, size: int) -> None:
        """Something was committed. size: bytes."""
        self._pages += commits * _PAGES_OF_COMMIT + size // _PAGE
        if self._pages >= PAGES and self._moving is None:
            self._pages = 0
            self._moving = asyncio.create_task(self._move(), name="checkpoint of the database")

    async def aclose(self) -> None:
        try:
            if self._moving is not None:
                await self._moving
        finally:
            await self._database.close()

    async def _move(self) -> None:
        try:
            await self._database.run(_checkpoint)
        except sqlite3.Error as error:  # locked, or the disk is full: a later one, or the writer, will do it
            _log.warning("the WAL could not be moved into the database (%s); trying again later", error)
        finally:
            self._moving = None


def limit(connection: sqlite3.Connection) -> None:
    """Have the writer do it itself only in need."""
    connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_AT_MOST}")


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
