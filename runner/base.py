"""The protocols of the runner: `Store` keeps tasks and their logs, `Runner` runs tasks.

One contract test suite runs over every implementation of each (tests/contract). The server knows only these.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import BinaryIO, Literal, NamedTuple, Protocol

import msgspec

from runner.attempt import Origin, Role
from runner.events import EventType, split
from runner.files import Artifact, File
from runner.measures import TaskMetrics, Timeline
from runner.states import Status
from runner.stats import How, RunnerStats
from runner.task import NewTask, Task


class Entry(msgspec.Struct, frozen=True):
    """An event on its way into the log. tail: its JSON object from `"timestamp"` to the closing brace."""

    event_type: EventType
    agent_role: str | None
    tail: bytes


class Placed(msgspec.Struct, frozen=True):
    """An event with its place in the log. encoded: its whole JSON object, the same bytes for every reader."""

    event_id: int
    event_type: EventType
    agent_role: str | None
    encoded: bytes


class Commit(msgspec.Struct, frozen=True):
    """What one transaction adds to one log.

    events: contiguous, up to task.head; none for a new task. task: as of the last of them.
    """

    task: Task
    events: Sequence[Placed]

    @property
    def head(self) -> int:
        """event_id of the last event before these."""
        return self.task.head - len(self.events)

    @property
    def size(self) -> int:
        """Bytes of the events."""
        return sum([len(event.encoded) for event in self.events])


class Deleted(msgspec.Struct, frozen=True):
    """A task that is no more."""

    task_id: str


class Expired(msgspec.Struct, frozen=True):
    """A task whose events retention has deleted, up to the end of its last run."""

    task_id: str


Change = Commit | Deleted | Expired

Durability = Literal["normal", "full"]

Listener = Callable[[Change], None]


class Filter(msgspec.Struct, frozen=True):
    """Which events a reader wants. An empty filter lets everything pass."""

    event_types: frozenset[EventType] = frozenset()
    agent_role: str | None = None

    def passes(self, event_type: EventType, agent_role: str | None) -> bool:
        return (not self.event_types or event_type in self.event_types) and (
            self.agent_role is None or agent_role == self.agent_role
        )


class Gap(msgspec.Struct, frozen=True):
    """Events that are no more. first, last: their event_ids, inclusive."""

    first: int
    last: int
    reason: str


class Page(msgspec.Struct, frozen=True):
    """A stretch of a log, ascending.

    body: its encoded events, joined by commas: ready to stand in an array. count: how many. cursor: where to go on; all
    events between the cursor asked for and this one were returned, filtered out, or are in the gap, which lies before
    all events of the page. first: of a page that is read backwards, the first event that was looked at: the `before` to
    go on with.

    What a filter lets pass is looked for in a part of the log, so that a page may be empty though there is more.
    """

    body: bytes
    count: int
    cursor: int
    head: int
    gap: Gap | None = None
    first: int | None = None

    @property
    def events(self) -> list[bytes]:
        """Each event by itself."""
        return split(self.body)


class Digest(msgspec.Struct, frozen=True):
    """The running hash of a log through an event. count: how many events it is about. sha256: hexadecimal."""

    count: int
    sha256: str


class TaskPage(msgspec.Struct, frozen=True):
    """counts: how many tasks there are of each status among those that have the words that were looked for, whatever
    statuses were. snippets: by task id, where these words stand; as in `Finding`.
    """

    tasks: Sequence[Task]
    next_cursor: int | None
    counts: Mapping[Status, int]
    snippets: Mapping[str, list[str]] = {}


class Finding(msgspec.Struct, frozen=True):
    """An event in which words were found. snippet: plain text in parts, every second of which is what matched."""

    event_id: int
    event_type: EventType
    agent_role: str | None
    timestamp: str
    snippet: list[str]


class Findings(msgspec.Struct, frozen=True):
    """The newest first. through: the event up to which was searched. more: there are older ones."""

    found: Sequence[Finding]
    through: int
    more: bool


class Opened(NamedTuple):
    """A version of a file, and its bytes; who opened it closes it."""

    artifact: Artifact
    file: BinaryIO


class Difference(NamedTuple):
    """What has changed between two versions of a file, as a unified diff; empty where they are the same.

    old, new: the versions; 0 for the file that was not there yet.
    """

    old: int
    new: int
    text: bytes


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """How a stop went. took_ms: milliseconds from the call until nothing of the run was left."""

    task_id: str
    status: Status
    how: How
    took_ms: float


class Place(msgspec.Struct, frozen=True):
    """Where a queued task stands. position: 1 for the next one to start. reason: why it waits, in words.

    A waiting task gains one point of priority for each minute that it waits, and the highest goes first.
    """

    position: int
    reason: str


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner has to do. draining: nothing is started any more. running, queued: tasks; running are also those
    that wait for a person.
    """

    draining: bool
    running: int
    queued: int


