"""Reads all rows of a log, and does nothing with them: what a replay costs at least.

    python -m tests.bench.reading DATABASE

The command `read` answers with the events and the seconds that reading took.
"""

import json
import sqlite3
import sys
import time

QUERY = "SELECT event_id, tail FROM events WHERE task_seq = 1 ORDER BY event_id"


def main(path: str) -> None:
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        cursor = database.execute(QUERY)
        events = 0
        while rows := cursor.fetchmany(1000):
            events += len(rows)
        database.close()
        print(json.dumps({"events": events, "seconds": time.perf_counter() - begun}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
