"""A seccomp filter that keeps a program from what Landlock and its limits do not cover (seccomp(2), Linux).

    sockets                    all of them, since Landlock could forbid TCP only; or all but those of the internet;
                               and pairs of them that could be connected to another one later
    io_uring                   makes sockets without socket(2)
    memory that is no          lives in none of its processes, where nobody counts it; System V's outlives them all, and
    process's                  that of other programs could be looked into
    keys                       what the kernel keeps for other programs of the same user
    limits and priorities of   a server that may write no byte more, or compute for a second, is as good as ended
    other processes
    watching files             tells the names of what cannot be read, and when others read and write it
    namespaces                 in one of its own it would have all capabilities again
    sessions, process groups   nothing happens, and it looks as if it had: one signal ends a program and all that it
                               has started, however fast they make more of themselves

The filter is classic BPF over the number and the arguments of each system call; it holds for all descendants, for good.
A refused call fails with EACCES, which Python raises as PermissionError. The package that generates such filters is
old, and needs a library of the system's that is not always there.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

# The numbers of system calls that are the same on every architecture: those that are newer than most.
_IO_URING_SETUP, _CLONE3, _MEMFD_SECRET = 425, 435, 447
_X32 = 0x40000000  # linux/filter.h: another table of calls on x86-64, with this bit in the numbers

# Those that are new share one table (asm-generic/unistd.h); x86-64 has its own.
_GENERIC = {
    "clone": 220,
    "socket": 198,
    "socketpair": 199,
    "memfd_create": 279,
    "shmget": 194,
    "semget": 190,
    "msgget": 186,
    "mq_open": 180,
    "add_key": 217,
    "request_key": 218,
    "keyctl": 219,
    "unshare": 97,
    "setns": 268,
    "setpgid": 154,
    "setsid": 157,
    "prlimit64": 261,
    "setpriority": 140,
    "ioprio_set": 30,
    "sched_setparam": 118,
    "sched_setscheduler": 119,
    "sched_setaffinity": 122,
    "sched_setattr": 274,
    "inotify_init1": 26,
    "fanotify_init": 262,
}
_X86_64 = {
    "clone": 56,
    "socket": 41,
    "socketpair": 53,
    "memfd_create": 319,
    "shmget": 29,
    "semget": 64,
    "msgget": 68,
    "mq_open": 240,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "unshare": 272,
    "setns": 308,
    "setpgid": 109,
    "setsid": 112,
    "prlimit64": 302,
    "setpriority": 141,
    "ioprio_set": 251,
    "sched_setparam": 142,
    "sched_setscheduler": 144,
    "sched_setaffinity": 203,
    "sched_setattr": 314,
    "inotify_init": 253,
    "inotify_init1": 294,
    "fanotify_init": 300,
}
# By machine: its number in linux/audit.h, and those of its system calls.
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _GENERIC), "riscv64": (0xC00000F3, _GENERIC)}

_REFUSED = (
    *("memfd_create", "shmget", "semget", "msgget", "mq_open"),
    *("add_key", "request_key", "keyctl"),
    *("unshare", "setns"),
    *("inotify_init", "inotify_init1", "fanotify_init"),
)
# Whose first argument is a process, or a thread: 0 is the caller itself, and all that they may be about.
_OF_ITSELF = ("sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr")
# Whose first argument says of what kind the second is: a process, a group, or a user, by these numbers.
_OF_A_KIND = (("setpriority", 2), ("ioprio_set", 3))
_PRETENDED = ("setsid", "setpgid")
# Of clone(2): namespaces for mounts, cgroups, names, IPC, users, processes and the network.
_NAMESPACES = 0x7E020000

# A bit of SOCK_DGRAM, and of SOCK_RAW, which is the same for UNIX sockets; not of SOCK_STREAM, nor of SOCK_SEQPACKET.
_DATAGRAMS = 2

# Of a network that is allowed; UNIX sockets would lead to other programs of this machine.
_FAMILIES = (socket.AF_INET, socket.AF_INET6, 16)  # AF_NETLINK, which asks for the machine's own addresses

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16  # struct seccomp_data, little-endian

_Instruction = tuple[int, int, int, int]


def _fail(number: int) -> _Instruction:
    return (_RETURN, 0, 0, 0x00050000 | number)


_KILL, _ALLOW = (_RETURN, 0, 0, 0x80000000), (_RETURN, 0, 0, 0x7FFF0000)
_REFUSE, _PRETEND, _UNKNOWN = _fail(errno.EACCES), _fail(0), _fail(errno.ENOSYS)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def available() -> bool:
    """Whether this system can filter system calls, and this module knows its numbers."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES or sys.maxsize < 2**32:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, None, 0, 0)
    return ctypes.get_errno() == errno.EFAULT  # it would have read the filter


