"""Parents and children among processes, so that nothing of a run is left once it has ended.

A program that leaves its parent and its process group, as daemons do, is adopted by the nearest ancestor that asked for
orphans (prctl(2), Linux only): the child process of its attempt, and when that is gone the fork server, which kills it.
A parent holds the number of a child until it reaps it, so a signal cannot hit a stranger. Elsewhere (macOS) init adopts
such a program: it lives on until `runner.leftovers` finds it, at the next start of the server.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

_KILL_LIMIT = 1.0  # seconds
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies; a blocked event loop could not notice by itself."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def outlive_parent() -> None:
    """Take `die_with_parent` back."""
    _prctl(_PR_SET_PDEATHSIG, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children() -> set[int]:
    """The children of this process's main thread; those that have ended and were not reaped are among them."""
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    if not listing.exists():  # not Linux, or a kernel without this file: look at every process there is
        return {child.pid for child in psutil.Process().children()}
    return {int(pid) for pid in listing.read_text().split()}


def family(pids: set[int]) -> set[int]:
    """These processes and all their descendants."""
    found, new = set(pids), pids
    while new:
        new = {child for pid in new for child in _children_of(pid)} - found
        found |= new
    return found


def _children_of(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(OSError, psutil.Error):  # it has ended
        for listing in Path(f"/proc/{pid}/task").glob("*/children"):
            found.update(map(int, listing.read_text().split()))
        if sys.platform != "linux":
            found.update(child.pid for child in psutil.Process(pid).children())
    return found


def kill(pid: int) -> bool:
    """SIGKILL a child that was not reaped, with its process group unless that is ours; whether that was permitted."""
    try:
        group = os.getpgid(pid)
        if group != os.getpgrp():
            os.killpg(group, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # macOS says so of one that has ended
        return True
    except PermissionError:  # it has taken on another user's rights
        return False
    return True


class Orphans:
    """The children that this process has adopted, told apart from those that it has started by itself through here."""

    def __init__(self) -> None:
        self._own = children()
        self._starting = 0

    async def start_program(self, *command: str, **options: Any) -> asyncio.subprocess.Process:
        """`asyncio.create_subprocess_exec`, which waits for the program itself."""
        self._starting += 1
        try:
            process = await asyncio.create_subprocess_exec(*command, **options)
            self._own.add(process.pid)
            return process
        finally:
            self._starting -= 1

    def popen(self, *arguments: Any, **options: Any) -> subprocess.Popen[Any]:
        """`subprocess.Popen`, whose caller waits for the program."""
        process = subprocess.Popen(*arguments, **options)
        self._own.add(process.pid)
        return process

    def with_family(self, pid: int) -> set[int]:
        """A program, all that were adopted and live, and the descendants of all these."""
        self.reap()
        return family({pid} | self.adopted())

    def adopted(self) -> set[int]:
        return children() - self._own

    async def kill(self) -> None:
        """End those that there are. What forks faster than it dies is left to the end of the run."""
        deadline = time.monotonic() + _KILL_LIMIT
        while not self._starting and (adopted := self.adopted()) and time.monotonic() < deadline:
            for pid in adopted:
                kill(pid)
            self.reap()
            await asyncio.sleep(0)

    def reap(self) -> None:
        """Forget adopted children that have ended: there may be thousands, and nobody else waits for them."""
        if self._starting:
            return
        for pid in self.adopted():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value)
