"""Spans of work: a fold over the events of a log."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from runner.events import Event, EventType
from runner.measures import AttemptSpan, Outcome, Span
from runner.states import ACTIVE, TERMINAL, Status

TYPES = frozenset(
    {
        EventType.STATUS,
        EventType.AGENT_START,
        EventType.AGENT_COMPLETE,
        EventType.ACTION_START,
        EventType.ACTION_COMPLETE,
        EventType.INPUT_REQUEST,
        EventType.INPUT_RESPONSE,
    }
)

_Take = Callable[[Span], None]


def _ignore(_: Span) -> None:
    """For whoever wants to know of the attempts, or what goes on, alone."""


class Spans:
    """Takes the events of a log in order, and makes spans of them; `on_begin` and `on_end` are called with each."""

    def __init__(self, on_begin: _Take = _ignore, on_end: _Take = _ignore) -> None:
        self.attempts: list[AttemptSpan] = []
        self.asked_since: str | None = None
        """Since when the task waits for a person, if it does."""
        self._on_begin = on_begin
        self._on_end = on_end
        self._turns: dict[str, Span] = {}  # that have not ended, by role
        self._actions: dict[str, list[Span]] = {}  # the same; the last one has begun last
        self._questions: dict[str, Span] = {}  # the same, by request

    def copy(self, on_begin: _Take = _ignore, on_end: _Take = _ignore) -> "Spans":
        """The same as it is now, to take other events, and to call others."""
        copied = Spans(on_begin, on_end)
        copied.attempts = [*self.attempts]
        copied.asked_since = self.asked_since
        copied._turns = {**self._turns}
        copied._actions = {role: [*spans] for role, spans in self._actions.items()}
        copied._questions = {**self._questions}
        return copied

    def open(self) -> list[Span]:
        """What has not ended."""
        actions = [span for spans in self._actions.values() for span in spans]
        return [*self._turns.values(), *actions, *self._questions.values()]

    def take(self, event: Event) -> None:
        role, payload = event.agent_role or "", event.payload
        match event.event_type:
            case EventType.STATUS:
                self._take_status(event)
            case EventType.AGENT_START:
                self._turns[role] = self._begun(event, kind="turn", turn=payload.get("turn"))
            case EventType.AGENT_COMPLETE if role in self._turns:
                self._end(self._turns.pop(role), event)
            case EventType.ACTION_START:
                turn = self._turns.get(role)
                span = self._begun(
                    event,
                    kind="action",
                    turn=None if turn is None else turn.turn,
                    action=payload.get("action"),
                    file=payload.get("file"),
                )
                self._actions.setdefault(role, []).append(span)
            case EventType.ACTION_COMPLETE if self._actions.get(role):
                self._end(self._actions[role].pop(), event)
            case EventType.INPUT_REQUEST:
                request_id = str(payload.get("request_id"))
                turn = self._turns.get(role)
                self._questions[request_id] = self._begun(
                    event, kind="question", request_id=request_id, turn=None if turn is None else turn.turn
                )
            case EventType.INPUT_RESPONSE if str(payload.get("request_id")) in self._questions:
                self._end(self._questions.pop(str(payload.get("request_id"))), event)

    def _take_status(self, event: Event) -> None:
        status = str(event.payload.get("status"))
        if status == Status.QUEUED or not self.attempts:
            self.attempts.append(AttemptSpan(attempt=event.payload.get("attempt"), status=status))
        changes: dict[str, Any] = {"status": status}
        if status == Status.QUEUED:
            changes["queued_at"] = event.timestamp
        if status == Status.RUNNING and self.attempts[-1].started_at is None:
            changes["started_at"] = event.timestamp
        if status in TERMINAL:
            changes["ended_at"] = event.timestamp
        if self.asked_since is not None:
            changes["asked_ms"] = self.attempts[-1].asked_ms + between(self.asked_since, event.timestamp)
        self.asked_since = event.timestamp if status == Status.WAITING else None
        self.attempts[-1] = msgspec.structs.replace(self.attempts[-1], **changes)
        if status not in ACTIVE:
            for span in self.open():
                self._end(span, event, "interrupted")
            for known in (self._turns, self._actions, self._questions):
                known.clear()

    def _begun(self, event: Event, **fields: Any) -> Span:
        span = Span(
            agent_role=event.agent_role,
            attempt=self.attempts[-1].attempt if self.attempts else None,
            started_at=event.timestamp,
            start_event_id=event.event_id,
            **fields,
        )
        self._on_begin(span)
        return span

    def _end(self, span: Span, event: Event, outcome: Outcome | None = None) -> None:
        self._on_end(
            msgspec.structs.replace(
                span,
                ended_at=event.timestamp,
                end_event_id=event.event_id,
                duration_ms=between(span.started_at, event.timestamp),
                outcome=outcome or _outcome(event.payload),
            )
        )


def between(start: str | None, end: str) -> int:
    """Milliseconds from one time to another (RFC 3339); none where a clock was set back, or nothing has started."""
    if start is None:
        return 0
    passed = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return max(0, round(passed.total_seconds() * 1000))


def _outcome(payload: Mapping[str, Any]) -> Outcome:
    if payload.get("cancelled"):
        return "interrupted"
    return "failed" if payload.get("failed") else "done"
