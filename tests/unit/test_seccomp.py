"""What the filter of system calls does where no other defence stands beside it."""

import platform
import signal
import subprocess
import sys

import pytest

from runner import seccomp

# Asks for its own number as a 32-bit program does, by call 20, which for a 64-bit one is another.
CALLS = """
import ctypes, mmap, resource, sys
from runner.seccomp import CallFilter

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000" "cd80" "c3"))  # mov eax, 20; int 0x80; ret
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
if "filtered" in sys.argv:
    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # no new privileges
    CallFilter(allow_network=True).enter()
call()
"""


def _call(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-c", CALLS, *arguments]).returncode


@pytest.mark.skipif(not seccomp.available() or platform.machine() != "x86_64", reason="this system cannot do it")
def test_calls_of_another_architecture() -> None:
    """A program that calls by the numbers of another architecture, which mean other things there, is killed."""
    if _call():
        pytest.skip("this kernel runs no 32-bit programs")
    assert _call("filtered") == -signal.SIGSYS
