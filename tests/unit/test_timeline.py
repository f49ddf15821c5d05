"""Spans of work and what they come to, as a log tells of them."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from runner import reading
from runner.base import Filter, Page
from runner.events import Draft, EventType, now
from runner.measures import Span
from runner.states import Status
from runner.store import SqliteStore
from runner.usage import Tally
from tests.children import Stage, ToldChild, told_supervisor
from tests.support import until

ROLE = "Engineer"
CALL: dict[str, Any] = {"model": "m", "prompt_tokens": 5, "completion_tokens": 2, "cost_usd": 0.5, "duration_ms": 40}
QUESTION: dict[str, Any] = {"request_id": "r", "kind": "budget", "question": "Good?", "choices": [], "deadline": None}


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with told_supervisor(tmp_path) as (supervisor, forks):
        yield Stage(supervisor, forks)


def say(child: ToldChild, millisecond: int, event_type: EventType, *, role: str = ROLE, **payload: Any) -> None:
    """An event of a role, so many milliseconds after an hour that is long past."""
    told = Draft(
        timestamp=f"2026-01-01T00:00:{millisecond / 1000:09.6f}Z",
        agent_role=role,
        event_type=event_type,
        payload={"message": "", **payload},
    )
    child.write(msgspec.json.encode(told) + b"\n")


async def test_spans(stage: Stage) -> None:
    """Turns, actions and questions are spans; what is cancelled, or cut off by the attempt's end, is interrupted."""
    child = await stage.child()
    say(child, 0, EventType.AGENT_START, turn="Engineer-1")
    say(child, 10, EventType.ACTION_START, action="WriteCode", file="a.py")
    say(child, 15, EventType.AGENT_START, role="Architect", turn="Architect-1")
    say(child, 40, EventType.ACTION_COMPLETE, action="WriteCode", file="a.py", failed=True)
    say(child, 50, EventType.INPUT_REQUEST, **QUESTION)
    await stage.until(Status.WAITING)
    await stage.supervisor.answer(stage.task_id, "r", "yes")
    say(child, 60, EventType.ACTION_START, action="WriteCode", file="b.py")
    say(child, 70, EventType.ACTION_COMPLETE, action="WriteCode", file="b.py", failed=True, cancelled=True)
    child.exit(1)
    head = (await stage.end()).head
    timeline = await stage.supervisor.get_task_timeline(stage.task_id, after=0, limit=10)
    assert [(s.kind, s.agent_role, s.turn, s.action, s.file, s.outcome) for s in timeline.spans] == [
        ("turn", ROLE, "Engineer-1", None, None, "interrupted"),
        ("action", ROLE, "Engineer-1", "WriteCode", "a.py", "failed"),
        ("turn", "Architect", "Architect-1", None, None, "interrupted"),
        ("question", ROLE, "Engineer-1", None, None, "done"),
        ("action", ROLE, "Engineer-1", "WriteCode", "b.py", "interrupted"),
    ]
    turn, action, _, question, _ = timeline.spans
    assert (action.duration_ms, action.attempt, action.start_event_id, action.end_event_id) == (30, 1, 4, 6)
    assert (turn.end_event_id, question.request_id) == (head, "r")
    (attempt,) = timeline.attempts
    assert (attempt.attempt, attempt.status) == (1, "FAILED") and attempt.queued_at and attempt.ended_at
    assert (timeline.first_event_id, timeline.head, timeline.next_since_event_id) == (1, head, None)


def _finish_after(child: ToldChild, *, turns: int) -> None:
    for turn in range(turns):
        say(child, turn, EventType.AGENT_START, turn=f"Engineer-{turn}")
        say(child, turn, EventType.AGENT_COMPLETE)
    child.finish()


async def _in_pages(stage: Stage, limit: int) -> list[Span]:
    """All spans, read in pages of so many."""
    found: list[Span] = []
    after: int | None = 0
    while after is not None:
        page = await stage.supervisor.get_task_timeline(stage.task_id, after=after, limit=limit)
        assert 0 < len(page.spans) <= limit
        found += page.spans
        after = page.next_since_event_id
    return found


async def test_spans_in_pages(stage: Stage) -> None:
    """Page after page, every span comes once, also one that ends after many that began later."""
    child = await stage.child()
    say(child, 0, EventType.AGENT_START, turn="Engineer-1")
    for number in range(3):
        say(child, number, EventType.ACTION_START, action="WriteCode", file=str(number))
        say(child, number + 1, EventType.ACTION_COMPLETE, action="WriteCode", file=str(number))
    say(child, 20, EventType.AGENT_COMPLETE, turn="Engineer-1")
    child.finish()
    await stage.end()
    found = await _in_pages(stage, 2)
    assert [(span.kind, span.file, span.outcome) for span in found] == [
        ("turn", None, "done"),
        *(("action", str(number), "done") for number in range(3)),
    ]


