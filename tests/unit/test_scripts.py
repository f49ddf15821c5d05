"""Programs that a model wrote, run by themselves."""

import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from runner import seccomp
from runner.attempt import Confinement
from runner.confinement import Cell
from runner.metagpt.parentage import Orphans
from runner.metagpt.scripts import Scripts

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
group = os.getpgrp()
if os.fork() == 0:
    os.setsid()
    os.setpgid(0, 0)
    print(os.getpgrp() == group, os.getsid(0) == group)
else:
    os.wait()
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
    """A program and what it starts stay in one process group, so that one signal ends all, however fast they fork."""
    out, err = await scripts(tmp_path).run(["python", "-c", LEAVE], tmp_path, [])
    assert (out, err) == ("True True\n", "")


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
