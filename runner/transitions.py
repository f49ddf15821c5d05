"""A change of status: the task after it, and the STATUS event that tells of it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from runner.attempt import Origin
from runner.base import Entry
from runner.events import EventType, draft
from runner.recorder import entry
from runner.states import Status, Trigger, follow
from runner.task import Task

_MESSAGES = {
    Status.QUEUED: "Waiting for a free place.",
    Status.RUNNING: "The team is at work.",
    Status.WAITING: "The team waits for a person's answer.",
    Status.STOPPING: "Stopping.",
    Status.SUCCEEDED: "The team has finished.",
    Status.FAILED: "The run failed.",
    Status.CANCELLED: "The run was stopped.",
}


def changed(
    task: Task, trigger: Trigger, reason: str | None, changes: Mapping[str, Any], origin: Origin | None = None
) -> tuple[Task, Entry]:
    """The task after a trigger and other changes, and what its log has of it. Raises `Conflict`.

    origin: where an attempt begins, of one that is queued.
    """
    status = follow(task.status, trigger)
    message = f"{_MESSAGES[status]} {reason}" if reason else _MESSAGES[status]
    task = msgspec.structs.replace(task, status=status, reason=reason, last_message=message, **changes)
    payload = {"message": message, "status": status, "attempt": task.attempt, "reason": reason}
    if origin is not None:
        payload["from"] = origin
    return task, entry(draft(EventType.STATUS, payload))
