"""A file system of its own for a process, in which nothing can be changed outside of one folder (Linux).

Landlock does not govern the mode, the owner, the times and the attributes of files, and a filter of system calls cannot
see which file is meant: if it refused such calls, no file could be copied, and if it pretended to do them, no script be
run, and no test of a cache or of a private file pass. But on a mount that is read-only the kernel refuses to change
them, like all else, while in the one folder they change as they should.

So the process gets mounts of its own (mount_namespaces(7)), which takes rights that only root has; anybody else has
them in a user namespace of their own, where the system allows that. It must be tried out: some make the namespace, and
give no rights in it. For that this file is also a program, and imports little, so that it takes a few milliseconds.
"""

import ctypes
import os
import sys

ENTERED = "entered"
"""What this module prints as a program, which is given a folder, once it could enter."""

_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000  # the same on every architecture
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_BIND_WITH_ALL_BELOW = 0x1000 | 0x4000  # MS_BIND, MS_REC
_PRIVATE = 1 << 18  # MS_PRIVATE: what is mounted in one namespace does not appear in the other
_READ_ONLY = 1  # MOUNT_ATTR_RDONLY
_CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3

Folder = str | os.PathLike[str]


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace", ctypes.c_uint64),
    )


def enter(folder: Folder) -> None:
    """Keep this process, which must have no other threads yet, and all that it starts, to one folder.

    folder: without symbolic links in its path. Raises `OSError`; then the process is good for nothing any more.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not libc.unshare(_CLONE_NEWNS):
        _mount(libc, folder)
        return
    _be_root_here(libc)
    _mount(libc, folder)
    header, none = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    _done(libc.capset(header, none))


def _be_root_here(libc: ctypes.CDLL) -> None:
    """Get a user namespace, with all rights in it but over nobody else, and mounts that belong to it."""
    user, group = os.geteuid(), os.getegid()
    _done(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
    for file, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{file}", "w") as written:
            written.write(text)


def _mount(libc: ctypes.CDLL, folder: Folder) -> None:
    """Make all mounts read-only but one of the folder."""
    name = os.fsencode(folder)
    _change(libc, b"/", _MountAttr(set=_READ_ONLY, propagation=_PRIVATE))
    _done(libc.mount(name, name, None, _BIND_WITH_ALL_BELOW, None))
    _change(libc, name, _MountAttr(clear=_READ_ONLY))
    os.chdir(os.getcwd())  # it may be below what is mounted there now


def _change(libc: ctypes.CDLL, path: bytes, attributes: _MountAttr) -> None:
    """Change a mount and all below it."""
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _done(libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, path, _AT_RECURSIVE, ctypes.byref(attributes), size))


def _done(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), f"mounts: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    enter(sys.argv[1])
    print(ENTERED, end="")