class Store(Protocol):
    """Tasks and their logs, durably. Raises `TaskNotFound` wherever a task is named that does not exist.

    Where a task is made, imported or deleted, raises `StorageUnavailable` if that cannot be written now.
    """

    @property
    def epoch(self) -> str:
        """Names this database: cursors are valid within one epoch."""

    async def check_writable(self) -> None:
        """Raise `StorageUnavailable` if nothing can be written now."""

    async def create_task(self, task: Task, *, key: str | None, fingerprint: str) -> Task:
        """Keep a new task. With an idempotency key used before: the task made then, or `KeyReused` if it differs."""

    async def import_task(self, task: Task, start: Digest, batches: AsyncIterator[Sequence[Placed]]) -> None:
        """Keep a task that has ended elsewhere, with its events: all, or none if the iterator raises.

        start: the running hash before the first of them. What is left of one that was not kept is `purge`'s to free,
        and in nobody's way meanwhile.
        Raises `TaskExists`.
        """

    async def find_task(self, key: str, fingerprint: str) -> Task | None:
        """The task that was made with an idempotency key. Raises `KeyReused` if its fingerprint differs."""

    async def get_task(self, task_id: str) -> Task: ...

    async def list_tasks(self, *, statuses: frozenset[Status], query: str, limit: int, cursor: int | None) -> TaskPage:
        """Newest first, without prompt and final_result. query: words that title, prompt or result have."""

    async def count_tasks(self) -> Mapping[Status, int]:
        """How many tasks there are of each status, those of which there is none included."""

    async def delete_task(self, task_id: str) -> None:
        """Have a task and its log be found by nobody any more; `purge` frees what they take."""

    async def deleted(self) -> list[str]:
        """The ids that deleted tasks had, as long as `purge` has not freed what they take."""

    async def purge(self) -> None:
        """Free what deleted tasks take, and imports that were given up, step by step; what cannot be freed now is left
        for the next time, as it is found by nobody.
        """

    async def append(self, commits: Sequence[Commit]) -> list[bool]:
        """Append to logs in one transaction, and say of each commit whether it was taken.

        A commit is refused, and changes nothing, when its attempt is older than the task's (fencing) or its head is
        not the log's head.
        """

    async def read_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
        """Events with an id above `after`: at most `limit`, and `size` bytes or a single one. Raises `CursorAhead`."""

    async def read_events_before(self, task_id: str, *, before: int, limit: int, size: int, filter: Filter) -> Page:
        """The last events with an id below `before`: at most `limit`, and `size` bytes or a single one.

        Reading on ends with a page whose `first` is 1, or that has a gap.
        """

    async def search_events(self, task_id: str, *, query: str, limit: int, before: int | None) -> Findings:
        """The last events, below `before` if given, in which all words and "phrases" of a query stand.

        A word is found by its beginning, whatever its case and accents. Tokens and measurements are not searched.
        """

    async def digest(self, task_id: str, through: int) -> Digest:
        """The running hash through event `through`. Raises `CursorAhead`, and `EventsExpired` if it is in a gap."""

    async def expire(self, before: str) -> list[str]:
        """Delete the events, not the tasks, of runs that ended before a time (RFC 3339 UTC); of these the task ids."""

    async def aclose(self) -> None: ...


