"""The epoch of a database: as long as it is the same, the cursors that clients hold are good.

With durability "normal" a power failure takes back the last commits. Their event_ids are then given to other events,
and who has seen the first ones must not go on behind them. So the database says, on the disk, in which boot of the
machine it is open for commits that may not be there yet. If a later boot finds that, it was never closed, and what was
lost cannot be known: a new epoch begins, and clients read from the beginning.
"""

import logging
import secrets
import sqlite3

from runner import sql
from runner.base import Durability

_log = logging.getLogger(__name__)


def open_epoch(boot: str | None, durability: Durability, connection: sqlite3.Connection) -> str:
    """The epoch from now on. To be run in a transaction that is synced.

    boot: which boot of the machine this is; None if it is not known, which then counts as one that never was before.
    """
    boot = boot or secrets.token_hex()
    left = connection.execute(sql.GET_UNSYNCED).fetchone()
    if left is not None and left[0] != boot:
        connection.execute(sql.RENEW_EPOCH)
        _log.warning(
            "the database was not closed before the machine was started anew, so its last events may be lost: it "
            "begins a new epoch, in which clients read all logs from the beginning"
        )
    if durability == "normal":
        connection.execute(sql.SET_UNSYNCED, (boot,))
    else:
        connection.execute(sql.UNSET_UNSYNCED)
    return str(connection.execute(sql.GET_EPOCH).fetchone()[0])


def close_epoch(connection: sqlite3.Connection) -> None:
    """Say that all commits are on the disk, and have it be true. To be run outside of a transaction."""
    synchronize("full", connection)
    connection.execute(sql.UNSET_UNSYNCED)


def synchronize(durability: Durability, connection: sqlite3.Connection) -> None:
    """Have commits wait for the disk, and for what was committed before them to be there, or not."""
    connection.execute(f"PRAGMA synchronous = {durability}")
    # For macOS, where fsync leaves the drive its cache.
    connection.execute(f"PRAGMA fullfsync = {int(durability == 'full')}")
