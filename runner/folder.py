"""The data folder, which belongs to one process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.errors import DataFolderBusy

DATABASE = "metagpt-live.db"  # the file in it


@contextmanager
def hold(data: Path) -> Iterator[None]:
    """Make the folder and hold it for this process; the kernel lets go of it however the process ends."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataFolderBusy(
                f"Another metagpt-live uses the data folder {data}. Stop it, or name another with --data."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
