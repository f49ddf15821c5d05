"""Mounts of its own, by which a process changes nothing outside of one folder, also what Landlock does not govern."""

import subprocess
import sys
from pathlib import Path

import pytest

from runner.confinement import has_mounts

# Keeps to the folder in which it is; root that has lost most of its rights takes the way of all others.
KEEPS = """
import ctypes, errno, os, sys
from pathlib import Path
from runner import mounts

HEADER, CAP_SETFCAP = 0x20080522, 1 << 31
uid = os.getuid()


def rights():
    return next(int(line.split()[1], 16) for line in open("/proc/self/status") if line.startswith("CapPrm"))


if sys.argv[1] == "few":
    ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(HEADER), (ctypes.c_uint32 * 6)(CAP_SETFCAP, CAP_SETFCAP))
before = rights()
mounts.enter(Path.cwd())
for path in ("../victim", "mine", Path("mine").absolute()):
    try:
        os.chmod(path, 0o640)
        print("done")
    except OSError as error:
        print(errno.errorcode[error.errno])
print(rights() & ~before, os.getuid() == uid)
"""


@pytest.mark.skipif(not has_mounts(), reason="this system gives nobody mounts of their own")
@pytest.mark.parametrize("rights", ["all", "few"])
def test_modes_outside(tmp_path: Path, rights: str) -> None:
    """With mounts of its own a process changes the mode of what is in its folder, nothing else, and gains no right."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for file in (tmp_path / "victim", folder / "mine"):
        file.touch(0o600)
    command = [sys.executable, "-c", KEEPS, rights]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == ["EROFS", "done", "done", "0", "True"]
