from typing import Any

import msgspec
import pytest

from runner.events import EventType
from runner.states import Status
from runner.task import FOLDED, LAST_MESSAGE_LIMIT, Task, derived_title, fold
from runner.usage import Tally, Usage
from tests.logs import make_task


def _fold(task: Task, *events: tuple[EventType, str | None, dict[str, Any]]) -> Task:
    for event_type, role, payload in events:
        task = fold(task, event_type, role, payload)
    return task


def test_the_current_agent() -> None:
    """Who has begun last is at work, until that one has ended; the end of another changes nothing."""
    started = _fold(make_task(), (EventType.AGENT_START, "Architect", {"message": "m"}))
    assert started.current_agent == "Architect"
    assert _fold(started, (EventType.AGENT_COMPLETE, "Engineer", {})).current_agent == "Architect"
    assert _fold(started, (EventType.AGENT_COMPLETE, "Architect", {})).current_agent is None


def test_usage_adds_up() -> None:
    """Tokens and cost are the sums over all calls; what a call does not say counts as nothing, but for its price."""
    task = _fold(
        make_task(),
        (EventType.LLM_CALL, None, {"prompt_tokens": 10, "completion_tokens": 5, "cost_usd": 0.1}),
        (EventType.LLM_CALL, None, {"prompt_tokens": 1, "completion_tokens": None, "cost_usd": None}),
        (EventType.LLM_CALL, None, {"prompt_tokens": 2, "completion_tokens": 2, "cost_usd": 0.2}),
    )
    assert task.usage == Usage(llm_calls=3, prompt_tokens=13, completion_tokens=7, cost_usd=0.3, unpriced_calls=1)


def test_usage_by_role() -> None:
    """What each role has used adds up apart from the others, and all of it in total."""
    task = _fold(
        make_task(),
        (EventType.LLM_CALL, "Engineer", {"prompt_tokens": 10, "completion_tokens": 5, "cost_usd": 0.1}),
        (EventType.LLM_CALL, "Architect", {"prompt_tokens": 1, "completion_tokens": 1, "cost_usd": 0.0}),
        (EventType.LLM_CALL, "Engineer", {"prompt_tokens": 2, "completion_tokens": 2, "cost_usd": None}),
    )
    assert task.usage.by_role == {
        "Engineer": Tally(llm_calls=2, prompt_tokens=12, completion_tokens=7, cost_usd=0.1, unpriced_calls=1),
        "Architect": Tally(llm_calls=1, prompt_tokens=1, completion_tokens=1),
    }
    assert (task.usage.llm_calls, task.usage.tokens) == (3, 21)


def test_progress_never_falls() -> None:
    """Progress is the highest that was told, and only told by actions that say it."""
    task = make_task(progress=None)
    shown = []
    for progress in (0.25, 0.5, 0.4, None, 1):
        task = fold(task, EventType.ACTION_COMPLETE, "Engineer", {"progress": progress})
        shown.append(task.progress)
    assert shown == [0.25, 0.5, 0.5, 0.5, 1]


def test_a_question_and_its_answer() -> None:
    """A task is waiting from the question to the answer."""
    asked = fold(
        make_task(), EventType.INPUT_REQUEST, "Architect", {"request_id": "r", "question": "q", "message": "m"}
    )
    assert asked.waiting is not None and asked.waiting.request_id == "r"
    assert fold(asked, EventType.INPUT_RESPONSE, None, {"message": "m"}).waiting is None


def test_a_question_that_is_none() -> None:
    """A question without what a question has is refused."""
    with pytest.raises(msgspec.ValidationError):
        fold(make_task(), EventType.INPUT_REQUEST, None, {"message": "m"})


def test_the_result() -> None:
    """The result of the team is that of the task."""
    assert fold(make_task(), EventType.RESULT, None, {"final_result": {"a": 1}}).final_result == {"a": 1}


@pytest.mark.parametrize("event_type", [EventType.TOKEN, EventType.LOG, EventType.RESOURCE, EventType.LLM_CALL])
def test_what_is_no_news(event_type: EventType) -> None:
    """What scrolls by, or is for machines, is not the last message."""
    assert fold(make_task(last_message="news"), event_type, None, {"message": "noise"}).last_message == "news"


def test_the_last_message_is_short() -> None:
    """However long a message is, the last message is not."""
    task = fold(make_task(), EventType.MESSAGE, None, {"message": "x" * 10_000})
    assert task.last_message == "x" * LAST_MESSAGE_LIMIT


@pytest.mark.parametrize("event_type", EventType)
def test_no_event_changes_what_is_not_its_own(event_type: EventType) -> None:
    """Status, attempt, head and what a person gave are changed by no event of a run."""
    payload = {"message": "m", "status": "FAILED", "attempt": 9, "head": 9, "request_id": "r", "question": "q"}
    task = make_task(status=Status.RUNNING, attempt=1, head=3)
    after = fold(task, event_type, "Engineer", payload)
    for field in ("id", "title", "input_prompt", "options", "status", "attempt", "head", "created_at", "priority"):
        assert getattr(after, field) == getattr(task, field)


@pytest.mark.parametrize("event_type", sorted(frozenset(EventType) - FOLDED))
def test_what_is_not_folded_changes_nothing(event_type: EventType) -> None:
    """The payload of these events is never decoded, so nothing may depend on it."""
    task = make_task()
    assert fold(task, event_type, "Engineer", {"message": "m", "progress": 1, "prompt_tokens": 5}) == task


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("Write a game", "Write a game"),
        ("  Write\ta   game \nwith sound", "Write a game"),
        ("\n\nlater", "later"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 79 + "…"),
    ],
)
def test_a_derived_title(prompt: str, title: str) -> None:
    """A title is the first line of the prompt, in 80 characters at most."""
    assert derived_title(prompt) == title