class Runner(Protocol):
    """Runs tasks. Raises `TaskNotFound` wherever a task is named that does not exist.

    Whatever a person does raises `StorageUnavailable`, and changes nothing, if it cannot be written now. A stop alone
    is not refused: it ends what runs, and waits until that can be written; it raises that if the server ends before.
    """

    @property
    def epoch(self) -> str: ...

    def watch(self, listener: Listener) -> None:
        """Call `listener` after every change, in the order of the log; it must not block and must not raise."""

    async def create_task(self, new: NewTask, *, key: str | None = None) -> Task:
        """Keep a new task. key: an idempotency key.

        Raises `KeyReused`, `NotInTeam` if a review is asked for of who does not work on it, `TasksFull`, and `Conflict`
        if the task that it is to continue cannot be.
        """

    async def list_tasks(self, *, statuses: frozenset[Status], query: str, limit: int, cursor: int | None) -> TaskPage:
        """Newest first, without prompt and final_result. query: words that title, prompt or result have."""

    async def delete_task(self, task_id: str) -> None:
        """Forget a task, its log and its workspace. Raises `Conflict` while it is active."""

    async def start_task(self, task_id: str, origin: Origin = "checkpoint") -> Task:
        """Queue a task, to go on where its last attempt ended, or to begin anew. Raises `Conflict` if it is active, or
        done, and `QueueFull`.
        """

    def queue_place(self, task: Task) -> Place | None:
        """Where a queued task stands; None if it is not queued, or is just about to start."""

    def watch_queue(self, doorbell: Callable[[], None]) -> None:
        """Ring whenever tasks may stand elsewhere in the queue; it must not block and must not raise."""

    async def get_task_state(self, task_id: str) -> Task:
        """The task as last committed."""

    async def get_task_events(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
        """Events with an id above `after`: at most `limit`, and `size` bytes or a single one. Raises `CursorAhead`."""

    async def get_task_events_before(self, task_id: str, *, before: int, limit: int, size: int, filter: Filter) -> Page:
        """The last events with an id below `before`: at most `limit`, and `size` bytes or a single one."""

    async def search_task_events(self, task_id: str, *, query: str, limit: int, before: int | None) -> Findings:
        """The last events, below `before` if given, in which all words and "phrases" of a query stand.

        A word is found by its beginning, whatever its case and accents. Tokens and measurements are not searched.
        """

    async def get_task_digest(self, task_id: str, through: int | None) -> Digest:
        """The running hash through an event, or through the head. Raises `CursorAhead` and `EventsExpired`."""

    async def export_log(self, task_id: str, *, size: int) -> AsyncIterator[bytes]:
        """The task as it is now and its log as a file: a chunk with its first line, then chunks of whole lines.

        size: bytes of a chunk, or a single line. A chunk raises `EventsExpired` if retention deletes meanwhile what
        would stand in it.
        """

    async def import_log(self, chunks: AsyncIterator[bytes]) -> Task:
        """Keep the run that an exported file tells of, as a task that cannot be run. All of it, or nothing.

        Raises `LogFileError`, `TasksFull`, and `TaskExists` if its task is here already.
        """

    async def get_task_artifacts(self, task_id: str, *, through: int | None = None) -> list[File]:
        """All files that the runs of a task have written, by path. through: up to this event, None for all."""

    async def open_artifact(self, task_id: str, path: str, version: int | None) -> Opened:
        """A version of a file, or the file as it is now. Raises `ArtifactNotFound`."""

    async def open_version(self, task_id: str, version: Artifact) -> BinaryIO:
        """The bytes of what `get_task_artifacts` has told of. Raises `ArtifactNotFound` if they are not kept."""

    async def diff_artifact(self, task_id: str, path: str, old: int | None, new: int | None) -> Difference:
        """What has changed from one version of a text to another.

        old: 0 for nothing, None for the version before the new one. new: None for the file as it is now. Raises
        `ArtifactNotFound`, and `NotComparable`.
        """

    async def open_archive(self, task_id: str) -> BinaryIO:
        """All files of the last attempt, as they are now, as a zip; the caller closes it."""

    async def get_task_timeline(self, task_id: str, *, after: int, limit: int) -> Timeline:
        """The spans of work that began after an event: the first `limit` of them."""

    async def get_task_metrics(self, task_id: str, *, through: int | None = None) -> TaskMetrics:
        """How the time of a task was spent, by role, and how the team stands.

        through: up to this event, None for all. What a task has used is told as it is now.
        """

    async def stop_task(self, task_id: str) -> Stopped:
        """Stop a task; returns when nothing of its run is left. Idempotent."""

    async def answer(self, task_id: str, request_id: str, answer: str) -> Task:
        """Answer what the task asks a person. Raises `AlreadyAnswered`."""

    async def say(self, task_id: str, content: str, send_to: Role | None) -> None:
        """Put a person's message into the team's queue.

        send_to: a role, or None for all. Raises `Conflict` if the task is not running, and `NotInTeam`.
        """

    async def drain(self) -> None:
        """Start nothing from now on; what runs goes on, and what is queued stays so. It ends with this runner."""

    async def resume(self) -> None:
        """Start tasks again, after a drain."""

    def load(self) -> Load: ...

    def ready(self) -> bool:
        """Whether runs can be started."""

    def weaknesses(self) -> Sequence[str]:
        """What runs are not kept from here, though they should be: a sentence each."""

    async def stats(self) -> RunnerStats:
        """How the runner does, as of this moment."""
