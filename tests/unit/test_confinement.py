"""What the kernel keeps the process of a run from when nothing else does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner import confinement, landlock
from runner.attempt import Confinement

# MetaGPT's own calls, with no guard around them, and paths that a model might have chosen.
UNGUARDED = """
import asyncio, os, sys
from pathlib import Path
from runner import environment
from runner.attempt import Confinement
from runner.confinement import Cell
from runner.metagpt import preload

outside, workspace = Path(sys.argv[1]), Path(sys.argv[2])
preload.load(workspace / ".scratch")
from metagpt.utils.file_repository import FileRepository
from metagpt.utils.git_repository import GitRepository

environment.settle(workspace / ".scratch")
Cell(workspace, Confinement(hidden=str(workspace.parent))).enter()
repository = GitRepository(local_path=workspace / "project", auto_init=True)
files = FileRepository(git_repo=repository)
(workspace / "project/link").symlink_to(outside)


def attempt(call):
    try:
        call()
    except PermissionError:
        print("refused")


for path in ("../../victim/file", outside / "victim/file", "link/new", "../../new"):
    attempt(lambda: asyncio.run(files.save(path, "x")))
attempt(lambda: asyncio.run(files.delete("../../victim/file")))
repository.rename_root("../../victim")  # it only logs what goes wrong
asyncio.run(files.save("inside", "x"))
"""


@pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")
def test_unguarded_calls_are_refused(tmp_path: Path) -> None:
    """MetaGPT can write, delete and rename nothing outside the workspace, whatever a model answers."""
    victim = tmp_path / "victim" / "file"
    workspace = tmp_path / "workspace"
    victim.parent.mkdir()
    workspace.mkdir()
    victim.write_text("untouched")
    command = [sys.executable, "-c", UNGUARDED, str(tmp_path), str(workspace)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"HOME": str(tmp_path)})
    assert (done.returncode, done.stdout.split()) == (0, ["refused"] * 5), done.stderr
    assert victim.read_text() == "untouched"
    assert sorted(os.listdir(tmp_path)) == ["victim", "workspace"]
    assert (workspace / "project" / "inside").exists()


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that cannot confine programs says so; where the network is allowed, there is nothing to say of it."""
    monkeypatch.setattr("runner.landlock.abi", lambda: 0)
    monkeypatch.setattr("runner.seccomp.available", lambda: False)
    told = confinement.weaknesses(Confinement(hidden="/data"))
    words = ("read and write", "end other", "multiply", "network")
    assert [word for word in words if not any(word in line for line in told)] == []
    allowed = confinement.weaknesses(Confinement(hidden="/data", allow_network=True))
    assert allowed == [line for line in told if "network" not in line]
