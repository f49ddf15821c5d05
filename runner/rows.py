"""A task as rows of the database."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from runner import sql
from runner.errors import TaskNotFound
from runner.task import Task
from runner.words import readable

# The columns of GET_TASK. What else a task has is in `details`.
_COLUMNS = (
    "id",
    "title",
    "input_prompt",
    "priority",
    "options",
    "created_at",
    "status",
    "attempt",
    "head",
    "completed_at",
    "details",
    "final_result",
)
_DETAILS = tuple(field for field in Task.__struct_fields__ if field not in _COLUMNS)


def get_task(task_id: str, connection: sqlite3.Connection) -> Task:
    """Raises `TaskNotFound`."""
    row = connection.execute(sql.GET_TASK, (task_id,)).fetchone()
    if row is None:
        raise TaskNotFound(task_id)
    return read(row)


def read(row: Sequence[Any]) -> Task:
    """A task from the columns of GET_TASK, in their order."""
    columns = dict(zip(_COLUMNS, row, strict=True))
    columns["options"] = msgspec.json.decode(columns["options"])
    columns["final_result"] = msgspec.json.decode(columns["final_result"])
    return msgspec.convert(columns | msgspec.json.decode(columns.pop("details")), Task)


def fixed(task: Task) -> Mapping[str, Any]:
    """The parameters of what never changes in a task."""
    return {
        "id": task.id,
        "title": task.title,
        "input_prompt": task.input_prompt,
        "priority": task.priority,
        "options": msgspec.json.encode(task.options).decode(),
        "created_at": task.created_at,
    }


def changing(task: Task) -> dict[str, Any]:
    """The parameters of what changes in a task."""
    return {
        "status": task.status,
        "attempt": task.attempt,
        "head": task.head,
        "completed_at": task.completed_at,
        "details": msgspec.json.encode({name: getattr(task, name) for name in _DETAILS}).decode(),
        "final_result": msgspec.json.encode(task.final_result).decode(),
    }


def outcome(task: Task) -> str:
    """What came of a task, in words to be found by."""
    result = task.final_result or {}
    paths = [artifact.get("path") for artifact in result.get("artifacts", [])]
    said = [message.get("content") for message in result.get("messages", [])]
    return "\n".join(readable(text) for text in (task.reason, *paths, *said) if isinstance(text, str))
