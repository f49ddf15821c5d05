"""A fork server that cannot start, one that must not be kept from starting, and one that does not answer any more."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from runner import forkserver
from runner.attempt import Llm
from runner.limits import RunLimits
from runner.states import TERMINAL, Status
from runner.task import NewTask
from runner.wiring import open_supervisor
from tests.support import DEADLINE, alive, command, until


def _without_scratch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a file stand where the scratch folder is to be."""
    (folder / "data").mkdir()
    (folder / "data" / "scratch").touch()


def _without_git(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "nothing").mkdir()
    monkeypatch.setenv("PATH", str(folder / "nothing"))


@pytest.mark.parametrize("spoil", [_without_scratch, _without_git])
async def test_a_run_without_a_fork_server(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path, pytest.MonkeyPatch], None],
) -> None:
    """Where MetaGPT's process cannot start, a run has soon FAILED, in words that say so; the log has its last words."""
    monkeypatch.setattr(forkserver, "_RESTART_PAUSE", 0)
    spoil(tmp_path, monkeypatch)
    async with open_supervisor(
        tmp_path / "data", llm=Llm(demo_pace=0), concurrency=1, limits=RunLimits(grace=1)
    ) as supervisor:
        task = await supervisor.create_task(NewTask(input_prompt="x"))
        await supervisor.start_task(task.id)
        task = await until(lambda: supervisor.get_task_state(task.id), lambda task: task.status in TERMINAL)
    assert task.status is Status.FAILED
    assert task.reason is not None and "does not start" in task.reason
    printed = [record.getMessage() for record in caplog.records if record.name == "runner.forkserver.output"]
    assert "Traceback" in "".join(printed)


@pytest.mark.parametrize("arguments", [("serve", "--port", "0"), ("run", "hangman")])
def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    """Without git in PATH the command line ends at once, with one line that says so."""
    _without_git(tmp_path, monkeypatch)
    done = command(*arguments, "--data", tmp_path / "data", home=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "git is not found" in line


def test_a_folder_named_metagpt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder named like the package, where the user happens to be, is not taken for it."""
    (tmp_path / "metagpt").mkdir()
    (tmp_path / "metagpt" / "__init__.py").write_text("raise RuntimeError('this is not MetaGPT')\n")
    monkeypatch.chdir(tmp_path)
    done = command("run", "hangman", "--data", tmp_path / "data", home=tmp_path, DEMO_PACE=0)
    assert (done.returncode, done.stderr) == (0, "")


async def test_a_fork_server_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork server that does not answer any more is ended: a stop returns when the child is gone, and others go on."""
    monkeypatch.setattr(forkserver, "_SILENCE_LIMIT", 3.0)
    data = tmp_path / "data"
    async with open_supervisor(data, llm=Llm(demo_pace=100), concurrency=2, limits=RunLimits(grace=0.2)) as supervisor:
        await until(supervisor.ready)
        (forks,) = _fork_servers(data)
        stopped, other = [(await supervisor.create_task(NewTask(input_prompt="x"))).id for _ in range(2)]
        for task_id in (stopped, other):
            await supervisor.start_task(task_id)
        children = await until(forks.children, lambda children: len(children) == 2)
        forks.suspend()
        try:
            async with asyncio.timeout(DEADLINE):
                outcome = await supervisor.stop_task(stopped)
        finally:
            with suppress(psutil.NoSuchProcess):
                forks.resume()
        assert (outcome.status, outcome.how) == (Status.CANCELLED, "killed")
        assert not any(alive(process) for process in (forks, *children))
        await until(supervisor.ready)
        await until(lambda: [len(anew.children()) for anew in _fork_servers(data)] == [1])
        task = await supervisor.get_task_state(other)
        assert (task.status, task.attempt) == (Status.RUNNING, 2)


def _fork_servers(data: Path) -> list[psutil.Process]:
    return [process for process in psutil.Process().children() if str(data / "scratch") in process.cmdline()]


def test_a_fork_server_with_nothing_to_do() -> None:
    """It says by itself that it is alive, or it would be taken for one that hangs."""
    ours, theirs = socket.socketpair()
    ours.settimeout(DEADLINE)
    program = "import socket, sys; from runner.metagpt.forkserver import ForkServer; "
    program += "ForkServer(socket.socket(fileno=int(sys.argv[1]))).serve()"
    arguments = [sys.executable, "-c", program, str(theirs.fileno())]
    with subprocess.Popen(arguments, pass_fds=[theirs.fileno()]), ours, ours.makefile("rb") as replies:
        theirs.close()
        assert [next(replies), next(replies)] == [b'{"op": "ready"}\n', b'{"op": "alive"}\n']
