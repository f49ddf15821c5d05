"""A log as it is usually kept in SQLite, a row per event: what ours is measured against."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.bench.producing import tail

_SCHEMA = """
    PRAGMA journal_mode = WAL;
    CREATE TABLE tasks (seq INTEGER PRIMARY KEY, head INTEGER NOT NULL);
    INSERT INTO tasks VALUES (1, 0);
    CREATE TABLE events (
        task_seq INTEGER NOT NULL,
        event_id INTEGER NOT NULL,
        event_type TEXT NOT NULL,
        agent_role TEXT,
        tail TEXT NOT NULL,
        PRIMARY KEY (task_seq, event_id)
    ) WITHOUT ROWID;
    CREATE INDEX events_by_type ON events (task_seq, event_type, event_id, agent_role) WHERE event_type <> 'TOKEN';
"""

ADVANCE = "UPDATE tasks SET head = ? WHERE seq = 1"
INSERT_ROW = "INSERT INTO events (task_seq, event_id, event_type, agent_role, tail) VALUES (1, ?, ?, ?, ?)"
READ_ROWS = "SELECT event_id, tail FROM events WHERE task_seq = 1 ORDER BY event_id"


def prepare_rows(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(_SCHEMA)


def fill_rows(path: Path, events: int, size: int) -> None:
    """Make a log of so many events, each of `size` bytes of JSON."""
    prepare_rows(path)
    text = tail(1, size, "rows").decode()[1:]
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany(INSERT_ROW, ((event_id, "TOKEN", "Engineer", text) for event_id in range(1, events + 1)))
