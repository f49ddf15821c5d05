"""Trees of folders in which programs that a model wrote have worked: removed, whatever those have made of them."""

import errno
import os
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_OPEN = 0o700  # to its owner


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, if it is there. No link is followed. Raises `OSError`.

    Folders may be closed to their own owner, and lie deeper than a path can say, or recursion go: we walk from one to
    the next, holding one at a time.
    """
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
                _go(at, "..")
                above, left = way[-1]
                if not os.path.samestat(above, os.fstat(at)):
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
        os.chmod(folder, _OPEN, dir_fd=within)
        descriptor = os.open(folder, _FOLDER, dir_fd=within)
    os.fchmod(descriptor, _OPEN)
    return descriptor


def _go(at: int, name: str) -> None:
    """Have the descriptor `at` be of another folder, as seen from where it is."""
    there = _open(name, at)
    os.dup2(there, at, inheritable=False)
    os.close(there)


def _emptied(folder: int) -> list[str]:
    """Remove what is in a folder except for folders; the names of these."""
    with os.scandir(folder) as scan:
        entries = list(scan)
    folders = []
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.name)
        else:
            os.unlink(entry.name, dir_fd=folder)
    return folders
