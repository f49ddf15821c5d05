"""Retention: the events of runs that ended long ago are deleted, now and then."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable

from runner.events import ago

PERIOD = 3600.0  # seconds

_log = logging.getLogger(__name__)


async def retain(expire: Callable[[str], Awaitable[list[str]]], keep_days: float | None) -> None:
    """Delete what is older than `keep_days`, until cancelled; nothing if that is None.

    expire: deletes the events of runs that ended before a time (RFC 3339 UTC), and says of which tasks.
    """
    while keep_days is not None:
        try:
            expired = await expire(ago(days=keep_days))
        except sqlite3.Error as error:
            _log.error("old events could not be deleted (%s); trying again later", error)
        else:
            _log.info("the events of %d old tasks were deleted", len(expired))
        await asyncio.sleep(PERIOD)