async def test_pages_of_any_size(stage: Stage) -> None:
    """However long its pages are, a timeline is the same, also where roles overlap, and over attempts."""
    child = await stage.child()
    for attempt in (1, 2):
        for turn in range(4):
            say(child, turn, EventType.AGENT_START, turn=f"Engineer-{turn}")
            say(child, turn, EventType.ACTION_START, action="WriteCode")
            say(child, turn, EventType.AGENT_START, role="Architect", turn=f"Architect-{turn}")
            say(child, turn, EventType.ACTION_COMPLETE, action="WriteCode")
            say(child, turn, EventType.AGENT_COMPLETE)
            say(child, turn, EventType.ACTION_START, role="Architect", action="WriteDesign")
        if attempt == 1:
            child.exit(-signal.SIGKILL)
            child = await stage.forks.child()
    child.finish()
    await stage.end()
    whole = await stage.supervisor.get_task_timeline(stage.task_id, after=0, limit=1000)
    assert len(whole.spans) == 2 * 4 * 4
    for limit in (1, 2, 3, 5, 31):
        assert await _in_pages(stage, limit) == whole.spans
        page = await stage.supervisor.get_task_timeline(stage.task_id, after=0, limit=limit)
        assert (page.attempts, page.head) == (whole.attempts, whole.head)


