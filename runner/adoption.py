"""Orphans: the nearest ancestor that asked for them becomes their parent (prctl(2), Linux only)."""

import ctypes
import os
import sys
from collections.abc import Iterator

import psutil

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies; nothing happens where no process can."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children_of_other_sessions() -> Iterator[psutil.Process]:
    """The children of this process whose session is another, as is that of all that a fork server has made.

    Those that have ended are forgotten by that: nobody else waits for them.
    """
    session = os.getsid(0)
    for child in psutil.Process().children():
        try:
            if os.getsid(child.pid) == session:
                continue
            if child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
            else:
                yield child
        except (OSError, psutil.Error):  # it has ended meanwhile
            continue
