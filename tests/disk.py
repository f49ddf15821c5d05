"""A disk that is full for a while, as the server sees it."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from tests.support import Server

FULL = 1024  # bytes; as if there were no room: nothing can be written beyond this place in a file
ROOM = resource.RLIM_INFINITY


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    """As long as the block lasts, or the server lives, there is no room for what it writes."""
    _limit(server, FULL)
    try:
        yield
    finally:
        _limit(server, ROOM)


def _limit(server: Server, size: int) -> None:
    """size: bytes of a file that may be written."""
    with suppress(psutil.NoSuchProcess):  # which is what its end is to be told from
        psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_FSIZE, (size, ROOM))
