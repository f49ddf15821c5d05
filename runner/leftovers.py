"""What a fork server has left behind: programs that its runs had started, when it was killed and could not end them.

Every process of a run carries a mark in its environment, the scratch folder of its fork server. A program that has
cleared its environment, and has left its parent too, is known by the session of its run.
"""

import contextlib
import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from runner.sessions import Sessions

MARK = "METAGPT_LIVE_SCRATCH"
_LIMIT = 5.0  # seconds after which what does not die is let go
_PERIOD = 0.1  # seconds from one look to the next

_log = logging.getLogger(__name__)


def mark(scratch: Path) -> dict[str, str]:
    """The variable by which the processes of a fork server are known. scratch: its folder."""
    return {MARK: str(scratch.resolve())}


def end_leftovers(scratch: Path, sessions: Sessions, children: Iterable[int] = ()) -> None:
    """Kill what a fork server of this folder, which has ended, has left, and return when nothing of it is there.

    It blocks, normally for the milliseconds of a look at every process. children: the numbers of those that it had. One
    that is just ending has lost its mark.
    """
    deadline = time.monotonic() + _LIMIT
    known = list(_processes(children))
    while left := [*filter(_is_there, known), *_left(scratch, sessions)]:
        if time.monotonic() > deadline:
            _log.error("processes of earlier runs cannot be killed: %s", [process.pid for process in left])
            return
        for process in left:
            with contextlib.suppress(psutil.Error):  # ended meanwhile, or with another user's rights
                process.kill()
        psutil.wait_procs(left, timeout=_PERIOD)
    sessions.clear()


def _processes(pids: Iterable[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            yield psutil.Process(pid)


def _is_there(process: psutil.Process) -> bool:
    """Whether it lives; of one that nobody has reaped, nothing is left."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _left(scratch: Path, sessions: Sessions) -> list[psutil.Process]:
    """The processes that carry the mark, with their descendants, and those in the sessions of runs.

    psutil knows each by its start, too.
    """
    wanted = mark(scratch).items()
    found = [process for process in sessions.members() if _is_there(process)]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # ended meanwhile, or not ours
            if wanted <= process.environ().items():
                found += [process, *process.children(recursive=True)]
    return found
