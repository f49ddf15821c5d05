"""How much of the disk a task takes with its files: the workspace, and all versions that are kept."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from runner.trees import walk

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
    """Bytes that all in a folder takes, counted no further than a folder beyond `limit`; links are not followed.

    A hole in a file counts as if something was written there: whoever copies it fills it.
    """
    size = 0
    with suppress(OSError):  # removed meanwhile, or not ours to look into
        for _, entries in walk(folder):
            size += sum(map(_size, entries))
            if size > limit:
                break
    return size


def _size(entry: os.DirEntry[str]) -> int:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0
    return max(found.st_size, found.st_blocks * _BLOCK, _LEAST)
