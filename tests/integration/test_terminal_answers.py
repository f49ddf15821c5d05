"""`metagpt-live run --review`: questions are answered in the terminal."""

import asyncio
import contextlib
import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil
import pytest

from tests.support import DEADLINE, METAGPT_LIVE, environment, gone

INVITATION = "[ approve | revise | stop | or your own words ] (until "


@contextlib.contextmanager
def _run(tmp_path: Path, stdin: int | IO[bytes], *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A run whose product manager's work is reviewed."""
    process = subprocess.Popen(
        [METAGPT_LIVE, "run", "hangman", "--data", tmp_path / "data", "--review", "ProductManager", *arguments],
        env=environment(tmp_path, DEMO_PACE=0),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _until(process: "subprocess.Popen[str]", text: str) -> str:
    """What it says, to the line with this text in it."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"never said {text!r}: {said}{process.stderr and process.stderr.read()}")


def _say(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


def _rest(process: "subprocess.Popen[str]") -> str:
    """What else it says, to a good end."""
    assert process.stdout is not None and process.stderr is not None
    said = process.stdout.read()
    assert process.stderr.read() == ""
    assert process.wait(DEADLINE) == 0, said
    return said


def test_a_conversation(tmp_path: Path) -> None:
    """The question and its choices are shown; words are worked in and asked about again; a choice ends it."""
    with _run(tmp_path, subprocess.PIPE) as process:
        said = _until(process, INVITATION)
        assert "The product manager has written" in said
        _say(process, "Make it about birds.\n")
        said = _until(process, INVITATION)
        assert "A person answered: Make it about birds." in said
        _say(process, "\n")  # says nothing, so it is asked again
        _until(process, INVITATION)
        _say(process, " Approve \n")  # as people type
        assert "SUCCEEDED" in _rest(process)


def test_answers_that_are_there_already(tmp_path: Path) -> None:
    """Answers of a pipe that has ended before the question was asked count in their order, the last without an end."""
    with _run(tmp_path, subprocess.PIPE) as process:
        assert process.stdin is not None
        _say(process, "Make it about birds.\napprove")
        process.stdin.close()
        said = _rest(process)
    assert re.search(r"answered: Make it about birds\..*answered: approve.*SUCCEEDED", said, re.DOTALL)


def test_answers_of_a_file(tmp_path: Path) -> None:
    """Standard input can be a file."""
    answers = tmp_path / "answers"
    answers.write_text("approve\n")
    with answers.open("rb") as file, _run(tmp_path, file) as process:
        assert "SUCCEEDED" in _rest(process)


def test_input_without_an_end(tmp_path: Path) -> None:
    """Of an endless input no more is taken than is answered."""
    with subprocess.Popen(["yes", "approve"], stdout=subprocess.PIPE) as yes:
        assert yes.stdout is not None
        with _run(tmp_path, yes.stdout, "--review", "Architect") as process:
            yes.stdout.close()
            said = _rest(process)
    assert said.count("answered: approve") == 2


def test_an_answer_that_is_too_long(tmp_path: Path) -> None:
    """An answer above the limit is refused in words, and the question asked again."""
    with _run(tmp_path, subprocess.PIPE) as process:
        _until(process, INVITATION)
        _say(process, "x" * 20_001 + "\n")
        assert "at most 20,000 characters; this one has 20,001" in _until(process, INVITATION)
        _say(process, "approve\n")
        _rest(process)


def test_a_terminal(tmp_path: Path) -> None:
    """Answers come from a terminal, too, which stays as it was: blocking."""
    ours, theirs = pty.openpty()
    try:
        with _run(tmp_path, theirs) as process:
            _until(process, INVITATION)
            assert os.get_blocking(theirs)
            os.write(ours, b"approve\n")
            assert "SUCCEEDED" in _rest(process)
    finally:
        os.close(ours)
        os.close(theirs)


def test_stop_as_an_answer(tmp_path: Path) -> None:
    """The choice `stop` ends the run, with exit code 1."""
    with _run(tmp_path, subprocess.PIPE) as process:
        _until(process, INVITATION)
        _say(process, "stop\n")
        assert process.stdout is not None
        assert "SUCCEEDED" not in process.stdout.read()
        assert process.wait(DEADLINE) == 1


@pytest.mark.parametrize("ends", [True, False])
def test_ctrl_c_while_a_person_is_asked(tmp_path: Path, ends: bool) -> None:
    """Ctrl-C stops a run that waits for an answer, whether one could still come or not; the end of the input does not,
    and says so."""
    with _run(tmp_path, subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        _until(process, INVITATION)
        if ends:
            process.stdin.close()
            assert "The question stays open; Ctrl-C stops the run." in _until(process, "Standard input has ended")
        processes = psutil.Process(process.pid).children(recursive=True)
        assert processes
        process.send_signal(signal.SIGINT)
        assert "CANCELLED" in process.stdout.read()
        assert process.stderr.read() == ""
        assert process.wait(DEADLINE) == 1
    asyncio.run(gone(processes))


def test_without_standard_input(tmp_path: Path) -> None:
    """With standard input closed nobody can answer, and that is said."""
    command = [str(METAGPT_LIVE), "run", "hangman", "--data", str(tmp_path / "data"), "--review", "ProductManager"]
    with subprocess.Popen(
        ["sh", "-c", 'exec "$0" "$@" <&-', *command],
        env=environment(tmp_path, DEMO_PACE=0),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        _until(process, "Standard input has ended")
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None and process.stderr.read() == ""
        assert process.wait(DEADLINE) == 1