class CallFilter:
    """allow_network: whether sockets of the internet protocols may be made; none else."""

    def __init__(self, *, allow_network: bool) -> None:
        code = _code(platform.machine(), _FAMILIES if allow_network else ())
        self._program = _Program(len(code) // 8, code)
        self._libc = ctypes.CDLL(None, use_errno=True)

    def enter(self) -> None:
        """Filter the calls of this thread and of what it starts. It must have given up new privileges."""
        if self._libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(self._program), 0, 0):
            raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def _code(machine: str, families: tuple[int, ...]) -> bytes:
    """The filter, of which a program for another architecture, whose calls have other numbers, is killed."""
    architecture, numbers = _MACHINES[machine]
    first_argument, second_argument, third_argument, its_rest = (
        (_LOAD, 0, 0, _ARGUMENTS_AT + n) for n in (0, 8, 16, 20)
    )
    if_zero = _if(_JUMP_EQUAL, 0, _ALLOW)
    if_null = (third_argument, *_if(_JUMP_EQUAL, 0, its_rest, *if_zero))
    instructions = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, architecture),
        _KILL,
        (_LOAD, 0, 0, _NUMBER_AT),
        *_if(_JUMP_AT_LEAST, _X32, _REFUSE),
        *(step for number in (_IO_URING_SETUP, _MEMFD_SECRET) for step in _if(_JUMP_EQUAL, number, _REFUSE)),
        *(step for name in _REFUSED if name in numbers for step in _if(_JUMP_EQUAL, numbers[name], _REFUSE)),
        *(step for name in _PRETENDED for step in _if(_JUMP_EQUAL, numbers[name], _PRETEND)),
        *(step for name in _OF_ITSELF for step in _if(_JUMP_EQUAL, numbers[name], first_argument, *if_zero, _REFUSE)),
        # New limits are what the third argument points to; those of others may be asked for.
        *_if(_JUMP_EQUAL, numbers["prlimit64"], first_argument, *if_zero, *if_null, _REFUSE),
        *(
            step
            for name, user in _OF_A_KIND
            for step in _if(
                _JUMP_EQUAL,
                numbers[name],
                first_argument,
                *_if(_JUMP_EQUAL, user, _REFUSE),
                second_argument,
                *if_zero,
                _REFUSE,
            )
        ),
        # Its flags are in memory, where a filter does not look: the C library then falls back on clone(2).
        *_if(_JUMP_EQUAL, _CLONE3, _UNKNOWN),
        *_if(_JUMP_EQUAL, numbers["clone"], first_argument, *_if(_JUMP_ANY_BIT, _NAMESPACES, _REFUSE), _ALLOW),
        *_if(
            _JUMP_EQUAL,
            numbers["socket"],
            first_argument,
            *(step for family in families for step in _if(_JUMP_EQUAL, family, _ALLOW)),
            _REFUSE,
        ),
        *_if(_JUMP_EQUAL, numbers["socketpair"], second_argument, *_if(_JUMP_ANY_BIT, _DATAGRAMS, _REFUSE), _ALLOW),
        _ALLOW,
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def _if(jump: int, value: int, *then: _Instruction) -> list[_Instruction]:
    """What follows if the test of a jump holds; a jump tells how many instructions to skip if it does, and if not."""
    return [(jump, 0, len(then), value), *then]
