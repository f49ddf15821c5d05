import re

import pytest

from runner.events import EventType
from runner.states import Status
from runner.task import NewTask
from server import terminal
from server.lines import Lines
from tests.logs import make_commit, make_task

IDEA = NewTask(input_prompt="idea")
NOBODY = Lines(-1)
HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\x08\x9b31m\u202etxt.exe\u2028new\x00line"


class OneRun:
    """A runner whose only run says one thing, and ends."""

    def __init__(self, message: str, status: Status) -> None:
        self._message = message
        self._status = status

    def watch(self, listener: object) -> None:
        self._listener = listener

    async def create_task(self, new: object) -> object:
        self._task = make_task(status=Status.PENDING)
        return self._task

    async def start_task(self, task_id: str) -> object:
        commit = make_commit(self._task, [self._message], event_type=EventType.MESSAGE, status=self._status)
        self._listener(commit)  # type: ignore[operator]
        return commit.task


@pytest.mark.parametrize(("status", "code"), [(Status.SUCCEEDED, 0), (Status.FAILED, 1), (Status.CANCELLED, 1)])
async def test_the_exit_code(status: Status, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """0 for a team that has finished, 1 for all else, and the status is said."""
    assert await terminal.run(OneRun("hello", status), IDEA, NOBODY) == code  # type: ignore[arg-type]
    assert status in capsys.readouterr().out


async def test_what_an_llm_writes_does_not_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences, bidirectional marks and new lines of a message come out as harmless characters of one line."""
    await terminal.run(OneRun(HOSTILE, Status.SUCCEEDED), IDEA, NOBODY)  # type: ignore[arg-type]
    out = capsys.readouterr().out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", out)
    (line,) = [line for line in out.splitlines() if "owned" in line]
    assert "newline" in line or "new" in line
