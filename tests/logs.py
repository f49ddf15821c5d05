"""Tasks and commits, made by hand, for tests of stores and hubs."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from runner.attempt import Options
from runner.base import Commit, Placed
from runner.events import EventType, now
from runner.task import Task


def make_task(task_id: str = "task", **fields: Any) -> Task:
    made: dict[str, Any] = {
        "id": task_id,
        "title": "hangman",
        "input_prompt": "hangman",
        "priority": 0,
        "options": Options(),
        "created_at": now(),
    }
    return Task(**made | fields)


def make_commit(
    task: Task,
    messages: Sequence[str],
    *,
    event_type: EventType = EventType.LOG,
    agent_role: str | None = None,
    **changes: Any,
) -> Commit:
    """Events with these messages after the head of a task, and the task after them, with other changes if wanted."""
    events = [
        Placed(event_id, event_type, agent_role, _encoded(task.id, event_id, event_type, agent_role, message))
        for event_id, message in enumerate(messages, task.head + 1)
    ]
    return Commit(msgspec.structs.replace(task, head=task.head + len(events), **changes), events)


def _encoded(task_id: str, event_id: int, event_type: EventType, agent_role: str | None, message: str) -> bytes:
    event = {
        "event_id": event_id,
        "task_id": task_id,
        "timestamp": now(),
        "agent_role": agent_role,
        "event_type": event_type,
        "payload": {"message": message},
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def messages(events: Sequence[bytes]) -> list[str]:
    return [json.loads(event)["payload"]["message"] for event in events]


def ids(events: Sequence[bytes]) -> list[int]:
    return [json.loads(event)["event_id"] for event in events]
