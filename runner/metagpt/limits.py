"""How much of the machine the programs of a run may take, so that one that never ends, or only grows, stays harmless.

The kernel limits a single process (setrlimit(2)). What a program and all its descendants take together is looked at
several times a second: the kernel would count all processes of the user instead, those of the desktop too, and those of
root not at all. It does so all the same, far above our own limit, for what is faster than a look. How much they write
is looked at together with all else of their task (runner/disk.py).
"""

import asyncio
import contextlib
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

PROCESSES = 64
MEMORY = 2 * 1024**3  # bytes, of one process, and of all together
FILE = 256 * 1024**2  # bytes
OPEN_FILES = 512
CPU_TIME = 120  # seconds, of one process
FLOOD = 1024  # processes, or threads, that may be there beyond what the machine had when a program began

LOOK_PERIOD = 0.1  # seconds


def enter() -> None:
    """Limit this process, and each that it starts."""
    for kind, limit in (
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_FSIZE, FILE),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CPU, CPU_TIME),
    ):
        _lower(kind, limit)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_NPROC, _tasks() + FLOOD)


async def exceeded(programs: Callable[[], set[int]]) -> str:
    """Wait until programs take too much together; what that is, in words. programs: their process ids at the moment."""
    while True:
        pids = programs()
        if len(pids) > PROCESSES:
            return f"it started more than {PROCESSES} processes"
        if sum(map(_memory, pids)) > MEMORY:
            return f"it used more than {MEMORY >> 20} MiB of memory"
        await asyncio.sleep(LOOK_PERIOD)


def _lower(kind: int, limit: int) -> None:
    _, hard = resource.getrlimit(kind)
    lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (lowest, lowest))


def _tasks() -> int:
    """Processes and threads that there are, of all users (proc(5))."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])


def _memory(pid: int) -> int:
    """Bytes in memory; none of a process that has ended meanwhile."""
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0