async def test_a_page_costs_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads a timeline page after page has its log read about once, whatever the number of pages."""
    monkeypatch.setattr(reading, "_PAGE", 4)
    read = 0

    class Counted(SqliteStore):
        async def read_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
            nonlocal read
            page = await super().read_events(task_id, after=after, limit=limit, size=size, filter=filter)
            read += len(page.events)
            return page

    async with told_supervisor(tmp_path, kind=Counted) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        _finish_after(child, turns=50)
        head = (await stage.end()).head
        read = 0
        assert len(await _in_pages(stage, 4)) == 50
        assert read < 3 * head  # a page also reads the last status, and so far that it knows that there is more


async def test_a_run_that_ends_while_its_timeline_is_read(tmp_path: Path) -> None:
    """A timeline tells of one moment: not of the end of an attempt whose spans it has read as open."""

    class Interrupted(SqliteStore):
        meanwhile: Callable[[], Awaitable[object]] | None = None

        async def read_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
            page = await super().read_events(task_id, after=after, limit=limit, size=size, filter=filter)
            meanwhile, Interrupted.meanwhile = Interrupted.meanwhile, None
            if meanwhile is not None:
                await meanwhile()
            return page

    async with told_supervisor(tmp_path, kind=Interrupted) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        say(child, 0, EventType.AGENT_START, turn="Engineer-1")
        await until(stage.kinds, lambda kinds: "AGENT_START" in kinds)
        head = (await stage.task()).head

        async def end() -> None:
            child.exit(1)
            await stage.end()

        Interrupted.meanwhile = end
        timeline = await supervisor.get_task_timeline(stage.task_id, after=0, limit=10)
        assert (timeline.head, timeline.spans[0].outcome, len(timeline.attempts)) == (head, None, 1)
        assert timeline.attempts[0].status == Status.RUNNING


async def test_a_timeline_that_retention_deletes(stage: Stage) -> None:
    """A page that begins where the last one ended tells of no events that were deleted since."""
    child = await stage.child()
    _finish_after(child, turns=3)
    head = (await stage.end()).head
    after = (await stage.supervisor.get_task_timeline(stage.task_id, after=0, limit=1)).next_since_event_id
    assert after is not None
    await stage.supervisor.expire(now())
    left = await stage.supervisor.get_task_timeline(stage.task_id, after=after, limit=1)
    assert (left.first_event_id, left.spans, left.attempts, left.next_since_event_id) == (head + 1, [], [], None)


async def test_metrics(stage: Stage) -> None:
    """The time of a role is what it worked and what it waited; calls that were replayed are free."""
    child = await stage.child()
    say(child, 0, EventType.AGENT_START, turn="Engineer-1")
    for begin, end, failed in ((0, 30, False), (30, 40, True)):
        say(child, begin, EventType.ACTION_START, action="WriteCode")
        say(child, end, EventType.ACTION_COMPLETE, action="WriteCode", failed=failed)
    say(child, 40, EventType.LLM_CALL, call="1", **CALL)
    say(child, 40, EventType.LLM_CALL, call="2", replayed=True, **CALL)
    say(child, 100, EventType.AGENT_COMPLETE, turn="Engineer-1")
    child.finish()
    await stage.end()
    metrics = await stage.supervisor.get_task_metrics(stage.task_id)
    by_role = {role.agent_role: role for role in metrics.roles}
    assert list(by_role) == ["ProductManager", "Architect", "ProjectManager", "Engineer"]
    engineer = by_role[ROLE]
    assert (engineer.turns, engineer.actions, engineer.failed_actions, engineer.working_ms) == (1, 2, 1, 100)
    assert (engineer.llm_ms, engineer.replayed_calls) == (40, 1)
    assert engineer.usage == Tally(llm_calls=1, prompt_tokens=5, completion_tokens=2, cost_usd=0.5)
    (code,) = metrics.actions
    assert (code.agent_role, code.count, code.failed, code.total_ms, code.longest_ms) == (ROLE, 2, 1, 40, 30)
    assert by_role["Architect"].waiting_ms == metrics.running_ms > 0
    assert (metrics.attempts, metrics.usage.llm_calls) == (1, 1)


async def test_the_time_of_a_person_is_nobodys_work(stage: Stage) -> None:
    """While a person is asked in the middle of a turn, the role does not work; also while it goes on."""
    child = await stage.child()
    child.emit(EventType.AGENT_START, {"message": "", "turn": "Engineer-1"}, agent_role=ROLE)
    child.emit(EventType.INPUT_REQUEST, {"message": "", **QUESTION}, agent_role=ROLE)
    await stage.until(Status.WAITING)
    metrics = await stage.supervisor.get_task_metrics(stage.task_id)
    engineer = next(role for role in metrics.roles if role.agent_role == ROLE)
    assert engineer.asked_ms + engineer.working_ms <= metrics.running_ms
    assert metrics.asked_ms <= engineer.asked_ms
    await stage.supervisor.stop_task(stage.task_id)


async def test_how_the_team_stands(stage: Stage) -> None:
    """Who told whom how much, and what each role does, up to an event; a message to everyone has passed to who began
    a turn with it. What a role has made outlasts a turn that changed no files.
    """
    child = await stage.child()
    say(child, 0, EventType.MESSAGE, role="ProductManager", sent_from="", send_to=["<all>"])
    say(child, 1, EventType.AGENT_START, role="Architect", turn="Architect-1")
    say(child, 2, EventType.MESSAGE, role="Architect", sent_from="", send_to=[f"metagpt.roles.{ROLE}", "<none>"])
    say(child, 3, EventType.AGENT_COMPLETE, role="Architect", turn="Architect-1", summary="A design.")
    say(child, 4, EventType.AGENT_START, role="Architect", turn="Architect-2")
    say(child, 5, EventType.AGENT_COMPLETE, role="Architect", turn="Architect-2", summary=None)
    say(child, 6, EventType.AGENT_START, turn="Engineer-1")
    say(child, 7, EventType.ACTION_START, action="WriteCode", file="a.py")
    child.finish()
    head = (await stage.end()).head
    team = (await stage.supervisor.get_task_metrics(stage.task_id, through=head - 2)).team
    assert [(e.sender, e.receiver, e.count) for e in team.exchanges] == [
        ("ProductManager", "Architect", 1),
        ("Architect", ROLE, 1),
    ]
    states = {role.agent_role: role for role in team.roles}
    assert team.attempt == 1 and states["ProjectManager"].begins_with == "ProductManager"
    engineer, architect = states[ROLE], states["Architect"]
    assert (engineer.state, engineer.action, engineer.file, engineer.begins_with) == (
        "working",
        "WriteCode",
        "a.py",
        None,
    )
    assert (architect.state, architect.summary) == ("done", "A design.")
    ended = (await stage.supervisor.get_task_metrics(stage.task_id)).team
    assert {role.agent_role: role.state for role in ended.roles if role.turns} == {"Architect": "done", ROLE: "done"}


@pytest.mark.parametrize("trouble", ["failed", "cancelled"])
async def test_a_role_that_was_broken_off_is_not_done(stage: Stage, trouble: str) -> None:
    """Whose turn failed, or was cancelled, has not done its work."""
    child = await stage.child()
    say(child, 0, EventType.AGENT_START, turn="Engineer-1")
    failed, cancelled = trouble == "failed", trouble == "cancelled"
    say(child, 1, EventType.AGENT_COMPLETE, turn="Engineer-1", summary="Broken off", failed=failed, cancelled=cancelled)
    await stage.supervisor.stop_task(stage.task_id)
    team = (await stage.supervisor.get_task_metrics(stage.task_id)).team
    assert {role.agent_role: role.state for role in team.roles if role.turns} == {ROLE: "idle"}


async def test_the_metrics_of_an_ended_run_are_remembered(tmp_path: Path) -> None:
    """The log of a run that has ended is read through once, and anew when retention has deleted it."""
    read: list[Filter] = []

    class Watched(SqliteStore):
        async def read_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
            read.append(filter)
            return await super().read_events(task_id, after=after, limit=limit, size=size, filter=filter)

    async with told_supervisor(tmp_path, kind=Watched) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        say(child, 0, EventType.AGENT_START, turn="Engineer-1")
        child.finish()
        await stage.end()
        told = await supervisor.get_task_metrics(stage.task_id)
        whole = len([filter for filter in read if EventType.LLM_CALL in filter.event_types])
        assert await supervisor.get_task_metrics(stage.task_id) == told
        assert len([filter for filter in read if EventType.LLM_CALL in filter.event_types]) == whole > 0
        assert (await supervisor.get_task_metrics(stage.task_id, through=1)).head == 1
        await supervisor.expire(now())
        left = await supervisor.get_task_metrics(stage.task_id)
        assert (left.first_event_id, left.attempts) == (told.head + 1, 0)
