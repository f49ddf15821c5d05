"""The folder of a task."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.states import TERMINAL, Status
from runner.task import NewTask
from runner.workspace import NotCopied, keep_base
from tests.children import told_supervisor
from tests.support import until


def test_a_link_is_no_project(tmp_path: Path) -> None:
    """A project that a program has put a link in place of is not copied from where that leads."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (tmp_path / "project").symlink_to(secret)
    with pytest.raises(FileNotFoundError):
        keep_base(tmp_path / "other" / "workspace", tmp_path / "project", limit=10**6)
    assert not (tmp_path / "other").exists()


def test_files_that_would_grow(tmp_path: Path) -> None:
    """A file with holes, which would be filled in a copy, is not copied if it is larger than a task's files may be."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "holes").touch()
    os.truncate(project / "holes", 10**9)
    with pytest.raises(NotCopied, match="larger"):
        keep_base(tmp_path / "other" / "workspace", project, limit=10**6)
    assert not (tmp_path / "other").exists()


def test_folders_that_are_too_deep(tmp_path: Path) -> None:
    """Folders that are deeper than the copying goes are refused in words."""
    project = tmp_path / "project"
    project.mkdir()
    for depth in range(1, 110):
        os.mkdir(f"{project}{'/d' * depth}")
    with pytest.raises(NotCopied, match="deep"):
        keep_base(tmp_path / "other" / "workspace", project, limit=10**9)


NOBODY = 65534  # a user

# What a program of a run may leave, and one call of ours, by a user who is not root: root may do everything.
CLOSED_FOLDERS = f"""
import os
from pathlib import Path
from runner.workspace import discard, lay_out
if os.getuid() == 0:
    os.setuid({NOBODY})
workspace = Path("task/workspace")
for mode in (0o555, 0o111, 0o000):
    inner = workspace / oct(mode) / "inner"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    inner.chmod(mode)
    inner.parent.chmod(mode)
workspace.chmod(0o555)
"""


@pytest.mark.parametrize(
    ("call", "left"), [("lay_out(workspace)", ["task", "task/workspace"]), ("discard(workspace.parent)", [])]
)
def test_closed_folders(tmp_path: Path, call: str, left: list[str]) -> None:
    """Folders that a run has left closed, with what is in them, keep neither the next attempt nor a deletion up."""
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    if os.getuid() == 0:
        os.chown(tasks, NOBODY, -1)
    subprocess.run([sys.executable, "-c", CLOSED_FOLDERS + call], cwd=tasks, check=True)
    assert [str(path.relative_to(tasks)) for path in sorted(tasks.rglob("*"))] == left


async def test_a_workspace_that_cannot_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A run whose files cannot be laid out, for instance on a full disk, has failed and says why; nothing broke."""
    async with told_supervisor(tmp_path) as (supervisor, _):
        task = await supervisor.create_task(NewTask(input_prompt="x"))
        project = tmp_path / "tasks" / task.id / "base" / "game"
        project.mkdir(parents=True)
        os.mkfifo(project / "pipe")
        await supervisor.start_task(task.id)
        ended = await until(lambda: supervisor.get_task_state(task.id), lambda task: task.status in TERMINAL)
    assert ended.status is Status.FAILED and (ended.reason or "").startswith("The workspace could not be made: ")
    assert "pipe" in (ended.reason or "") and "broke" not in caplog.text
