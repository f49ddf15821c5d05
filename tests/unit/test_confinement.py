"""What the kernel keeps the process of a run from when nothing else does."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner import confinement, landlock
from runner.attempt import Confinement

# MetaGPT's own calls, with no guard around them, and paths that a model might have chosen, where only Landlock holds.
UNGUARDED = """
import asyncio, os, sys
from pathlib import Path
from runner import confinement, environment
from runner.attempt import Confinement
from runner.confinement import Cell
from runner.metagpt import preload

outside, workspace = Path(sys.argv[1]), Path(sys.argv[2])
preload.load(workspace / ".scratch")
from metagpt.utils.file_repository import FileRepository
from metagpt.utils.git_repository import GitRepository

environment.settle(workspace / ".scratch")
confinement.has_mounts = lambda: False
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


# The same calls as a run makes them, each by itself, and one with a secret.
GUARDED = """
import asyncio, json, os, sys
from pathlib import Path
from types import SimpleNamespace
from runner.attempt import AttemptSpec, Confinement, Llm, Options
from runner.metagpt import preload
from runner.redact import Redactor

outside, workspace = Path(sys.argv[1]), Path(sys.argv[2])
preload.load(workspace / ".scratch")
from metagpt.utils.file_repository import FileRepository
from metagpt.utils.git_repository import GitRepository
from runner.metagpt import hooks
from runner.metagpt.failures import OutsideWorkspace
from runner.metagpt.run import Run

channel = SimpleNamespace(emit=lambda *_, **__: None, redactor=Redactor(["the secret"]))
confinement = Confinement(hidden=str(outside / "hidden"))
spec = AttemptSpec(task_id="t", attempt=1, input_prompt="x", options=Options(), workspace=str(workspace),
                   confinement=confinement, llm=Llm())
hooks.install(Run(spec, "project", channel))
repository = GitRepository(local_path=workspace / "project", auto_init=True)
files = FileRepository(git_repo=repository)
(workspace / "project/link").symlink_to(outside / "victim")


def guarded(call):
    try:
        call()
        return False
    except OutsideWorkspace:
        return True


paths = ("../../victim/file", str(outside / "victim/file"), "link/file", ".git/hooks/pre-commit")
print(json.dumps({
    "save": [guarded(lambda: asyncio.run(files.save(path, "x"))) for path in paths],
    "get": [guarded(lambda: asyncio.run(files.get(path))) for path in paths],
    "delete": [guarded(lambda: asyncio.run(files.delete(path))) for path in paths],
    "rename": [guarded(lambda: repository.rename_root(name)) for name in ("../../victim", "a/b", str(outside))],
    "links": [str(path) for path in repository.get_files("link")],
}))
asyncio.run(files.save("file", "This is the secret."))
"""


def test_guarded_calls_are_refused(tmp_path: Path) -> None:
    """MetaGPT's own calls for files raise for a path outside, each of them, and write no secret that they know."""
    victim, workspace = tmp_path / "victim" / "file", tmp_path / "workspace"
    victim.parent.mkdir()
    workspace.mkdir()
    victim.write_text("untouched")
    command = [sys.executable, "-c", GUARDED, str(tmp_path), str(workspace)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("links") == []
    assert {call: all(refused) for call, refused in told.items()} == dict.fromkeys(
        ("save", "get", "delete", "rename"), True
    )
    assert victim.read_text() == "untouched"
    assert (workspace / "project" / "file").read_text() == "This is [redacted]."


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


# What a process says of itself once it is held in.
GIVES_UP = """
import ctypes, resource, sys
from pathlib import Path
from runner.attempt import Confinement
from runner.confinement import Cell

PR_GET_DUMPABLE = 3
Cell(Path(sys.argv[1]), Confinement(hidden=sys.argv[1])).enter()
print("core", *resource.getrlimit(resource.RLIMIT_CORE))
print("dumpable", ctypes.CDLL(None).prctl(PR_GET_DUMPABLE))
print(*[line for line in open("/proc/self/status") if line.startswith(("NoNewPrivs", *sys.argv[2:]))])
"""


@pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")
def test_what_a_run_gives_up(tmp_path: Path) -> None:
    """The process of a run leaves no core dump, is traced by nobody, and what it starts has no rights to gain."""
    only_of_root = {} if os.getuid() else {"CapBnd:": "0" * 16}
    command = [sys.executable, "-c", GIVES_UP, str(tmp_path), *only_of_root]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = ["core", "0", "0", "dumpable", "0", *itertools.chain(*only_of_root.items()), "NoNewPrivs:", "1"]
    assert done.stdout.split() == told


# Reads below a folder that every program may read, in which something is hidden, and by a link in it.
READS = """
import sys
from pathlib import Path
from runner.attempt import Confinement
from runner.confinement import Cell

folder = Path(sys.argv[1])
Cell(folder / "data" / "workspace", Confinement(hidden=str(folder / "data"))).enter()
for name in ("certificate", "data/secret", "link/secret"):
    try:
        print((folder / name).read_text())
    except PermissionError:
        print("refused")
"""


@pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")
def test_what_is_hidden_among_what_is_readable(tmp_path: Path) -> None:
    """Data that lie in a folder of the system's stay hidden, and links beside them lead nowhere."""
    folder, elsewhere = tmp_path / "certificates", tmp_path / "elsewhere"
    (folder / "data" / "workspace").mkdir(parents=True)
    elsewhere.mkdir()
    (folder / "certificate").write_text("public")
    (folder / "link").symlink_to(elsewhere)
    for secret in (folder / "data" / "secret", elsewhere / "secret"):
        secret.write_text("secret")
    command = [sys.executable, "-c", READS, str(folder)]
    env = os.environ | {"SSL_CERT_DIR": str(folder)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env, check=True)
    assert done.stdout.split() == ["public", "refused", "refused"]


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that cannot confine programs says so; where the network is allowed, there is nothing to say of it."""
    monkeypatch.setattr("runner.landlock.abi", lambda: 0)
    monkeypatch.setattr("runner.confinement.has_mounts", lambda: False)
    monkeypatch.setattr("runner.seccomp.available", lambda: False)
    told = confinement.weaknesses(Confinement(hidden="/data"))
    words = ("read and write", "end other", "the mode", "multiply", "network")
    assert [word for word in words if not any(word in line for line in told)] == []
    allowed = confinement.weaknesses(Confinement(hidden="/data", allow_network=True))
    assert allowed == [line for line in told if "network" not in line]
