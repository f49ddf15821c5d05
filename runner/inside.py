"""Files in a folder that others write in: opened, and removed, there and nowhere else.

A workspace holds what an LLM wrote, and where it wrote it: a path is walked step by step from the workspace's own
folder, and a symbolic link on the way ends the walk.
"""

import errno
import os
import re
import stat
from io import BufferedReader
from pathlib import Path

# A link, and what is no folder; a socket cannot be opened.
_NOT_WALKED = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO})

# Bytes that are no UTF-8, of which JSON knows nothing, are surrogates in Python.
_UNSPEAKABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def is_plain(path: str) -> bool:
    """Whether a path is relative, with forward slashes, leads nowhere but down, and can be written in one line."""
    return not any(part in ("", ".", "..") for part in path.split("/")) and not _UNSPEAKABLE.search(path)


def is_plain_name(name: str) -> bool:
    """Whether this is a plain path of one step."""
    return is_plain(name) and "/" not in name


def open_inside(folder: Path, path: str) -> BufferedReader:
    """A regular file below a folder, open for reading. path: relative, with forward slashes.

    Raises `FileNotFoundError` for anything else: a link, a folder, a path that leads out.
    """
    parent, name = _parent(folder, path)
    descriptor = _step(parent, name, os.O_NONBLOCK)  # or opening a pipe would wait for its writer
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(path)
    return os.fdopen(descriptor, "rb")


def remove_inside(folder: Path, path: str) -> None:
    """Remove a file, or a link, below a folder. Raises `FileNotFoundError`."""
    parent, name = _parent(folder, path)
    try:
        os.unlink(name, dir_fd=parent)
    finally:
        os.close(parent)


def _parent(folder: Path, path: str) -> tuple[int, str]:
    """The folder of a file, as a descriptor to be closed, and the file's name in it."""
    if not is_plain(path):
        raise FileNotFoundError(path)
    *parents, name = path.split("/")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for parent in parents:
        descriptor = _step(descriptor, parent, os.O_DIRECTORY)
    return descriptor, name


def _step(descriptor: int, name: str, flags: int) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=descriptor)
    except OSError as error:
        if error.errno in _NOT_WALKED:
            raise FileNotFoundError(error.errno, error.strerror, name) from None
        raise
    finally:
        os.close(descriptor)
