"""The checker of the chaos test: a sound database passes, and one that is broken in any way does not."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from runner import sql
from tests.chaos.checker import RULES, check, check_ended

Fields = dict[str, Any]

TIME = "2026-01-02T03:04:05.678901Z"
USAGE = {"llm_calls": 1, "prompt_tokens": 10, "completion_tokens": 20, "cost_usd": 0.5}
RESULT: Fields = {"artifacts": []}
CALL: Fields = {"model": "m", "prompt_sha256": "ab", "prompt_tokens": 10, "completion_tokens": 20, "cost_usd": 0.5}
NOTHING = dict.fromkeys(("prompt_tokens", "completion_tokens", "cost_usd"), 0)
ARTIFACT: Fields = {"path": "a.py", "version": 1, "sha256": sha256(b"pass").hexdigest()}
BUDGET: Fields = {"request_id": "input-1-2", "kind": "budget_tokens 60"}
QUESTION = {"request_id": "input-1-1", "question": "Is it good?"}
FIRST_BATCH = 5  # events

Break = Callable[["Log"], object]


class Log:
    """A task that waits, is answered, is lost, and succeeds at its second attempt. To be broken, then written."""

    def __init__(self) -> None:
        self.first = 1
        self.events: list[Fields] = []
        self.status("QUEUED", 1)
        self.status("RUNNING", 1)
        self.add("AGENT_START", agent_role="Engineer")
        self.add("TOKEN", delta="é,{")
        self.add("LLM_CALL", **CALL)
        self.add("INPUT_REQUEST", **QUESTION)
        self.status("WAITING", 1)
        self.add("INPUT_RESPONSE", request_id="input-1-1", answer="approve")
        self.status("RUNNING", 1)
        self.status("FAILED", 1, reason="The server ended.")
        self.status("QUEUED", 2)
        self.status("RUNNING", 2)
        self.add("LLM_CALL", **CALL | NOTHING, replayed=True)
        self.add("RESULT", final_result=RESULT)
        self.status("SUCCEEDED", 2)
        self.row: Fields = {
            "status": "SUCCEEDED",
            "attempt": 2,
            "head": len(self.events),
            "completed_at": TIME,
            "details": {"usage": USAGE, "waiting": None, "current_agent": None},
            "final_result": RESULT,
        }
        self.options: Fields = {}

    def status(self, status: str, attempt: int, **payload: Any) -> None:
        self.add("STATUS", status=status, attempt=attempt, **{"reason": None} | payload)

    def add(self, event_type: str, *, agent_role: str | None = None, **payload: Any) -> None:
        self.events.append(
            {
                "event_id": len(self.events) + 1,
                "task_id": "a1",
                "timestamp": TIME,
                "agent_role": agent_role,
                "event_type": event_type,
                "payload": {"message": "words"} | payload,
            }
        )

    def payload(self, event_id: int) -> Fields:
        payload: Fields = self.events[event_id - 1]["payload"]
        return payload

    def end_with(self, status: str, *, events: int, waiting: Fields | None = None) -> None:
        """Have the log end after so many events, with the task in the status it then has."""
        del self.events[events:]
        attempt = max(event["payload"].get("attempt", 0) for event in self.events)
        self.row |= {"status": status, "attempt": attempt, "head": events, "completed_at": None, "final_result": None}
        self.row["details"]["waiting"] = waiting

    def drop(self, event_id: int) -> None:
        """Leave an event out, and number the others anew."""
        self.events.pop(event_id - 1)
        self.number()

    def repeat(self, event_id: int, *, before: int) -> None:
        """Have an event once more, before another, and number all anew."""
        self.events.insert(before - 1, self.events[event_id - 1].copy())
        self.number()

    def spend(self, *answers: str, option: str = "budget_tokens", limit: int = 60) -> None:
        """Have it make four calls with a budget, and answer so when it asks about the budget, which is after two."""
        self.options = {option: limit}
        self.end_with("RUNNING", events=2)
        for number in range(4):
            if number == 2:
                self.add("INPUT_REQUEST", **BUDGET)
                self.status("WAITING", 1)
                for answer in answers:
                    self.add("INPUT_RESPONSE", **BUDGET, answer=answer)
                self.status("RUNNING", 1)
            self.add("LLM_CALL", **CALL | {"prompt_sha256": f"{number}"})
            self.events[-1]["timestamp"] = f"2026-01-02T03:04:{number + 10}Z"
        self.row["head"] = len(self.events)
        self.row["details"] |= {"usage": {name: 4 * number for name, number in USAGE.items()}}

    def number(self) -> None:
        for event_id, event in enumerate(self.events, 1):
            event["event_id"] = event_id
        self.row["head"] = len(self.events)

    def write(self, connection: sqlite3.Connection) -> None:
        for migration in sql.MIGRATIONS:
            for statement in migration:
                connection.execute(statement)
        connection.execute(sql.INSERT_TASK, _task("a1") | {"options": json.dumps(self.options)})
        row = self.row | {name: json.dumps(self.row[name]) for name in ("details", "final_result")}
        connection.execute(sql.INSERT_STATE, row | {"id": "a1", "first": 1})
        connection.execute(sql.UPDATE_STATE, row | {"seq": 1})
        connection.execute(sql.EXPIRE_STATE, {"seq": 1, "first": self.first})
        digest = bytes(32)
        indexed = []
        for batch in (self.events[:FIRST_BATCH], self.events[FIRST_BATCH:-1], self.events[-1:]):
            encoded = [json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() for event in batch]
            for event in encoded:
                digest = sha256(digest + event).digest()
            head = batch[-1]["event_id"]
            kind = (batch[0]["event_type"], batch[0].get("agent_role")) if len(batch) == 1 else (None, None)
            connection.execute(sql.INSERT_BATCH, (1, head, len(batch), b",".join(encoded), *kind))
            connection.execute(sql.INSERT_DIGEST, (1, head, digest))
            indexed += batch if len(batch) > 1 else []
        connection.executemany(
            sql.INSERT_EVENT_BY_TYPE,
            [
                (1, event["event_type"], event["event_id"], event.get("agent_role"))
                for event in indexed
                if event["event_type"] != "TOKEN"
            ],
        )
        connection.commit()


def _task(task_id: str) -> Fields:
    return {"id": task_id, "title": "t", "input_prompt": "p", "priority": 0, "options": "{}", "created_at": TIME}


def _written(log: Log, path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        log.write(connection)
    return path


@pytest.mark.parametrize(
    "shorten",
    [
        lambda log: None,
        lambda log: log.end_with("WAITING", events=7, waiting=QUESTION),
        lambda log: log.end_with("QUEUED", events=11),
        lambda log: log.end_with("RUNNING", events=12),
    ],
    ids=["ended", "waiting", "queued again", "running"],
)
def test_a_sound_database(tmp_path: Path, shorten: Break) -> None:
    """Whatever a task does within the rules is no break of them."""
    log = Log()
    shorten(log)
    assert check(_written(log, tmp_path / "db")) == []


def test_cancelled_in_the_queue(tmp_path: Path) -> None:
    """A task that is stopped while it is queued ends the attempt that was to begin."""
    log = Log()
    log.end_with("CANCELLED", events=11)
    log.status("CANCELLED", 2)
    log.row |= {"completed_at": TIME, "head": 12}
    assert check(_written(log, tmp_path / "db")) == []


def test_an_answer_after_an_interruption(tmp_path: Path) -> None:
    """A question that outlasts its attempt may be answered while the next one is queued."""
    log = Log()
    for event in (9, 8):
        log.drop(event)
    log.events.insert(9, {**log.events[7], "event_type": "INPUT_RESPONSE", "payload": {"message": "yes", **QUESTION}})
    log.number()
    assert check(_written(log, tmp_path / "db")) == []


def test_events_that_retention_deleted(tmp_path: Path) -> None:
    """What retention deleted is no gap, and what it has left behind in a batch does not count."""
    path = _written(Log(), tmp_path / "db")
    with closing(sqlite3.connect(path)) as connection:
        for statement in (sql.EXPIRE_BATCHES, sql.EXPIRE_EVENTS_BY_TYPE, sql.EXPIRE_STATE):
            connection.execute(statement, {"seq": 1, "first": 8})
        connection.commit()
    assert check(path) == []


def test_a_budget_that_is_raised(tmp_path: Path) -> None:
    """The call that reaches a budget may take more than was left; those after it have waited for a raise."""
    log = Log()
    log.spend("raise", limit=50)
    assert check(_written(log, tmp_path / "db")) == []


def test_what_was_paid_for_and_told_again(tmp_path: Path) -> None:
    """A call that was told again once may then be asked anew, and so may all by who begins anew."""
    log = Log()
    log.end_with("RUNNING", events=13)
    for queued in (2, 3):
        log.add("LLM_CALL", **CALL)
        log.status("FAILED", queued, reason="The server ended.")
        log.status("QUEUED", queued + 1, **{"from": "start"} if queued == 2 else {})
        log.status("RUNNING", queued + 1)
    log.add("LLM_CALL", **CALL | NOTHING, replayed=True)
    log.row |= {"attempt": 4, "head": len(log.events)}
    log.row["details"] |= {"usage": {name: 3 * number for name, number in USAGE.items()}}
    assert check(_written(log, tmp_path / "db")) == []


def test_files_that_are_kept(tmp_path: Path) -> None:
    """The bytes of each version of a file are there, and are those that were told of."""
    log = Log()
    log.end_with("RUNNING", events=13)
    log.add("ARTIFACT", **ARTIFACT)
    log.row["head"] = 14
    path = _written(log, tmp_path / "db")
    blob = tmp_path / "tasks" / "a1" / "blobs" / ARTIFACT["sha256"]
    assert {broken.rule for broken in check(path)} == {"files"}
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"fail")
    assert {broken.rule for broken in check(path)} == {"files"}
    blob.write_bytes(b"pass")
    assert check(path) == []


def test_what_a_server_leaves_that_has_ended(tmp_path: Path) -> None:
    """An attempt that is under way is none that a server which has ended properly may leave."""
    log = Log()
    assert check_ended(_written(log, tmp_path / "ended")) == []
    log.end_with("RUNNING", events=12)
    assert {broken.rule for broken in check_ended(_written(log, tmp_path / "running"))} == {"rest"}


LOGS: list[tuple[str, str, Break]] = [
    ("contiguous", "an event is missing", lambda log: log.events.pop(3)),
    ("contiguous", "an event comes twice", lambda log: log.events.insert(3, log.events[3])),
    ("contiguous", "two events are swapped", lambda log: log.events.insert(2, log.events.pop(3))),
    ("contiguous", "the end is missing", lambda log: log.events.pop()),
    ("contiguous", "the first is deleted", lambda log: log.events.pop(0)),
    ("shape", "of another task", lambda log: log.events[3].update(task_id="b2")),
    ("shape", "of an unknown type", lambda log: log.events[3].update(event_type="GOSSIP")),
    ("shape", "without a message", lambda log: log.payload(4).pop("message")),
    ("shape", "with a field too many", lambda log: log.events[3].update(colour="red")),
    ("shape", "with a number for a role", lambda log: log.events[3].update(agent_role=7)),
    ("times", "local time", lambda log: log.events[3].update(timestamp="2026-01-02T03:04:05+02:00")),
    ("times", "no time zone", lambda log: log.events[3].update(timestamp="2026-01-02T03:04:05")),
    ("times", "a 13th month", lambda log: log.events[3].update(timestamp="2026-13-02T03:04:05Z")),
    ("times", "no time at all", lambda log: log.events[3].update(timestamp=None)),
    ("times", "the end", lambda log: log.row.update(completed_at="yesterday")),
    ("life", "not in the table", lambda log: log.payload(7).update(status="SUCCEEDED")),
    ("life", "an unknown status", lambda log: log.payload(7).update(status="ASLEEP")),
    ("life", "requeued without an end", lambda log: log.drop(10)),
    ("life", "a failure without a reason", lambda log: log.payload(10).update(reason=None)),
    ("attempts", "one is left out", lambda log: [log.payload(n).update(attempt=3) for n in (11, 12, 15)]),
    ("attempts", "one comes again", lambda log: [log.payload(n).update(attempt=1) for n in (11, 12, 15)]),
    ("attempts", "another one ends", lambda log: log.payload(10).update(attempt=2)),
    ("ends", "none for the first", lambda log: log.drop(10)),
    ("ends", "two for one", lambda log: log.repeat(10, before=11)),
    ("ends", "a second one in the queue", lambda log: log.payload(11).update(status="CANCELLED", attempt=1)),
    ("ends", "none for the last", lambda log: log.drop(15)),
    ("ends", "the row is still running", lambda log: log.row.update(status="RUNNING", completed_at=None)),
    ("silence", "after the end", lambda log: log.repeat(3, before=16)),
    ("silence", "in the queue", lambda log: log.repeat(3, before=12)),
    ("silence", "before the first run", lambda log: log.repeat(3, before=1)),
    ("answers", "twice", lambda log: log.repeat(8, before=9)),
    ("answers", "before the question", lambda log: log.payload(8).update(request_id="input-9-9")),
    ("answers", "before it was asked", lambda log: log.repeat(8, before=6)),
    ("answers", "asked again", lambda log: log.repeat(6, before=13)),
    ("answers", "after the end", lambda log: log.repeat(8, before=11)),
    ("stops", "it goes on", lambda log: log.payload(8).update(answer="stop")),
    ("state", "the status", lambda log: log.row.update(status="CANCELLED")),
    ("state", "the attempt", lambda log: log.row.update(attempt=1)),
    ("state", "the head", lambda log: log.row.update(head=14)),
    ("state", "not completed", lambda log: log.row.update(completed_at=None)),
    ("state", "somebody is at work", lambda log: log.row["details"].update(current_agent="Engineer")),
    ("waiting", "for nothing", lambda log: log.end_with("WAITING", events=7)),
    ("usage", "of tokens", lambda log: log.payload(5).update(prompt_tokens=11)),
    ("usage", "of calls", lambda log: log.row["details"].update(usage=USAGE | {"llm_calls": 2})),
    ("usage", "of what is replayed", lambda log: log.payload(5).update(replayed=True)),
    ("usage", "of money", lambda log: log.payload(5).update(cost_usd=0.51)),
    ("budgets", "the answer is no raise", lambda log: log.spend("12")),
    ("budgets", "nobody has answered", lambda log: log.spend()),
    ("budgets", "the raise is used up, too", lambda log: log.spend("90")),
    ("budgets", "in dollars", lambda log: log.spend("raise", option="budget_usd", limit=1)),
    ("paid once", "in the next attempt", lambda log: log.payload(13).pop("replayed")),
    ("secrets", "a key", lambda log: log.payload(4).update(delta="sk-0123456789abcdef")),
    ("secrets", "a token", lambda log: log.payload(8).update(answer="Bearer 0123456789abcdef")),
    ("result", "none", lambda log: log.row.update(final_result=None)),
    ("result", "another one", lambda log: log.row.update(final_result={"artifacts": ["a.py"]})),
]

REPLACE = "UPDATE batches SET body = CAST(replace(CAST(body AS TEXT), '{}', '{}') AS BLOB)"

VIEW = """
    DROP VIEW events;
    CREATE VIEW events AS SELECT 'a1' AS task_id, 1 AS event_id, '' AS timestamp, '' AS agent_role, '' AS event_type,
                                 '{}' AS payload;
