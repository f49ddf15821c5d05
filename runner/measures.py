"""What a run's log tells of the time that it took: spans of work, and what they come to."""

from typing import Literal

import msgspec

from runner.usage import Tally, Usage

SpanKind = Literal["turn", "action", "question"]
RoleActivity = Literal["idle", "working", "waiting", "done"]
Outcome = Literal["done", "failed", "interrupted"]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time that a role has worked, or that a person was asked.

    kind: a role's turn, an action in it, or a question to a person. turn: its id. action, file: of an action.
    request_id: of a question. started_at, ended_at: RFC 3339 UTC, and the events that tell so; the end is null while it
    goes on. outcome: interrupted if it was cancelled or the attempt ended first, null while it goes on.
    """

    kind: SpanKind
    agent_role: str | None
    attempt: int | None
    turn: str | None = None
    action: str | None = None
    file: str | None = None
    request_id: str | None = None
    started_at: str
    start_event_id: int
    ended_at: str | None = None
    end_event_id: int | None = None
    duration_ms: int | None = None
    outcome: Outcome | None = None


class AttemptSpan(msgspec.Struct, frozen=True, kw_only=True):
    """From when an attempt was queued to its end. status: the last that it had. Times are RFC 3339 UTC.

    asked_ms: in which a person was asked.
    """

    attempt: int | None
    status: str
    queued_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    asked_ms: int = 0


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Spans in the order in which they began.

    first_event_id: 1, or above the events that retention has deleted, of which nothing is told. next_since_event_id:
    where to go on for those that began later, or null.
    """

    task_id: str
    first_event_id: int
    head: int
    attempts: list[AttemptSpan]
    spans: list[Span]
    next_since_event_id: int | None


class RoleMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What a role did in all attempts.

    working_ms: in its turns, without waiting for a person. asked_ms: waiting for a person. waiting_ms: for others of
    the team, while the task was running. llm_ms: of the calls that were really made. replayed_calls: answers that were
    taken over from earlier attempts. files: versions of files that it wrote. usage: of the calls.
    """

    agent_role: str
    turns: int = 0
    actions: int = 0
    failed_actions: int = 0
    working_ms: int = 0
    waiting_ms: int = 0
    asked_ms: int = 0
    llm_ms: int = 0
    replayed_calls: int = 0
    files: int = 0
    usage: Tally = Tally()


class ActionMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """All runs of one action of one role."""

    agent_role: str | None
    action: str
    count: int = 0
    failed: int = 0
    total_ms: int = 0
    longest_ms: int = 0


class RoleState(msgspec.Struct, frozen=True, kw_only=True):
    """How a role stands in an attempt.

    turns: that it has begun. state: `done` after a turn, `idle` after one that was broken off; `before`: the state that
    it goes back to when a person has answered. action, file: of its last action, in a turn. summary: of its last turn.
    begins_with: who sent the message to everyone that it would begin its next turn with.
    """

    agent_role: str
    state: RoleActivity = "idle"
    before: RoleActivity = "idle"
    turns: int = 0
    action: str | None = None
    file: str | None = None
    summary: str | None = None
    begins_with: str | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """How often one told the other something, or began a turn with what it told everyone. A person is `Human`."""

    sender: str
    receiver: str
    count: int


class TeamState(msgspec.Struct, frozen=True, kw_only=True):
    """How the team stands in the last attempt. attempt: null before the first one."""

    attempt: int | None
    roles: list[RoleState]
    exchanges: list[Exchange]


class TaskMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """How the time of a task was spent, all attempts together; of what goes on still, up to now.

    team: of the last attempt alone. head: the event up to which all but `usage` tells. first_event_id: as in
    `Timeline`. queued_ms: waiting for a place. running_ms: from a place to the end, asked_ms included, in which a
    person was asked.
    """

    task_id: str
    first_event_id: int
    head: int
    attempts: int
    queued_ms: int
    running_ms: int
    asked_ms: int
    usage: Usage
    roles: list[RoleMetrics]
    actions: list[ActionMetrics]
    team: TeamState
