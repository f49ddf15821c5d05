"""A database of ours, read with plain sqlite3 and none of our code."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

IN_ATTEMPT = frozenset({"RUNNING", "WAITING", "STOPPING"})
ACTIVE = IN_ATTEMPT | {"QUEUED"}
TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})

Json = dict[str, Any]


class Unreadable(Exception):
    """What is stored is not what can be read as events; `str()` says where."""


class Event(NamedTuple):
    """encoded: its bytes as they were stored, and shown."""

    encoded: bytes
    fields: Json

    @property
    def id(self) -> int:
        return int(self.fields["event_id"])

    @property
    def type(self) -> str:
        return str(self.fields["event_type"])

    @property
    def payload(self) -> Json:
        payload: Json = self.fields["payload"]
        return payload


class Batch(NamedTuple):
    """Events that share a row. head, size: the last event_id and how many they are, as the row says."""

    head: int
    size: int
    events: list[Event]


class Row(NamedTuple):
    """A task as its rows in `tasks` and `task_states` have it."""

    seq: int
    id: str
    title: str
    created_at: str
    status: str
    attempt: int
    head: int
    first: int
    completed_at: str | None
    options: Json
    details: Json
    final_result: Json | None


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees one state of the database, whoever writes to it meanwhile."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        yield connection


def tasks(connection: sqlite3.Connection) -> list[Row]:
    """All tasks, oldest first. One without a state is being deleted: nobody finds it any more."""
    rows = connection.execute(
        """
        SELECT t.seq, t.id, t.title, t.created_at,
               s.status, s.attempt, s.head, s.first, s.completed_at, t.options, s.details, s.final_result
        FROM tasks t JOIN task_states s ON s.task_seq = t.seq ORDER BY t.seq
        """
    )
    return [Row(*columns[:-3], *map(json.loads, columns[-3:])) for columns in rows]


def batches(connection: sqlite3.Connection, seq: int) -> list[Batch]:
    """The log of a task. Raises `Unreadable`."""
    query = "SELECT head, count, body FROM batches WHERE place BETWEEN ? AND ? ORDER BY place"
    rows = connection.execute(query, (seq << 32, seq << 32 | 0xFFFFFFFF))
    return [Batch(head, size, _split(head, body)) for head, size, body in rows]


def log(connection: sqlite3.Connection, seq: int) -> list[Event]:
    """The events of a task. Raises `Unreadable`."""
    return [event for batch in batches(connection, seq) for event in batch.events]


def _split(head: int, body: object) -> list[Event]:
    """Events that were joined by commas."""
    if not isinstance(body, bytes):
        raise Unreadable(f"the batch up to event {head} is not stored as bytes")
    decoder = json.JSONDecoder()
    events: list[Event] = []
    try:
        text = body.decode()
        end = -1
        while end < len(text):
            start = end + 1
            fields, end = decoder.raw_decode(text, start)
            if text[end : end + 1] not in ("", ","):
                raise Unreadable(f"in the batch up to event {head}, {text[end]!r} follows an event")
            _require_event(head, fields)
            events.append(Event(text[start:end].encode(), fields))
    except ValueError as error:
        raise Unreadable(f"the batch up to event {head} is not JSON: {error}") from error
    return events


def _require_event(head: int, fields: Any) -> None:
    """What the rules take for granted."""
    if not (
        isinstance(fields, dict)
        and isinstance(fields.get("event_id"), int)
        and isinstance(fields.get("event_type"), str)
        and isinstance(fields.get("payload"), dict)
    ):
        raise Unreadable(f"the batch up to event {head} holds {str(fields)[:100]!r}, which is no event")
