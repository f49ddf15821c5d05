"""A seccomp filter that keeps a program from the network: it may make no sockets (seccomp(2), Linux).

Landlock could forbid TCP only. The filter is classic BPF over the number and the arguments of each system call; it
holds for all descendants, for good. A refused call fails with EACCES, which Python raises as PermissionError. The
package that generates such filters is old, and needs a library of the system's that is not always there.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

_IO_URING_SETUP = 425  # makes sockets without socket(2); the same number on every architecture
_X32 = 0x40000000  # linux/filter.h: another table of calls on x86-64, with this bit in the numbers

# By machine: its number in linux/audit.h, and that of socket(2).
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198), "riscv64": (0xC00000F3, 198)}

# Of a network that is allowed; UNIX sockets would lead to other programs of this machine.
_FAMILIES = (socket.AF_INET, socket.AF_INET6, 16)  # AF_NETLINK, which asks for the machine's own addresses

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16  # struct seccomp_data, little-endian
_KILL, _ALLOW = 0x80000000, 0x7FFF0000
_REFUSE = 0x00050000 | errno.EACCES


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def available() -> bool:
    """Whether this system can filter system calls, and this module knows its numbers."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES or sys.maxsize < 2**32:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, None, 0, 0)
    return ctypes.get_errno() == errno.EFAULT  # it would have read the filter


class SocketFilter:
    """allow_network: whether sockets of the internet protocols may be made; none else."""

    def __init__(self, *, allow_network: bool) -> None:
        architecture, number = _MACHINES[platform.machine()]
        code = _code(architecture, number, _FAMILIES if allow_network else ())
        self._program = _Program(len(code) // 8, code)
        self._libc = ctypes.CDLL(None, use_errno=True)

    def enter(self) -> None:
        """Filter the calls of this thread and of what it starts. It must have given up new privileges."""
        if self._libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(self._program), 0, 0):
            raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def _code(architecture: int, socket_number: int, families: tuple[int, ...]) -> bytes:
    """The filter. A jump tells how many instructions to skip if its test holds, and if not."""
    families_end = len(families) + 2  # to the instruction that refuses
    instructions = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),  # a program for another architecture, whose calls have other numbers
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_AT_LEAST, families_end + 2, 0, _X32),
        (_JUMP_EQUAL, families_end + 1, 0, _IO_URING_SETUP),
        (_JUMP_EQUAL, 1, 0, socket_number),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        *((_JUMP_EQUAL, len(families) - at, 0, family) for at, family in enumerate(families)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
