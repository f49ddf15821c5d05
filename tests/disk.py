"""A disk that is full for a while, as the server sees it."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from tests.support import Server

FULL = 4096  # bytes; nothing can be written beyond this place in a file: not one page of the WAL, which has a header
ROOM = resource.RLIM_INFINITY


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    """As long as the block lasts, or the server lives, there is no room for what it writes."""
    with suppress(psutil.NoSuchProcess):
        _limit(psutil.Process(server.process.pid), FULL)
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(server.process.pid)
            for one in (process, *process.children(recursive=True)):  # those that it has started meanwhile have it, too
                with suppress(psutil.NoSuchProcess):
                    if one.rlimit(psutil.RLIMIT_FSIZE)[0] == FULL:
                        _limit(one, ROOM)


def _limit(process: psutil.Process, size: int) -> None:
    """size: bytes of a file that may be written."""
    process.rlimit(psutil.RLIMIT_FSIZE, (size, ROOM))
