"""The list of tasks, as it is followed: who does is told of every task that changed in more than its events.

When one task starts, all that wait behind it stand elsewhere in the queue. That is told in passes over the queue, at
most one per QUEUE_PERIOD and each in steps, so that a long queue that moves fast takes little of the loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import msgspec

from runner.base import Place
from runner.errors import TaskNotFound
from runner.states import TERMINAL, Status
from runner.task import Task
from server.bounds import HELD_CHANGES
from server.changes import Change, Changes, Numbered
from server.protocol import Frame
from server.pump import WAKING, Pump
from server.schemas import TaskSummary, summary

QUEUE_PERIOD = 0.5  # seconds from one pass over the queue to the next
_STEP = 64  # tasks of the queue that are looked at before other work in the loop gets its turn
_RUNG = 8  # readers that are told in one step of the pump


class Reader:
    """A cursor into the changes of the list. ring: called, from outside, when there may be more to read."""

    __slots__ = ("cursor", "ring")

    def __init__(self, cursor: int, ring: Callable[[], None]) -> None:
        self.cursor = cursor
        self.ring = ring


class Listing:
    """place_of: where a task stands in the queue. read: a task as it is; raises `TaskNotFound`."""

    def __init__(
        self, place_of: Callable[[Task], Place | None], read: Callable[[str], Awaitable[Task]], pump: Pump
    ) -> None:
        self._place_of = place_of
        self._read = read
        self._pump = pump
        self._readers: dict[Reader, None] = {}
        self._changes = Changes()
        self._forget_at = HELD_CHANGES
        self._ringing = False
        self._shown: dict[str, TaskSummary] = {}
        self._queued: dict[str, Task] = {}
        self._moved = False
        self._pass: asyncio.Task[None] | None = None

    def follow(self, ring: Callable[[], None]) -> Reader:
        """A cursor at what changes from now on."""
        reader = Reader(self._changes.head, ring)
        self._readers[reader] = None
        return reader

    def leave(self, reader: Reader) -> None:
        self._readers.pop(reader, None)
        if not self._readers:
            self._shown.clear()
            self._changes.forget(self._changes.head)

    def is_behind(self, reader: Reader) -> bool:
        """Whether there is something to read."""
        return reader.cursor < self._changes.head

    def pending(self, reader: Reader, limit: int) -> list[Numbered]:
        """The next changes to read, at most `limit`."""
        return self._changes.above(reader.cursor, limit)

    async def read(self, reader: Reader, change: Numbered) -> Frame | None:
        """Move the cursor to a change; the task as it is now, or None if a later change tells of it."""
        number, task_id = change
        frame = await self._frame(task_id) if self._changes.is_last(number, task_id) else None
        reader.cursor = number
        return frame

    def publish(self, task: Task) -> None:
        if task.status is Status.QUEUED:
            self._queued[task.id] = task
        else:
            self._queued.pop(task.id, None)
        if self._readers:
            self._show(task)

    def delete(self, task_id: str) -> None:
        self._shown.pop(task_id, None)
        self._queued.pop(task_id, None)
        if self._readers:
            self._tell(task_id, None)

    def requeue(self) -> None:
        """The queue has changed: queued tasks may stand elsewhere in it."""
        self._moved = True
        if self._readers and self._pass is None:
            self._pass = asyncio.create_task(self._follow_queue(), name="places in the queue")

    def close(self) -> None:
        if self._pass is not None:
            self._pass.cancel()

    async def _follow_queue(self) -> None:
        """Go through the queue until it rests."""
        try:
            while self._moved and self._readers:
                self._moved = False
                for number, task_id in enumerate(tuple(self._queued), 1):
                    if task := self._queued.get(task_id):
                        self._show(task)
                    if number % _STEP == 0:
                        await asyncio.sleep(0)
                await asyncio.sleep(QUEUE_PERIOD)
        finally:
            self._pass = None

    def _show(self, task: Task) -> None:
        """Tell of a task, if it differs from what was told last, its head apart."""
        state = summary(task, self._place_of(task))
        shown = msgspec.structs.replace(state, head=0)
        if self._shown.get(task.id) == shown:
            return
        if task.status in TERMINAL:
            self._shown.pop(task.id, None)
        else:
            self._shown[task.id] = shown
        self._tell(task.id, state)

    def _tell(self, task_id: str, state: TaskSummary | None) -> None:
        self._changes.add(task_id, Change(task_id, state))
        if len(self._changes) > self._forget_at:
            self._changes.forget(min(reader.cursor for reader in self._readers))
            self._forget_at = max(HELD_CHANGES, 2 * len(self._changes))
        if not self._ringing:
            self._ringing = True
            self._pump.start(self._ring())

    def _ring(self) -> Iterator[int]:
        """Tell those who are behind, in steps, until nothing more has changed meanwhile."""
        rung = 0
        try:
            while rung < self._changes.head:
                rung = self._changes.head
                for number, reader in enumerate(tuple(self._readers), 1):
                    if reader in self._readers and reader.cursor < rung:
                        reader.ring()
                    if number % _RUNG == 0:
                        yield _RUNG * WAKING
        finally:
            self._ringing = False

    async def _frame(self, task_id: str) -> Frame:
        if held := self._changes.held(task_id):
            return held.frame
        try:
            task = await self._read(task_id)
        except TaskNotFound:
            return Change(task_id, None).frame
        return Change(task_id, summary(task, self._place_of(task))).frame
