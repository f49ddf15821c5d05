"""How much of the disk a task takes with its files: the workspace, and all versions that are kept."""

import asyncio
import os
from pathlib import Path

_LEAST = 4096  # bytes that anything counts as, so that a flood of empty files is one too
_BLOCK = 512  # bytes, of `st_blocks`
_PERIOD = 1.0  # seconds from one look to the next
_SHARE = 20  # a look that takes long is followed by a pause of so many times as long


async def outgrown(folder: Path, limit: int) -> int:
    """Wait until what is in a folder takes more than `limit` bytes on the disk; how many at least."""
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        size = await asyncio.to_thread(taken, folder, limit)
        if size > limit:
            return size
        await asyncio.sleep(max(_PERIOD, _SHARE * (clock() - began)))


def taken(folder: Path, limit: int) -> int:
    """Bytes that all in a folder takes, counted no further than a folder beyond `limit`; links are not followed."""
    size = 0
    folders = [str(folder)]
    while folders and size <= limit:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    size += _size(entry)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:  # removed meanwhile, or shut by a program
            continue
    return size


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return max(entry.stat(follow_symlinks=False).st_blocks * _BLOCK, _LEAST)
    except FileNotFoundError:
        return 0
