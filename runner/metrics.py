"""What the spans of a task come to, and the events between them: its time, by role, and how its team stands.

A log is read through in pages; what is kept of it are sums, and what has not ended.
"""

from collections.abc import Callable, Iterable

import msgspec

from runner import team
from runner.base import Filter, Store
from runner.events import Event, EventType, now
from runner.measures import ActionMetrics, RoleMetrics, Span, TaskMetrics
from runner.reading import decoded, pages
from runner.spans import TYPES, Spans, between
from runner.usage import Tally

_COUNTED = TYPES | team.TYPES | {EventType.LLM_CALL, EventType.ARTIFACT}


async def read_metrics(store: Store, task_id: str, *, through: int | None) -> TaskMetrics:
    """What all spans come to. through: the last event that counts; None for all."""
    sums = _Sums()
    state = team.Team()
    spans = Spans(on_end=sums.add)
    first, head = await _read(store, task_id, [spans.take, sums.take, state.take], through)
    task = await store.get_task(task_id)
    as_of = now()
    for span in spans.open():
        sums.add(msgspec.structs.replace(span, duration_ms=between(span.started_at, as_of)))
    attempts = spans.attempts
    running = sum(between(attempt.started_at, attempt.ended_at or as_of) for attempt in attempts)
    return TaskMetrics(
        task_id=task_id,
        first_event_id=first,
        head=head,
        attempts=len(attempts),
        queued_ms=sum(between(a.queued_at, a.started_at or a.ended_at or as_of) for a in attempts),
        running_ms=running,
        asked_ms=sum(attempt.asked_ms for attempt in attempts) + between(spans.asked_since, as_of),
        usage=task.usage,
        roles=sums.roles(task.options.team, running, task.usage.by_role),
        actions=sums.actions(),
        team=state.state(task.options.team),
    )


async def _read(
    store: Store,
    task_id: str,
    takers: Iterable[Callable[[Event], None]],
    through: int | None,
) -> tuple[int, int]:
    """Hand every event that counts to each taker. Returns the ids of the first event that there is, and the last."""
    first, head = 1, 0
    async for page in pages(store, task_id, Filter(_COUNTED), through=through):
        head = page.head if through is None else min(through, page.head)
        if page.gap is not None:
            first = page.gap.last + 1
        for event in decoded(page, through):
            for take in takers:
                take(event)
    return first, head


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
