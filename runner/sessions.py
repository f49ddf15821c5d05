"""The sessions of runs: each run's process begins one, which none of its programs can leave (runner/seccomp.py).

So what is left of a run is known by its session, whatever it has cleared, and whomever it has left. The number of a
session is that of the process that began it, and is no other's as long as somebody is in it (credentials(7)). It is in
a file from before the process knows what to do until it has ended: one that is killed with its server leaves it to the
next.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from runner.boot import boot_id

_FILTERED = "Seccomp:\t2\n"  # in /proc/PID/status, proc(5)

_log = logging.getLogger(__name__)


class Sessions:
    """folder: of their files, made when it is needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, pid: int) -> None:
        """Keep the session of a process that is there."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file(pid).write_text(boot_id() or "")
        except OSError as error:  # it matters only if this server is killed with all that it has started
            _log.warning("which process is a run's could not be written (%s)", error)

    def end(self, pid: int) -> None:
        """Forget the session of a process that has ended, with all that it had started."""
        with suppress(OSError):
            self._file(pid).unlink(missing_ok=True)

    def members(self) -> Iterator[psutil.Process]:
        """The programs that are in one of the sessions."""
        known = self._known()
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):  # it has ended meanwhile
                if os.getsid(process.pid) in known and _is_filtered(process.pid):
                    yield process

    def clear(self) -> None:
        """Forget all: nothing is left of them."""
        for pid in self._known():
            self.end(pid)

    def _known(self) -> set[int]:
        """Their numbers; those of another boot of the machine are forgotten, since others may have them now."""
        found = set()
        for file in self._folder.glob("*"):
            with suppress(OSError):
                if file.read_text() == (boot_id() or ""):
                    found.add(int(file.name))
                else:
                    file.unlink()
        return found

    def _file(self, pid: int) -> Path:
        return self._folder / str(pid)


def _is_filtered(pid: int) -> bool:
    """Whether it is a program that a model wrote: its calls are filtered, as those of hardly anything else are."""
    return _FILTERED in Path(f"/proc/{pid}/status").read_text()
