"""Trees of folders in which programs that a model wrote work: looked at and removed, whatever those make of them.

Folders may be closed to their own owner, and lie deeper than a path can say, or recursion go: we walk from one to the
next, holding one at a time. What is closed is opened. No link is followed.
"""

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_OPEN = 0o700  # to its owner


def walk(folder: Path) -> Iterator[tuple[int, list[os.DirEntry[str]]]]:
    """What is in a folder, at depth 0, then what is in each folder below it, and how deep that lies.

    An entry can be asked until the next list is there. Folders that are removed meanwhile are passed over. It ends
    where one is moved while it is walked through, and where the first is none. Raises `OSError`.
    """
    try:
        at = _open(folder, None)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        entries = _entries(at)
        yield 0, entries
        way = [(os.fstat(at), _folders(entries))]
        while way:
            _, left = way[-1]
            if left:
                try:
                    _go(at, left.pop())
                except (FileNotFoundError, NotADirectoryError):
                    continue
                entries = _entries(at)
                yield len(way), entries
                way.append((os.fstat(at), _folders(entries)))
            else:
                way.pop()
                if way and not _return(at, way[-1][0]):
                    return
    finally:
        os.close(at)


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, if it is there. Raises `OSError`."""
    try:
        at = _open(folder, None)
    except FileNotFoundError:
        return
    try:
        way = [(os.fstat(at), _emptied(at))]
        while len(way) > 1 or way[0][1]:
            _, left = way[-1]
            if left:
                _go(at, left[-1])
                way.append((os.fstat(at), _emptied(at)))
            else:
                way.pop()
                above, left = way[-1]
                if not _return(at, above):
                    raise OSError(errno.ESTALE, "It was moved while it was removed", str(folder))
                os.rmdir(left.pop(), dir_fd=at)
    finally:
        os.close(at)
    os.rmdir(folder)


def _open(folder: Path | str, within: int | None) -> int:
    """A folder, as a descriptor, and open to its owner from now on. Raises `OSError` for a link."""
    try:
        descriptor = os.open(folder, _FOLDER, dir_fd=within)
    except PermissionError:
        _unlock(folder, within)
        descriptor = os.open(folder, _FOLDER, dir_fd=within)
    mode = os.fstat(descriptor).st_mode
    if mode & _OPEN != _OPEN:
        os.fchmod(descriptor, mode | _OPEN)
    return descriptor


def _unlock(folder: Path | str, within: int | None) -> None:
    """Open a folder to its owner, and nothing that somebody puts in its place meanwhile."""
    if sys.platform != "linux":
        os.chmod(folder, _OPEN, dir_fd=within, follow_symlinks=False)
        return
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=within)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", _OPEN)
    finally:
        os.close(descriptor)


def _go(at: int, name: str) -> None:
    """Have the descriptor `at` be of another folder, as seen from where it is."""
    there = _open(name, at)
    os.dup2(there, at, inheritable=False)
    os.close(there)


def _return(at: int, above: os.stat_result) -> bool:
    """Go up; whether that leads to the folder that was above."""
    _go(at, "..")
    return os.path.samestat(above, os.fstat(at))


def _entries(folder: int) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _folders(entries: list[os.DirEntry[str]]) -> list[str]:
    return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def _emptied(folder: int) -> list[str]:
    """Remove what is in a folder except for folders; the names of these."""
    entries = _entries(folder)
    folders = _folders(entries)
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=folder)
    return folders
