"""The life of a task: everything that affects its status lives in this file.

A task is PENDING until somebody runs it, which begins an attempt: the task is QUEUED until the supervisor claims it,
then RUNNING, or WAITING while a person is asked, or STOPPING once a stop was asked for. An attempt ends in exactly one
terminal status: SUCCEEDED, FAILED or CANCELLED. FAILED and CANCELLED tasks can be run again, as the next attempt;
SUCCEEDED is for good. LOSE is what happens to an attempt whose process, or server, ends under it: mostly RUN follows at
once. A stop that was under way then is complete, since no child outlives its server.

`TRANSITIONS` is the whole truth. Whatever is not in it raises `Conflict`, and changes nothing.
"""

from enum import StrEnum
from types import MappingProxyType

from runner.errors import Conflict


class Status(StrEnum):
    PENDING = "PENDING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    STOPPING = "STOPPING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Trigger(StrEnum):
    RUN = "run"
    CLAIM = "claim"
    ASK = "ask"
    ANSWER = "answer"
    STOP = "stop"
    SUCCEED = "succeed"
    FAIL = "fail"
    END_STOP = "end stop"
    LOSE = "lose"


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
IN_ATTEMPT = frozenset({Status.RUNNING, Status.WAITING, Status.STOPPING})
ACTIVE = IN_ATTEMPT | {Status.QUEUED}

TRANSITIONS = MappingProxyType(
    {
        (Status.PENDING, Trigger.RUN): Status.QUEUED,
        (Status.FAILED, Trigger.RUN): Status.QUEUED,
        (Status.CANCELLED, Trigger.RUN): Status.QUEUED,
        (Status.QUEUED, Trigger.CLAIM): Status.RUNNING,
        (Status.QUEUED, Trigger.STOP): Status.CANCELLED,
        (Status.RUNNING, Trigger.ASK): Status.WAITING,
        (Status.WAITING, Trigger.ANSWER): Status.RUNNING,
        (Status.RUNNING, Trigger.STOP): Status.STOPPING,
        (Status.WAITING, Trigger.STOP): Status.STOPPING,
        (Status.RUNNING, Trigger.SUCCEED): Status.SUCCEEDED,
        (Status.RUNNING, Trigger.FAIL): Status.FAILED,
        (Status.WAITING, Trigger.FAIL): Status.FAILED,
        (Status.STOPPING, Trigger.END_STOP): Status.CANCELLED,
        (Status.RUNNING, Trigger.LOSE): Status.FAILED,
        (Status.WAITING, Trigger.LOSE): Status.FAILED,
    }
)


def follow(status: Status, trigger: Trigger) -> Status:
    """The status after `trigger`. Raises `Conflict`, naming where the trigger is allowed, if it is not allowed here."""
    try:
        return TRANSITIONS[status, trigger]
    except KeyError:
        allowed = ", ".join(sorted(source for source, known in TRANSITIONS if known is trigger))
        raise Conflict(f"The task is {status}; {trigger} is possible only while it is {allowed}.") from None
