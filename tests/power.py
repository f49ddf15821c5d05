"""Power failures: what had not reached the disk is gone, and the machine is another boot later."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from runner.folder import DATABASE

_FILES = (DATABASE, f"{DATABASE}-wal")


class Disk:
    """What is on the disk of a data folder, if nothing of what is written from now on gets there."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._kept = {name: (data / name).read_bytes() for name in _FILES}

    def lose_power(self) -> None:
        """Have the folder hold that, and no more, and the boot be over. The server must be gone."""
        (self._data / f"{DATABASE}-shm").unlink(missing_ok=True)
        for name, content in self._kept.items():
            (self._data / name).write_bytes(content)
        with closing(sqlite3.connect(self._data / DATABASE)) as connection, connection:
            changed = connection.execute("UPDATE meta SET value = 'an earlier boot' WHERE name = 'unsynced'")
            assert changed.rowcount == 1


def cut_off(database: Path, folder: Path) -> Path:
    """The file of an open database as it would be found if its process were killed now; a copy of it in a folder."""
    folder.mkdir()
    for name in (database.name, f"{database.name}-wal"):
        shutil.copyfile(database.with_name(name), folder / name)
    return folder / database.name
