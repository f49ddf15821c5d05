"""What the kernel keeps a process from that gives rights up, where no filter of system calls stands before it."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from runner import landlock

ENTER = """
import ctypes, socket
from runner.landlock import Ruleset

ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # no new privileges
Ruleset(tcp={tcp}).enter()
for family, address in ((socket.AF_INET, ("127.0.0.1", {port})), (socket.AF_UNIX, {name})):
    try:
        socket.socket(family).connect(address)
        print("connected")
    except PermissionError:
        print("refused")
"""


@pytest.mark.skipif(landlock.abi() < landlock.SCOPE_ABI, reason="this kernel cannot do it")
@pytest.mark.parametrize(("tcp", "outcome"), [("none", ["refused", "refused"]), ("tcp", ["connected", "refused"])])
def test_connections(tcp: str, outcome: list[str]) -> None:
    """TCP is free or not, and other programs' sockets without a file never are."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(b"")  # a name that nobody has
        local.listen()
        program = ENTER.format(tcp=tcp == "tcp", port=server.getsockname()[1], name=local.getsockname())
        arguments = [sys.executable, "-c", program]
        done = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == outcome


# What one does in a folder in which all is allowed that can be, and in one in which files may be read.
DOES = """
import ctypes, errno, os, stat, subprocess, sys
from pathlib import Path
from runner.landlock import READ, WRITE, Ruleset

READ_FILE, READ_DIR = 1 << 2, 1 << 3
writable, readable = map(Path, sys.argv[1:])
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # no new privileges
ruleset = Ruleset(tcp=True)
ruleset.allow(READ | WRITE, [writable])
ruleset.allow(READ_FILE | READ_DIR, [readable])
ruleset.allow(READ, map(Path, ("/usr", "/lib", "/lib64", "/dev", sys.prefix, sys.base_prefix)))
ruleset.enter()
makes = {
    name: lambda name=name: os.mknod(writable / name, getattr(stat, name) | 0o600)
    for name in ("S_IFREG", "S_IFCHR", "S_IFBLK", "S_IFIFO", "S_IFSOCK")
}
reads = {
    "read": lambda: (readable / "program").read_bytes(),
    "run": lambda: subprocess.run([readable / "program"], check=True),
}
for name, does in {**makes, **reads}.items():
    try:
        does()
        print(name, "done")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
"""


@pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")
def test_devices_and_programs(tmp_path: Path) -> None:
    """Nothing but files and folders is made where one may write, and what may be read is not run for that."""
    writable, readable = tmp_path / "writable", tmp_path / "readable"
    writable.mkdir()
    readable.mkdir()
    shutil.copy(shutil.which("true") or "", readable / "program")
    command = [sys.executable, "-c", DOES, str(writable), str(readable)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    outcomes = dict(line.split() for line in done.stdout.splitlines())
    assert outcomes == {
        **{"S_IFREG": "done", "S_IFCHR": "EACCES", "S_IFBLK": "EACCES", "S_IFIFO": "EACCES", "S_IFSOCK": "EACCES"},
        **{"read": "done", "run": "EACCES"},
    }
