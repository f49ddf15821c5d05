"""The log of the server: for people or for programs, with what a record is about, and without secrets."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support import Server, client

SECRET = "0123456789abcdefSECRET"
CONFIGURE = f"""
import asyncio, logging, sys, warnings
from runner.redact import Redactor
from server import logs
logs.configure(json=JSON, level="warning", redactor=Redactor(["{SECRET}"]))
"""


def _logged(code: str, *, json: bool, stderr: int = subprocess.PIPE) -> str:
    """What a process logs that has configured its log and runs some code."""
    code = CONFIGURE.replace("JSON", str(json)) + code
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=stderr, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


def _record(code: str) -> dict[str, Any]:
    """The one record that a process logs, as JSON."""
    (line,) = _logged(code, json=True).splitlines()
    record: dict[str, Any] = json.loads(line)
    return record


async def test_a_run_in_json(tmp_path: Path) -> None:
    """With LOG_JSON every line is an object, and those about a run carry its task and attempt."""
    with Server(tmp_path / "data", LOG_JSON=1, LOG_LEVEL="info") as server:
        async with client(server) as api:
            task_id = await api.finished()
    records = [json.loads(line) for line in server.log.splitlines()]
    about = [record for record in records if record["logger"] == "runner.run"]
    assert [record["message"] for record in about] == [
        "the attempt has begun",
        "the attempt has ended: The team has finished.",
    ]
    assert all((record["task_id"], record["attempt"], record["level"]) == (task_id, 1, "info") for record in about)
    assert all(record["timestamp"].endswith("Z") for record in records)
    assert not any("task_id" in record for record in records if record["logger"] == "runner.forkserver")


async def test_a_run_for_people(tmp_path: Path) -> None:
    """Otherwise a line is text, without colours where no terminal is."""
    with Server(tmp_path / "data", LOG_LEVEL="info") as server:
        async with client(server) as api:
            task_id = await api.finished()
    (begun,) = [line for line in server.log.splitlines() if "the attempt has begun" in line]
    assert f"task_id={task_id}" in begun and "attempt=1" in begun
    assert "\x1b" not in server.log


async def test_an_interrupted_attempt(tmp_path: Path) -> None:
    """What a server finds left open by the last one is told with its task and attempt, at the level that is on."""
    with Server(tmp_path / "data", DEMO_PACE=100) as server:
        async with client(server) as api:
            task_id = await api.started()
            await api.until_status(task_id, "RUNNING")
        server.kill()
    with Server(tmp_path / "data", LOG_JSON=1) as server:
        pass
    (record,) = [json.loads(line) for line in server.log.splitlines()]
    assert (record["task_id"], record["attempt"], record["level"]) == (task_id, 1, "warning")


@pytest.mark.parametrize(
    ("code", "logger"),
    [
        ("logging.getLogger('uvicorn.error').error('x')", "uvicorn.error"),
        ("warnings.warn('x')", "py.warnings"),
        ("asyncio.new_event_loop().call_exception_handler({'message': 'x'})", "asyncio"),
    ],
)
def test_what_others_log(code: str, logger: str) -> None:
    """The server's libraries write to the same log."""
    assert _record(code)["logger"] == logger


def test_an_exception() -> None:
    """A traceback stays within its record."""
    record = _record("try: 1 / 0\nexcept ZeroDivisionError: logging.exception('oh')")
    assert record["message"] == "oh"
    assert record["exception"].startswith("Traceback") and "ZeroDivisionError" in record["exception"]


def test_the_level() -> None:
    """What is below the level is not logged."""
    assert _logged("logging.info('x')", json=True) == ""


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "code",
    [
        f"logging.error('the key is %s', '{SECRET}')",
        f"try: raise ValueError('{SECRET}')\nexcept ValueError: logging.exception('x')",
        f"from structlog.contextvars import bind_contextvars as b; b(key='{SECRET}'); logging.error('x')",
    ],
)
def test_secrets(code: str, as_json: bool) -> None:
    """The LLM's key is in no message, traceback or field."""
    logged = _logged(code, json=as_json)
    assert "[redacted]" in logged and SECRET not in logged


def test_control_characters() -> None:
    """What is logged does not drive the terminal."""
    logged = _logged(r"logging.error('\x1b[2Jgone')", json=False)
    assert "gone" in logged and "\x1b" not in logged


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False)])
def test_a_terminal(monkeypatch: pytest.MonkeyPatch, no_color: str | None, coloured: bool) -> None:
    """On a terminal there are colours, unless NO_COLOR is set."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    ours, theirs = os.openpty()
    try:
        _logged("logging.error('x')", json=False, stderr=theirs)
        assert (b"\x1b[" in os.read(ours, 4096)) is coloured
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the limits of another process")
def test_no_core_dumps(server: Server) -> None:
    """A server that crashes leaves no image of its memory, in which the key is."""
    assert psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_CORE) == (0, 0)
