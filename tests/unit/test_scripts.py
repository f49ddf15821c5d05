"""Programs that a model wrote, run by themselves."""

import asyncio
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

from runner import seccomp
from runner.attempt import Confinement
from runner.confinement import Cell
from runner.metagpt.parentage import Orphans
from runner.metagpt.scripts import Scripts
from tests.support import until

ROOT = Path(__file__).parents[2]

CONNECT = """
import socket
for family, address in ((socket.AF_INET, ("127.0.0.1", {port})), (socket.AF_UNIX, {path!r})):
    try:
        with socket.socket(family) as sock:
            sock.connect(address)
        print("connected")
    except PermissionError as error:
        print("refused")
"""

LEAVE = """
import os
group, session = os.getpgrp(), os.getsid(0)
if os.fork() == 0:
    os.setsid()
    os.setpgid(0, 0)
    print(os.getpgrp() == group, os.getsid(0) == session)
else:
    os.wait()
    print(group == os.getpid())
"""

# By themselves too: a process that programs can be left to, and one that is killed.
LEAVING = """
import asyncio, sys
from pathlib import Path
from runner.metagpt import parentage
from tests.unit.test_scripts import scripts

program = "import os, time; os.fork() and os._exit(0); os.closerange(0, 3); time.sleep(300)"
parentage.adopt_orphans()
asyncio.run(scripts(Path(sys.argv[1])).run(["python", "-c", program], Path(sys.argv[1]), []))
print(len(parentage.children()))
"""
KILLED = """
import asyncio, sys
from pathlib import Path
from tests.unit.test_scripts import scripts

program = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(300)"
asyncio.run(scripts(Path(sys.argv[1])).run(["python", "-c", program], Path(sys.argv[1]), []))
"""

# By itself, since what the environment says of pip is looked up once.
INSTALL = """
import asyncio, sys
from pathlib import Path
from tests.unit.test_scripts import scripts

async def main():
    folder = Path(sys.argv[1])
    programs = scripts(folder, allow_network=True)
    print(await programs.install("tiny"))
    print(*await programs.run(["python", "-c", "import tiny; print(tiny.word)"], folder, []))

asyncio.run(main())
"""


def scripts(folder: Path, *, allow_network: bool = False) -> Scripts:
    cell = Cell(folder, Confinement(hidden=str(folder), allow_network=allow_network))
    return Scripts(folder / "scratch", Orphans(), cell)


async def test_programs_do_not_see_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that a model wrote gets a home of its own and none of our variables."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    script = "import os; print('OPENAI_API_KEY' in os.environ, os.environ['HOME'])"
    out, err = await scripts(tmp_path).run(["python", "-c", script], tmp_path, [])
    assert (out, err) == (f"False {tmp_path / 'scratch' / 'home'}\n", "")


async def test_programs_that_flood_are_cut(tmp_path: Path) -> None:
    """Only the beginning of a program's output is kept."""
    out, _ = await scripts(tmp_path).run(["python", "-c", "print('x' * 10_000_000)"], tmp_path, [])
    assert len(out) == 64 * 1024


@pytest.mark.skipif(not seccomp.available(), reason="this system cannot filter calls")
@pytest.mark.parametrize(("allowed", "outcome"), [(False, ["refused", "refused"]), (True, ["connected", "refused"])])
async def test_the_network_is_allowed_or_not(tmp_path: Path, allowed: bool, outcome: list[str]) -> None:
    """A program has the internet protocols if they are allowed, and never other programs' sockets of this machine."""
    path = str(tmp_path / "socket")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(path)
        local.listen()
        script = CONNECT.format(port=server.getsockname()[1], path=path)
        out, err = await scripts(tmp_path, allow_network=allowed).run(["python", "-c", script], tmp_path, [])
    assert (out.split(), err) == (outcome, "")


@pytest.mark.skipif(not seccomp.available(), reason="this system cannot filter calls")
async def test_programs_stay_together(tmp_path: Path) -> None:
    """A program and what it starts stay in one process group, so that one signal ends all, and in the run's session."""
    out, err = await scripts(tmp_path).run(["python", "-c", LEAVE], tmp_path, [])
    assert (out, err) == ("True True\nTrue\n", "")


async def test_a_program_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program has so many seconds, and what it has printed by then is kept."""
    monkeypatch.setattr("runner.metagpt.scripts.RUN_LIMIT", 1.0)
    script = "import time; print('begun', flush=True); time.sleep(30)"
    out, err = await scripts(tmp_path).run(["python", "-c", script], tmp_path, [])
    assert (out, err) == ("begun\n", "\nThe command was ended: it did not end within 1 seconds.\n")


def _by_itself(code: str, folder: Path) -> list[str]:
    return [sys.executable, "-c", code, str(folder)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_what_a_program_leaves_running(tmp_path: Path) -> None:
    """When a program has ended, nothing that it has started runs on, although the run does."""
    done = subprocess.run(_by_itself(LEAVING, tmp_path), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "0\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of the death of its parent")
async def test_a_program_dies_with_its_run(tmp_path: Path) -> None:
    """A program does not outlive the process that has started it, also when that is killed."""
    told = tmp_path / "pid"
    run = await asyncio.create_subprocess_exec(*_by_itself(KILLED, tmp_path), cwd=ROOT)
    pid = await until(lambda: told.exists() and told.read_text())
    run.kill()
    await run.wait()
    await until(lambda: not psutil.pid_exists(int(pid)))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
async def test_programs_have_no_new_privileges(tmp_path: Path) -> None:
    """Whoever runs a program, it gains no rights by what it starts."""
    out, _ = await scripts(tmp_path).run(["grep", "NoNewPrivs", "/proc/self/status"], tmp_path, [])
    assert out.split() == ["NoNewPrivs:", "1"]


async def test_nothing_is_installed_without_a_network(tmp_path: Path) -> None:
    """What the tests' packages wait for is said at once, and once."""
    programs = scripts(tmp_path)
    assert "--allow-network" in (await programs.install("pygame\n") or "")
    assert await programs.install("pygame\n") is None
    assert not os.listdir(tmp_path)


def test_packages_are_installed(tmp_path: Path) -> None:
    """With a network pip works: what it has installed can be imported by the programs that follow."""
    wheels, folder = tmp_path / "wheels", tmp_path / "workspace"
    wheels.mkdir()
    folder.mkdir()
    with zipfile.ZipFile(wheels / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "word = 'installed'")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    env = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    done = subprocess.run(
        [sys.executable, "-c", INSTALL, str(folder)], capture_output=True, text=True, env=env, cwd=ROOT
    )
    assert done.stdout.split() == ["None", "installed"], done.stderr
