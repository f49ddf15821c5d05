"""An independent checker: reads a database and the files beside it, and says which promises were not kept.

    python -m tests.chaos.checker DATABASE

It uses none of our code. The rules of a log, and the table of a task's life, are written down a second time on purpose:
a checker with the runner's own would repeat the runner's mistakes. The database may be at rest, in use (then a task
that is being deleted may lack files), or what a killed server has left. The rules about money are in
tests/chaos/money.py.
"""

import json
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos.database import ACTIVE, IN_ATTEMPT, TERMINAL, Batch, Event, Row, Unreadable, batches, snapshot, tasks
from tests.chaos.money import PAID, is_paid, over_budget, paid_twice

# Which status may follow on which.
LIFE: dict[str, set[str]] = {
    "PENDING": {"QUEUED"},
    "QUEUED": {"RUNNING", "CANCELLED"},
    "RUNNING": {"WAITING", "STOPPING", "SUCCEEDED", "FAILED"},
    "WAITING": {"RUNNING", "STOPPING", "FAILED"},
    "STOPPING": {"CANCELLED"},
    "SUCCEEDED": set(),
    "FAILED": {"QUEUED"},
    "CANCELLED": {"QUEUED"},
}

EVENT_TYPES = frozenset(
    (
        "STATUS AGENT_START AGENT_COMPLETE ACTION_START ACTION_COMPLETE MESSAGE TOKEN LLM_CALL ARTIFACT LOG RESOURCE "
        "INPUT_REQUEST INPUT_RESPONSE ERROR RESULT"
    ).split()
)
FIELDS = frozenset({"event_id", "task_id", "timestamp", "agent_role", "event_type", "payload"})
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")  # RFC 3339 5.6

STOP = "stop"  # the answer that ends a run
ON_THE_WAY = frozenset({"RUNNING", "STOPPING"})  # from a question to the end of a run

NO_EVENTS = bytes(32)  # the running hash of none
COST_TOLERANCE = 1e-6  # USD: a sum of rounded figures
SECRET = re.compile(r"sk-[A-Za-z0-9_-]{16,}|[Bb]earer +[A-Za-z0-9._~+/=-]{16,}")


Kind = tuple[int, str, str | None]
"""An event_id, and what the event is found by: its type, and its role."""


class Broken(NamedTuple):
    """A promise that was not kept. task_id: None if it is about the database as a whole."""

    rule: str
    task_id: str | None
    what: str

    def __str__(self) -> str:
        return ": ".join([self.rule, *([f"task {self.task_id}"] if self.task_id else []), self.what])


def check(path: Path) -> list[Broken]:
    """Everything in the database `path` that breaks a promise."""
    try:
        with snapshot(path) as connection:
            return list(_check(connection, path.parent / "tasks"))
    except sqlite3.DatabaseError as error:
        return [Broken("integrity", None, str(error))]


def check_ended(path: Path) -> list[Broken]:
    """What a server that was told to end has left open: it is to end each attempt, or to queue the task again."""
    with snapshot(path) as connection:
        left = [row for row in tasks(connection) if row.status in IN_ATTEMPT]
    return [Broken("rest", row.id, f"it is {row.status}, and no server runs") for row in left]


def _check(connection: sqlite3.Connection, folder: Path) -> Iterator[Broken]:
    """folder: of the tasks' files."""
    for rule, broken in (("integrity", _damage(connection)), ("foreign keys", _orphans(connection))):
        yield from (Broken(rule, None, what) for what in broken)
    logs: dict[str, list[Event]] = {}
    readable = True
    for row in tasks(connection):
        try:
            stored = batches(connection, row.seq)
        except Unreadable as error:
            readable = False
            yield Broken("readable", row.id, str(error))
            continue
        logs[row.id] = [event for batch in stored for event in batch.events]
        yield from (Broken(rule, row.id, what) for rule, what in _check_task(row, stored, connection))
        yield from (Broken("files", row.id, what) for what in _files(row, logs[row.id], folder / row.id / "blobs"))
    if readable:  # or the view would raise
        yield from (Broken("view", task_id, what) for task_id, what in _view(logs, connection))


