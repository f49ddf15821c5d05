"""Landlock: how a process gives up, for good, part of what it and all its descendants may do (Linux 5.13 and later).

What a process may do with a file is the union of what was allowed for the folders above it; what it could do before it
entered is no way around that. Each version of the kernel's interface (ABI) knows more kinds of access; those that it
does not know stay free. It also keeps a process from looking into others (ptrace, /proc/PID/mem, /proc/PID/environ)
unless they have entered all that it has entered. See landlock(7); the numbers are those of linux/landlock.h.

The packages that wrap these three system calls are development versions, or new, and cover less of them.
"""

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV = (1 << bit for bit in (0, 1, 2, 3, 14, 15))
_MAKE_CHAR, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK = (1 << bit for bit in (6, 9, 10, 11))
_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE  # what can be allowed for a file that is no folder

READ = _EXECUTE | _READ_FILE | _READ_DIR
# No devices, and neither pipes nor sockets: whoever opens one of those later would wait for ever.
WRITE = ((1 << 15) - 1) & ~(_MAKE_CHAR | _MAKE_BLOCK | _MAKE_FIFO | _MAKE_SOCK)

_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # by ABI, how many kinds of access to files it knows
_NEWEST_FILE_RIGHTS = 16
TRUNCATE_ABI, TCP_ABI, SCOPE_ABI = 3, 4, 6
_TCP = 0b11  # to bind, to connect
_SCOPES = 0b11  # abstract UNIX sockets, signals


class _RulesetAttr(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("fd", ctypes.c_int32))


def abi() -> int:
    """The version that this kernel speaks; 0 if it has no Landlock, or it is switched off."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


class Ruleset:
    """What may still be done by who enters it; nothing is allowed with files at first.

    Signals and abstract UNIX sockets reach only who has entered it too. tcp: whether TCP stays free. Raises `OSError`.
    """

    def __init__(self, *, tcp: bool) -> None:
        version = abi()
        self._handled = (1 << _FILE_RIGHTS.get(version, _NEWEST_FILE_RIGHTS)) - 1
        attr = _RulesetAttr(self._handled, 0 if tcp else _TCP, _SCOPES)
        size = 24 if version >= SCOPE_ABI else 16 if version >= TCP_ABI else 8
        self._libc = _libc()
        self._fd = self._call(_CREATE_RULESET, ctypes.byref(attr), ctypes.c_size_t(size), 0)

    def allow(self, rights: int, paths: Iterable[Path]) -> None:
        """Allow `READ` or `WRITE` or both for files and all that folders hold; what does not exist is passed over."""
        for path in paths:
            try:
                fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            try:
                possible = rights if stat.S_ISDIR(os.fstat(fd).st_mode) else rights & _FILE
                rule = _PathBeneath(possible & self._handled, fd)
                self._call(_ADD_RULE, self._fd, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
            finally:
                os.close(fd)

    def enter(self) -> None:
        """Confine the calling thread and what it starts. It must have given up new privileges."""
        self._call(_RESTRICT_SELF, self._fd, 0)

    def _call(self, number: int, *arguments: object) -> int:
        result = self._libc.syscall(number, *arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
        return int(result)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