"""

ROWS: list[tuple[str, str, str]] = [
    ("batches", "another number of events", "UPDATE batches SET count = 4 WHERE head = 5"),
    ("batches", "another end", "UPDATE batches SET place = place + 1 WHERE head = 15"),
    ("contiguous", "a batch is missing", "DELETE FROM batches WHERE head = 5"),
    ("digests", "another hash", "UPDATE digests SET digest = zeroblob(32) WHERE event_id = 15"),
    ("digests", "other bytes", REPLACE.format("words", "swords")),
    ("digests", "white space", REPLACE.format('":', '": ')),
    ("index", "one is missing", "DELETE FROM events_by_type WHERE event_id = 3"),
    ("index", "one too many", "INSERT INTO events_by_type VALUES (1, 'LOG', 16, NULL)"),
    ("index", "of another role", "UPDATE events_by_type SET agent_role = 'Architect' WHERE event_id = 3"),
    ("index", "one who is alone is missing", "UPDATE batches SET event_type = NULL WHERE head = 15"),
    ("index", "one who is alone is of another role", "UPDATE batches SET agent_role = 'Architect' WHERE head = 15"),
    (
        "index",
        "one twice",
        "INSERT INTO events_by_type SELECT 1, event_type, head, agent_role FROM batches WHERE head = 15",
    ),
    ("readable", "half an event", "UPDATE batches SET body = substr(body, 1, 100) WHERE head = 5"),
    ("readable", "nothing", "UPDATE batches SET body = x'' WHERE head = 5"),
    ("readable", "no event", "UPDATE batches SET body = x'5b5d' WHERE head = 5"),
    ("readable", "as text", "UPDATE batches SET body = CAST(body AS TEXT)"),
    ("readable", "without commas", REPLACE.format("},{", "} {")),
    ("view", "another event", VIEW),
    ("foreign keys", "a log of nobody", "INSERT INTO batches (place, count, body) VALUES (7 << 32 | 1, 1, x'7b7d')"),
    ("foreign keys", "an index of nobody", "INSERT INTO events_by_type VALUES (7, 'LOG', 1, NULL)"),
]


@pytest.mark.parametrize(("rule", "what", "breaks"), LOGS, ids=[f"{rule}: {what}" for rule, what, _ in LOGS])
def test_a_broken_log(tmp_path: Path, rule: str, what: str, breaks: Break) -> None:
    """A log, or a row, against a rule is found by that rule."""
    log = Log()
    breaks(log)
    assert rule in {broken.rule for broken in check(_written(log, tmp_path / "db"))}


@pytest.mark.parametrize(("rule", "what", "breaks"), ROWS, ids=[f"{rule}: {what}" for rule, what, _ in ROWS])
def test_broken_rows(tmp_path: Path, rule: str, what: str, breaks: str) -> None:
    """What is changed in the tables behind our back is found by the rule that it breaks."""
    path = _written(Log(), tmp_path / "db")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(breaks)
    assert rule in {broken.rule for broken in check(path)}


def test_a_damaged_file(tmp_path: Path) -> None:
    """A file with a page overwritten is damaged."""
    path = _written(Log(), tmp_path / "db")
    pages = bytearray(path.read_bytes())
    for page in range(4096, len(pages), 4096):
        pages[page : page + 200] = b"x" * 200
    path.write_bytes(pages)
    assert {broken.rule for broken in check(path)} == {"integrity"}


def test_every_rule_bites() -> None:
    """There is a broken log for each rule about a log."""
    assert {rule for rule, _, _ in [*LOGS, *ROWS]} >= RULES.keys()


def test_the_command(tmp_path: Path) -> None:
    """As a command it says what is broken, a line each, and ends with 1; with 0 if nothing is."""
    sound, broken = _written(Log(), tmp_path / "sound"), _written(Log(), tmp_path / "broken")
    with closing(sqlite3.connect(broken)) as connection:
        connection.execute("UPDATE task_states SET attempt = 7")
        connection.commit()
    done = [
        subprocess.run([sys.executable, "-m", "tests.chaos.checker", path], capture_output=True, text=True)
        for path in (sound, broken)
    ]
    assert [(process.returncode, process.stderr) for process in done] == [(0, ""), (1, "")]
    assert done[0].stdout == ""
    assert done[1].stdout.startswith("state: task a1: it is SUCCEEDED in attempt 7")