def _check_task(row: Row, stored: Sequence[Batch], connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    yield from (("batches", what) for what in _batches(stored))
    everything = [event for batch in stored for event in batch.events]
    yield from (("digests", what) for what in _digests(everything, _kept_digests(row, connection)))
    log = [event for event in everything if event.id >= row.first]  # a batch can hold some that retention deleted
    yield from (("index", what) for what in _index(log, _indexed(row, connection)))
    for rule, broken in RULES.items():
        yield from ((rule, what) for what in broken(row, log))


def _damage(connection: sqlite3.Connection) -> Iterator[str]:
    yield from (said for (said,) in connection.execute("PRAGMA integrity_check") if said != "ok")


def _orphans(connection: sqlite3.Connection) -> Iterator[str]:
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"row {rowid} of {table} refers to what is not in {parent}"
    for (place,) in connection.execute("SELECT place FROM batches WHERE task_seq NOT IN (SELECT seq FROM tasks)"):
        yield f"the batch at {place} is of no task"


def _batches(stored: Sequence[Batch]) -> Iterator[str]:
    """A row of events says how many they are, and up to where."""
    for batch in stored:
        held = (batch.events[-1].id, len(batch.events))
        if held != (batch.head, batch.size):
            yield f"{batch.size} events up to {batch.head} are {held[1]} up to {held[0]}"


def _kept_digests(row: Row, connection: sqlite3.Connection) -> dict[int, bytes]:
    return dict(connection.execute("SELECT event_id, digest FROM digests WHERE task_seq = ?", (row.seq,)))


def _digests(log: Sequence[Event], kept: dict[int, bytes]) -> Iterator[str]:
    """The running hash: SHA-256 of the hash before and the event's bytes."""
    digest = kept.get(log[0].id - 1, NO_EVENTS if log[0].id == 1 else None) if log else None
    for event in log:
        digest = None if digest is None else sha256(digest + event.encoded).digest()
        if event.id in kept:
            if digest not in (None, kept[event.id]):
                yield f"the running hash through event {event.id} is not the one that is kept"
            digest = kept[event.id]


def _indexed(row: Row, connection: sqlite3.Connection) -> Counter[Kind]:
    query = """
        SELECT event_id, event_type, agent_role FROM events_by_type WHERE task_seq = :seq
        UNION ALL
        SELECT head, event_type, agent_role FROM batches WHERE task_seq = :seq AND event_type IS NOT NULL
    """
    return Counter(connection.execute(query, {"seq": row.seq}))


def _index(log: Sequence[Event], indexed: Counter[Kind]) -> Iterator[str]:
    """The indexes by type know every event but the tokens, each once."""
    wanted = Counter((event.id, event.type, event.fields.get("agent_role")) for event in log if event.type != "TOKEN")
    if wanted != indexed:
        yield f"missing: {sorted(wanted - indexed)[:5]}, too many: {sorted(indexed - wanted)[:5]}"


def _view(logs: dict[str, list[Event]], connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """The view for people has one row per event, and the same in it."""
    shown: dict[str, list[dict[str, Any]]] = {task_id: [] for task_id in logs}
    for task_id, *columns, payload in connection.execute(
        "SELECT task_id, event_id, timestamp, agent_role, event_type, payload FROM events"
    ):
        if task_id in shown:
            fields = dict(zip(("event_id", "timestamp", "agent_role", "event_type"), columns, strict=True))
            shown[task_id].append({"task_id": task_id, **fields, "payload": json.loads(payload)})
    for task_id, log in logs.items():
        if shown[task_id] != [event.fields for event in log]:
            yield task_id, "the view shows other events than the log holds"


def _files(row: Row, log: Sequence[Event], blobs: Path) -> Iterator[str]:
    """The bytes of every version of a file that was told of are kept, and are those. An imported run has none."""
    if row.details.get("imported_at") is not None:
        return
    told = {event.payload["sha256"]: event for event in log if event.type == "ARTIFACT"}
    for digest, event in told.items():
        blob = blobs / digest
        if not blob.exists() or sha256(blob.read_bytes()).hexdigest() != digest:
            yield f"the bytes of event {event.id}, version {event.payload.get('version')} of a file, are not kept"


def _contiguous(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """event_ids are first, first + 1, ...: without a gap, none twice."""
    for expected, event in enumerate(log, row.first):
        if event.id != expected:
            yield f"event {event.id} stands where {expected} belongs"
            return
    end = row.first + len(log) - 1
    if end < row.head:
        yield f"the log ends at event {end}, but the task's row is as of {row.head}"


def _shape(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """An event has these fields, a known type, its own task's id, and words for people."""
    for event in log:
        role = event.fields.get("agent_role")
        if event.fields.keys() != FIELDS:
            yield f"event {event.id} has the fields {sorted(event.fields)}"
        elif event.fields["task_id"] != row.id:
            yield f"event {event.id} is of task {event.fields['task_id']}"
        elif event.type not in EVENT_TYPES:
            yield f"event {event.id} is of type {event.type}"
        elif not (role is None or isinstance(role, str)):
            yield f"event {event.id} is of agent_role {role}"
        elif not isinstance(event.payload.get("message"), str):
            yield f"event {event.id} has no message"


def _times(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """Times are RFC 3339 UTC."""
    times = {f"event {event.id}": event.fields.get("timestamp") for event in log}
    times |= {"created_at": row.created_at, "completed_at": row.completed_at or row.created_at}
    for where, time in times.items():
        if not _is_utc(time):
            yield f"{where} is of {time!r}"


def _is_utc(time: object) -> bool:
    if not isinstance(time, str) or not UTC.fullmatch(time):
        return False
    try:
        datetime.fromisoformat(time)
    except ValueError:  # such as a 13th month
        return False
    return True


class _Step(NamedTuple):
    """An event, and how the task stood before it; None where only events that retention deleted would tell."""

    event: Event
    status: str | None
    attempt: int | None


def _secrets(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """Nothing that looks like a key or a token is told."""
    for event in log:
        if SECRET.search(event.encoded.decode()):
            yield f"event {event.id}, {event.type}, tells a secret"


def _steps(row: Row, log: Sequence[Event]) -> Iterator[_Step]:
    status, attempt = ("PENDING", 0) if row.first == 1 else (None, None)
    for event in log:
        yield _Step(event, status, attempt)
        if event.type == "STATUS":
            status, attempt = event.payload.get("status"), event.payload.get("attempt")


def _statuses(row: Row, log: Sequence[Event]) -> Iterator[_Step]:
    return (step for step in _steps(row, log) if step.event.type == "STATUS")


def _life(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """The status changes only along the table; a failure has a reason."""
    for event, before, _ in _statuses(row, log):
        status = event.payload.get("status")
        if status not in LIFE or (before is not None and status not in LIFE.get(before, ())):
            yield f"{status} follows on {before} at event {event.id}"
        if status == "FAILED" and not event.payload.get("reason"):
            yield f"FAILED has no reason at event {event.id}"


def _attempts(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """Attempts are 1, 2, 3, ...: one more each time that the task is queued."""
    for event, _, attempt in _statuses(row, log):
        if attempt is None:
            continue
        queued = event.payload.get("status") == "QUEUED"
        if event.payload.get("attempt") != attempt + queued:
            yield f"attempt {event.payload.get('attempt')} follows on {attempt} at event {event.id}"


def _ends(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """An attempt that has ended has one terminal STATUS, which is its last; one that is under way has none."""
    ended: set[object] = set()
    under_way: object = None
    for event, _, _ in _statuses(row, log):
        status, attempt = event.payload.get("status"), event.payload.get("attempt")
        if attempt in ended:
            yield f"{status} at event {event.id} follows on the end of attempt {attempt}"
        if under_way not in (None, attempt):
            yield f"attempt {under_way} has not ended when {attempt} is {status} at event {event.id}"
        under_way = attempt
        if status in TERMINAL:
            ended.add(attempt)
            under_way = None
    known = row.first == 1 or ended or under_way is not None
    if known and (under_way is not None) != (row.status in ACTIVE):
        yield f"the task is {row.status}, but by the log the attempt under way is {under_way or 'none'}"


def _silence(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """Nothing but the status is told of while no attempt is under way, and an answer while the next one is queued."""
    for event, status, _ in _steps(row, log):
        answer = event.type == "INPUT_RESPONSE" and status == "QUEUED"
        if event.type != "STATUS" and status is not None and status not in IN_ATTEMPT and not answer:
            yield f"event {event.id}, {event.type}, comes while the task is {status}"


def _answers(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """A question is answered once at most, after it was asked, and before the task has ended for good.

    After an interruption it is asked again under the same id, and may be answered before it is.
    """
    asked: set[str] = set()
    answered: set[str] = set()
    for event, status, _ in _steps(row, log):
        request = str(event.payload.get("request_id"))
        if event.type == "INPUT_REQUEST":
            asked.add(request)
            if request in answered:
                yield f"{request} is asked again at event {event.id}, although it was answered"
        elif event.type == "INPUT_RESPONSE":
            if request in answered:
                yield f"{request} is answered again at event {event.id}"
            if request not in asked and row.first == 1:
                yield f"{request} is answered at event {event.id}, but was not asked"
            if status is not None and status not in ACTIVE:
                yield f"{request} is answered at event {event.id}, while the task is {status}"
            answered.add(request)


def _stops(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """Whoever has answered that the run is to stop has stopped it, and no attempt follows by itself."""
    answered: Event | None = None
    for event, _, _ in _steps(row, log):
        if event.type == "INPUT_RESPONSE" and event.payload.get("answer") == STOP:
            answered = event
        elif answered is not None and event.type == "STATUS" and event.payload.get("status") not in ON_THE_WAY:
            if event.payload["status"] != "CANCELLED":
                yield f"event {answered.id} is to stop it, but it is {event.payload['status']} at event {event.id}"
            answered = None


def _state(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """The task's row says what the log says."""
    last = next((event.payload for event in reversed(log) if event.type == "STATUS"), None)
    if last is None and row.first == 1:
        last = {"status": "PENDING", "attempt": 0}
    if last is not None and (row.status, row.attempt) != (last.get("status"), last.get("attempt")):
        yield f"it is {row.status} in attempt {row.attempt}, in the log {last.get('status')} in {last.get('attempt')}"
    for event in log:
        if event.id > row.head and (event.type == "STATUS" or is_paid(event)):
            yield f"the row is as of event {row.head}, and misses event {event.id}, {event.type}"
    if (row.completed_at is not None) != (row.status in TERMINAL):
        yield f"it is {row.status}, and completed at {row.completed_at}"
    if row.status in TERMINAL and (row.details["waiting"] or row.details["current_agent"]):
        yield f"it is {row.status}, but somebody is at work or asked"


def _waiting(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """A task that waits, waits for the answer to the last question."""
    if row.status == "WAITING" and row.first == 1:
        asked = [event.payload for event in log if event.type in ("INPUT_REQUEST", "INPUT_RESPONSE")]
        waiting = row.details["waiting"] or {}
        if not asked or "answer" in asked[-1] or waiting.get("request_id") != asked[-1].get("request_id"):
            yield f"it waits for {waiting.get('request_id')}, in the log for {asked[-1:]}"


def _usage(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """What was used is the sum of the calls of the model; what an earlier attempt was answered costs nothing."""
    for event in log:
        if event.payload.get("replayed") and any(event.payload.get(name) for name in PAID):
            yield f"event {event.id} is replayed, and costs something"
    if row.first > 1:
        return
    calls = [event.payload for event in log if is_paid(event)]
    usage = row.details["usage"]
    counted = {name: sum(call.get(name) or 0 for call in calls) for name in PAID[:2]}
    counted["llm_calls"] = len(calls)
    for name, number in counted.items():
        if usage[name] != number:
            yield f"{name} is {usage[name]}, in the log {number}"
    cost = sum(call.get("cost_usd") or 0.0 for call in calls)
    if abs(usage["cost_usd"] - cost) > COST_TOLERANCE:
        yield f"cost_usd is {usage['cost_usd']}, in the log {cost}"


def _result(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """A task that has succeeded has the result that the log tells."""
    if row.status == "SUCCEEDED" and row.first == 1:
        results = [event.payload.get("final_result") for event in log if event.type == "RESULT"]
        if row.final_result is None or results[-1:] != [row.final_result]:
            yield "its final_result is not that of the log"


RULES: dict[str, Callable[[Row, Sequence[Event]], Iterator[str]]] = {
    "contiguous": _contiguous,
    "shape": _shape,
    "times": _times,
    "life": _life,
    "attempts": _attempts,
    "ends": _ends,
    "silence": _silence,
    "answers": _answers,
    "stops": _stops,
    "state": _state,
    "waiting": _waiting,
    "usage": _usage,
    "budgets": over_budget,
    "paid once": paid_twice,
    "result": _result,
    "secrets": _secrets,
}


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m tests.chaos.checker DATABASE", file=sys.stderr)
        return 2
    broken = check(Path(sys.argv[1]))
    for promise in broken:
        print(promise)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
