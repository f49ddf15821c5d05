"""A task and how its events change it.

`Task` is immutable: every change makes a new one, so that what is committed beside a batch of events is exactly the
task as of the last of them.
"""

from typing import Annotated, Any

import msgspec

from runner.attempt import Options
from runner.events import EventType, until
from runner.states import Status
from runner.usage import Raised, Usage, add

PROMPT_LIMIT = 100_000  # characters
TITLE_LIMIT = 200  # characters
LAST_MESSAGE_LIMIT = 500  # characters
_DERIVED_TITLE_LIMIT = 80  # characters
_PRIORITY = "While it is queued, a task gains one point of it each minute, and the highest starts first."

# Too many, or too technical, to be what a person reads as "the last thing that happened".
_NOT_NEWS = frozenset({EventType.TOKEN, EventType.LOG, EventType.RESOURCE, EventType.LLM_CALL})
# The events whose payload changes the task; the payload of all others need not be decoded.
FOLDED = frozenset(EventType) - {EventType.TOKEN, EventType.LOG, EventType.RESOURCE}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is asked. deadline: RFC 3339 UTC, or null for none. What is no time is refused."""

    request_id: str
    question: str
    choices: list[str] = []
    deadline: str | None = None
    role: str | None = None

    def __post_init__(self) -> None:
        if self.deadline is not None:
            until(self.deadline)

    @property
    def patience(self) -> float | None:
        """Seconds that are left for an answer, zero if none are; None for no deadline."""
        return None if self.deadline is None else max(0.0, until(self.deadline))

    @property
    def overdue(self) -> bool:
        return self.patience == 0


class NewTask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person gives to make a task. continues: the id of a task that succeeded: this goes on with its project."""

    input_prompt: Annotated[str, msgspec.Meta(min_length=1, max_length=PROMPT_LIMIT)]
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=TITLE_LIMIT)] | None = None
    priority: Annotated[int, msgspec.Meta(ge=-5, le=5, description=_PRIORITY)] = 0
    options: Options = Options()
    continues: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a task but its events.

    progress: 0..1 of the attempt, null while it cannot be known. head: event_id of the last event. reason: why the
    status is what it is, in words. losses: how many attempts in a row have lost their process without coming further.
    worked_s: seconds of work since a person has run it, as of when they were last counted. demo: whether the model was
    the demo model. raised: what a person has raised budgets to. continues, project: the task that this one goes on
    with, and its project's folder. imported_at: when it was taken in from a file; null for a task of this server.
    """

    id: str
    title: str
    input_prompt: str
    priority: int
    options: Options
    created_at: str
    continues: str | None = None
    project: str | None = None
    imported_at: str | None = None
    status: Status = Status.PENDING
    attempt: int = 0
    head: int = 0
    queued_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    progress: float | None = 0.0
    current_agent: str | None = None
    last_message: str | None = None
    reason: str | None = None
    losses: int = 0
    worked_s: float = 0.0
    model: str | None = None
    demo: bool = False
    usage: Usage = Usage()
    raised: Raised = Raised()
    waiting: Question | None = None
    workspace: str | None = None
    final_result: dict[str, Any] | None = None


def derived_title(input_prompt: str) -> str:
    """A title from the first line of the prompt."""
    line = " ".join(input_prompt.strip().split("\n", 1)[0].split())
    return line if len(line) <= _DERIVED_TITLE_LIMIT else line[: _DERIVED_TITLE_LIMIT - 1].rstrip() + "…"


def fold(task: Task, event_type: EventType, agent_role: str | None, payload: dict[str, Any]) -> Task:
    """The task after an event other than STATUS, which only the supervisor makes, together with the status itself."""
    changes: dict[str, Any] = {}
    if event_type not in _NOT_NEWS:
        changes["last_message"] = str(payload.get("message", ""))[:LAST_MESSAGE_LIMIT]
    match event_type:
        case EventType.AGENT_START:
            changes["current_agent"] = agent_role
        case EventType.AGENT_COMPLETE if task.current_agent == agent_role:
            changes["current_agent"] = None
        case EventType.ACTION_COMPLETE if payload.get("progress") is not None:
            changes["progress"] = max(task.progress or 0.0, float(payload["progress"]))
        case EventType.LLM_CALL if not payload.get("replayed"):
            changes["usage"] = add(task.usage, agent_role, payload)
            if payload.get("error") is None:
                changes["losses"] = 0
        case EventType.INPUT_REQUEST:
            changes["waiting"] = msgspec.convert(payload, Question)
        case EventType.INPUT_RESPONSE:
            changes |= {"waiting": None, "losses": 0}
        case EventType.RESULT:
            changes["final_result"] = payload.get("final_result")
    return msgspec.structs.replace(task, **changes) if changes else task
