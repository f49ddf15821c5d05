"""The sessions of runs, by which their programs are known."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from runner import seccomp
from runner.sessions import Sessions
from tests.unit.test_scripts import ROOT

pytestmark = pytest.mark.skipif(not seccomp.available(), reason="this system cannot filter calls")

# A process in a session of its own, that is filtered as a model's programs are if it is told so.
WAITING = """
import sys
from pathlib import Path
from runner.attempt import Confinement
from runner.confinement import Cell

if sys.argv[1] == "filtered":
    Cell(Path(sys.argv[2]), Confinement(hidden=sys.argv[2])).enter_program()
print(flush=True)
input()
"""


@contextmanager
def program(folder: Path, kind: str) -> Iterator[int]:
    """Such a process, once it waits; its number."""
    process = psutil.Popen(
        [sys.executable, "-c", WAITING, kind, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        cwd=ROOT,
    )
    try:
        process.stdout.readline()
        yield process.pid
    finally:
        process.communicate(b"\n")


def members(sessions: Sessions) -> list[int]:
    return [process.pid for process in sessions.members()]


def test_a_program_is_known_by_its_session(tmp_path: Path) -> None:
    """It is, also to another server, until the session has ended; what is not filtered is no program of a run."""
    folder = tmp_path / "sessions"
    with program(tmp_path, "filtered") as filtered, program(tmp_path, "free") as free:
        for pid in (filtered, free):
            Sessions(folder).begin(pid)
        assert members(Sessions(folder)) == [filtered]
        Sessions(folder).end(filtered)
        assert members(Sessions(folder)) == []


def test_a_session_before_the_machine_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of another boot are strangers' now, and forgotten."""
    sessions = Sessions(tmp_path / "sessions")
    with program(tmp_path, "filtered") as pid:
        with monkeypatch.context() as before:
            before.setattr("runner.sessions.boot_id", lambda: "another")
            sessions.begin(pid)
        assert members(sessions) == []
    assert list((tmp_path / "sessions").iterdir()) == []
