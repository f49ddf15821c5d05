"""The objects of the API: what a body or a query may hold, and what is answered."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from runner.attempt import Options, Origin, Role
from runner.base import Finding, Place
from runner.events import Event, EventType
from runner.files import File
from runner.states import Status
from runner.task import Question, Task
from runner.usage import Raised, Usage
from server.tokens import AccessRole

CONTENT_LIMIT = 20_000  # characters of a person's message or answer
REQUEST_ID_LIMIT = 200  # characters
TOKEN_LIMIT = 200  # characters

Content = Annotated[str, msgspec.Meta(min_length=1, max_length=CONTENT_LIMIT)]
RequestId = Annotated[str, msgspec.Meta(min_length=1, max_length=REQUEST_ID_LIMIT)]


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person says to the team; send_to: a role, or null for all."""

    content: Content
    send_to: Role | None = None


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's answer to an INPUT_REQUEST."""

    request_id: RequestId
    answer: Content


class Credential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is changed for a cookie."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=TOKEN_LIMIT)]


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """As whom one comes: a viewer reads, an operator acts too. by_cookie: whether one can log out."""

    role: AccessRole
    by_cookie: bool


class Start(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a run begins. from: `checkpoint`, with what earlier attempts have found out, or `start`, with nothing."""

    origin: Origin = msgspec.field(default="checkpoint", name="from")


class TaskSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the task list, and the `state` of a WebSocket frame. queue: null unless it waits for a place.
    imported_at: when it was taken in from a file; such a task cannot be run.
    """

    id: str
    title: str
    status: Status
    priority: int
    attempt: int
    head: int
    progress: float | None
    current_agent: str | None
    last_message: str | None
    reason: str | None
    created_at: str
    started_at: str | None
    completed_at: str | None
    imported_at: str | None
    model: str | None
    demo: bool
    usage: Usage
    raised: Raised
    waiting: Question | None
    options: Options
    queue: Place | None


class TaskRow(TaskSummary, frozen=True, kw_only=True):
    """A row of the task list. snippet: where it has what `q` looks for, in parts, every second of which is a match."""

    snippet: list[str] | None


class TaskDetail(TaskSummary, frozen=True, kw_only=True):
    """A whole task. continues: the task whose project this one goes on with."""

    input_prompt: str
    continues: str | None
    workspace: str | None
    final_result: dict[str, Any] | None


class TaskState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a task stands. progress: 0..1, null while it cannot be known. queue: null unless it waits for a place."""

    task_id: str
    title: str
    status: Status
    progress: float | None
    current_agent: str | None
    last_message: str | None
    reason: str | None
    created_at: str
    started_at: str | None
    completed_at: str | None
    final_result: dict[str, Any] | None
    head: int
    attempt: int
    model: str | None
    demo: bool
    usage: Usage
    raised: Raised
    waiting: Question | None
    workspace: str | None
    queue: Place | None


class TaskList(msgspec.Struct, frozen=True, kw_only=True):
    """counts: how many tasks of each status there are among those that `q` finds, whatever `status` was asked for."""

    tasks: list[TaskRow]
    next_cursor: str | None
    counts: Mapping[Status, int]


class ArtifactList(msgspec.Struct, frozen=True, kw_only=True):
    """Every file, by path: as it is now, and its versions."""

    artifacts: list[File]


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A run was accepted, or a message."""

    task_id: str
    message: str
    attempt: int
    status: Literal["accepted"] = "accepted"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    epoch: str
    model: str
    demo: bool
    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """ready: whether runs are started. checks: each part and whether it is ready. draining: none is to start.
    weaknesses: what this system cannot keep runs from, a sentence each.
    """

    ready: bool
    checks: dict[str, bool]
    draining: bool
    weaknesses: Sequence[str]


class Drain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """drain: true to start nothing from now on, false to start tasks again."""

    drain: bool


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as RFC 9457 `application/problem+json`. code: stable, for programs; detail: for people. limit: the one
    that was reached, if that is what is wrong.
    """

    title: str
    status: int
    detail: str
    code: str
    type: str = "about:blank"
    errors: list[FieldError] = []
    limit: int | None = None


class TasksQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """status: only tasks of these statuses. q: only tasks with these words, by how they begin, or "phrases" in title,
    prompt or result. cursor: `next_cursor`.
    """

    status: list[Status] = []
    q: Annotated[str, msgspec.Meta(max_length=200)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """since_event_id: only events after it. before: instead, the last events before it. wait: seconds to wait for the
    first one. types, agent_role: only these.
    """

    since_event_id: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    before: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=5000)] = 500
    types: list[EventType] = []
    agent_role: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    wait: Annotated[float, msgspec.Meta(ge=0, le=30)] = 0


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """q: words, by how they begin, and "phrases". before: only events before this one."""

    q: Annotated[str, msgspec.Meta(max_length=200)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    before: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None


class SearchResults(msgspec.Struct, frozen=True, kw_only=True):
    """The last first. through: the event up to which was searched. next_before: the `before` of the next page."""

    results: list[Finding]
    through: int
    next_before: int | None


class ArtifactQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """version: which one; if not given, the file as it is now."""

    version: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None


class DiffQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """to: the version that has changed; if not given, the file as it is now. from: the version to compare with, 0 for
    no file at all; if not given, the version before.
    """

    old: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = msgspec.field(default=None, name="from")
    new: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = msgspec.field(default=None, name="to")


class TimelineQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """since_event_id: only spans that began after this event."""

    since_event_id: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=5000)] = 1000


class ThroughQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """through: the last event that counts; the head if not given."""

    through: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An empty object."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Events that are no more, from the first to the last of them."""

    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    reason: str


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a log, ascending. total: of this page. terminal: the run has ended, and this page reaches the head.

    cursor: where to go on, the `since_event_id` of the next page, or where this one was asked for with `before`, that.
    It is ahead of the last event where a filter has let nothing more pass; with a filter, a page may be empty though
    there is more.

    gap: events that would stand before these, but were deleted. epoch: as in the WebSocket's `hello`; where it is not
    that of the page before, the cursor counts in a log that is no more: read from 0 again.
    """

    events: list[Event]
    total: int
    cursor: int
    head: int
    terminal: bool
    gap: Gap | None
    epoch: str


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """The running hash of a log. count: the events it is about; sha256: hexadecimal."""

    task_id: str
    count: int
    sha256: str


def summary(task: Task, place: Place | None) -> TaskSummary:
    return TaskSummary(queue=place, **_shared(task, TaskSummary))


def row(task: Task, place: Place | None, snippet: list[str] | None) -> TaskRow:
    return TaskRow(queue=place, snippet=snippet, **_shared(task, TaskSummary))


def detail(task: Task, place: Place | None) -> TaskDetail:
    return TaskDetail(queue=place, **_shared(task, TaskDetail))


def state(task: Task, place: Place | None) -> TaskState:
    return TaskState(task_id=task.id, queue=place, **_shared(task, TaskState))


def _shared(task: Task, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """What these have in common with a task."""
    return {name: getattr(task, name) for name in kind.__struct_fields__ if name not in ("task_id", "queue")}
