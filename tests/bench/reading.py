"""Reads a log that has a row per event, and does nothing with it.

    python -m tests.bench.reading DATABASE EVENTS SIZE

makes the log first. The command `read` answers with the events and the seconds that reading took.
"""

import json
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from tests.bench.rows import READ_ROWS, fill_rows


def main(path: Path, events: int, size: int) -> None:
    fill_rows(path, events, size)
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            cursor = database.execute(READ_ROWS)
            read = 0
            while rows := cursor.fetchmany(1000):
                read += len(rows)
        print(json.dumps({"events": read, "seconds": time.perf_counter() - begun}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
