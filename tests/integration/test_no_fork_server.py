"""A fork server that cannot start, and one that must not be kept from starting."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runner import forkserver
from runner.attempt import Llm
from runner.states import TERMINAL, Status
from runner.supervisor import open_supervisor
from runner.task import NewTask
from tests.support import command, until


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
    async with open_supervisor(tmp_path / "data", llm=Llm(demo_pace=0), concurrency=1, grace=1) as supervisor:
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
