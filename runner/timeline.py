"""The time of a task, as its log tells of it: spans of work, and what they come to.

A log is read through in pages; what is kept of it is what is asked for, and what has not ended.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from runner import team
from runner.base import Filter, Store
from runner.events import Event, EventType, now
from runner.measures import ActionMetrics, AttemptSpan, Outcome, RoleMetrics, Span, TaskMetrics, Timeline
from runner.reading import decoded, pages
from runner.states import ACTIVE, TERMINAL, Status
from runner.usage import Tally

_SPANS = frozenset(
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
_METRICS = _SPANS | team.TYPES | {EventType.LLM_CALL, EventType.ARTIFACT}


async def read_timeline(store: Store, task_id: str, *, after: int, limit: int) -> Timeline:
    """The spans that began after an event: the first `limit` of them."""
    found: dict[int, Span] = {}  # by the event with which they began
    more = False

    def take(span: Span) -> None:
        nonlocal more
        if span.start_event_id <= after:
            return
        if span.start_event_id in found or len(found) < limit:
            found[span.start_event_id] = span
        else:
            more = True

    spans = _Spans(take, take)
    first, head = await _read(store, task_id, _SPANS, [spans.take])
    return Timeline(
        task_id=task_id,
        first_event_id=first,
        head=head,
        attempts=spans.attempts,
        spans=list(found.values()),
        next_since_event_id=max(found) if more else None,
    )


async def read_metrics(store: Store, task_id: str, *, through: int | None) -> TaskMetrics:
    """What all spans come to. through: the last event that counts; None for all."""
    sums = _Sums()
    state = team.Team()
    spans = _Spans(lambda _: None, sums.add)
    first, head = await _read(store, task_id, _METRICS, [spans.take, sums.take, state.take], through)
    task = await store.get_task(task_id)
    as_of = now()
    for span in spans.open():
        sums.add(msgspec.structs.replace(span, duration_ms=_between(span.started_at, as_of)))
    attempts = spans.attempts
    running = sum(_between(attempt.started_at, attempt.ended_at or as_of) for attempt in attempts)
    return TaskMetrics(
        task_id=task_id,
        first_event_id=first,
        head=head,
        attempts=len(attempts),
        queued_ms=sum(_between(a.queued_at, a.started_at or a.ended_at or as_of) for a in attempts),
        running_ms=running,
        asked_ms=sum(attempt.asked_ms for attempt in attempts) + _between(spans.asked_since, as_of),
        usage=task.usage,
        roles=sums.roles(task.options.team, running, task.usage.by_role),
        actions=sums.actions(),
        team=state.state(task.options.team),
    )


async def _read(
    store: Store,
    task_id: str,
    types: frozenset[EventType],
    takers: Iterable[Callable[[Event], None]],
    through: int | None = None,
) -> tuple[int, int]:
    """Hand every event of these types to each taker. Returns the ids of the first event that there is, and the last."""
    first, head = 1, 0
    async for page in pages(store, task_id, Filter(types), through=through):
        head = page.head if through is None else min(through, page.head)
        if page.gap is not None:
            first = page.gap.last + 1
        for event in decoded(page, through):
            for take in takers:
                take(event)
    return first, head


class _Spans:
    """Makes spans of the events of a log; `on_begin` and `on_end` are called with each."""

    def __init__(self, on_begin: Callable[[Span], None], on_end: Callable[[Span], None]) -> None:
        self.attempts: list[AttemptSpan] = []
        self.asked_since: str | None = None
        """Since when the task waits for a person, if it does."""
        self._on_begin = on_begin
        self._on_end = on_end
        self._turns: dict[str, Span] = {}  # that have not ended, by role
        self._actions: dict[str, list[Span]] = {}  # the same; the last one has begun last
        self._questions: dict[str, Span] = {}  # the same, by request

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
            changes["asked_ms"] = self.attempts[-1].asked_ms + _between(self.asked_since, event.timestamp)
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
                duration_ms=_between(span.started_at, event.timestamp),
                outcome=outcome or _outcome(event.payload),
            )
        )


class _Sums:
    """Adds up spans that have a duration, and the events of calls and files."""

    def __init__(self) -> None:
        self._roles: dict[str, RoleMetrics] = {}
        self._actions: dict[tuple[str | None, str], ActionMetrics] = {}

    def add(self, span: Span) -> None:
        took = span.duration_ms or 0
        if span.kind == "action":
            self._add_action(span, took)
        if span.agent_role is None:
            return
        if span.kind == "turn":
            self._count(span.agent_role, turns=1, working_ms=took)
        elif span.kind == "action":
            self._count(span.agent_role, actions=1, failed_actions=span.outcome == "failed")
        else:
            self._count(span.agent_role, asked_ms=took, working_ms=0 if span.turn is None else -took)

    def take(self, event: Event) -> None:
        """An event that is no span's."""
        if event.agent_role is None:
            return
        match event.event_type:
            case EventType.LLM_CALL if event.payload.get("replayed"):
                self._count(event.agent_role, replayed_calls=1)
            case EventType.LLM_CALL:
                self._count(event.agent_role, llm_ms=event.payload.get("duration_ms") or 0)
            case EventType.ARTIFACT:
                self._count(event.agent_role, files=1)

    def roles(self, team: Iterable[str], running: int, usage: dict[str, Tally]) -> list[RoleMetrics]:
        """Each of the team, and whoever else has worked. running: milliseconds of all attempts."""
        found = []
        for name in dict.fromkeys([*team, *self._roles]):
            role = self._roles.get(name, RoleMetrics(agent_role=name))
            waiting = max(0, running - role.working_ms - role.asked_ms)
            found.append(msgspec.structs.replace(role, waiting_ms=waiting, usage=usage.get(name, Tally())))
        return found

    def actions(self) -> list[ActionMetrics]:
        return list(self._actions.values())

    def _add_action(self, span: Span, took: int) -> None:
        key = span.agent_role, str(span.action)
        known = self._actions.get(key, ActionMetrics(agent_role=span.agent_role, action=str(span.action)))
        self._actions[key] = msgspec.structs.replace(
            known,
            count=known.count + 1,
            failed=known.failed + (span.outcome == "failed"),
            total_ms=known.total_ms + took,
            longest_ms=max(known.longest_ms, took),
        )

    def _count(self, role: str, **amounts: int) -> None:
        known = self._roles.get(role, RoleMetrics(agent_role=role))
        changes = {name: getattr(known, name) + amount for name, amount in amounts.items()}
        self._roles[role] = msgspec.structs.replace(known, **changes)


def _outcome(payload: Mapping[str, Any]) -> Outcome:
    if payload.get("cancelled"):
        return "interrupted"
    return "failed" if payload.get("failed") else "done"


def _between(start: str | None, end: str) -> int:
    """Milliseconds from one time to another (RFC 3339); none where a clock was set back, or nothing has started."""
    if start is None:
        return 0
    passed = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return max(0, round(passed.total_seconds() * 1000))
