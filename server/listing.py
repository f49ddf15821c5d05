"""The list of tasks, as it is followed: who watches it is told of every task that changed in more than its events.

When one task starts, all that wait behind it stand elsewhere in the queue. That is told in passes over the queue, at
most one per QUEUE_PERIOD and each in steps, so that a long queue that moves fast takes little of the loop. What is told
is encoded once for all who watch.
"""

import asyncio
from collections.abc import Callable

import msgspec

from runner.base import Place
from runner.states import TERMINAL, Status
from runner.task import Task
from server import protocol
from server.protocol import Frame
from server.schemas import TaskSummary, summary

QUEUE_PERIOD = 0.5  # seconds from one pass over the queue to the next
_STEP = 64  # tasks of the queue that are looked at before other work in the loop gets its turn

Listener = Callable[[str, "Change"], None]


class Change:
    """A task as it is now; None for one that is no more."""

    __slots__ = ("_frame", "_state")

    def __init__(self, task_id: str, state: TaskSummary | None) -> None:
        self._state = protocol.State(task_id=task_id, state=state)
        self._frame: Frame | None = None

    @property
    def frame(self) -> Frame:
        if self._frame is None:
            self._frame = protocol.encode(self._state)
        return self._frame


class Listing:
    """place_of: where a task stands in the queue."""

    def __init__(self, place_of: Callable[[Task], Place | None]) -> None:
        self._place_of = place_of
        self._listeners: set[Listener] = set()
        self._shown: dict[str, TaskSummary] = {}
        self._queued: dict[str, Task] = {}
        self._moved = False
        self._pass: asyncio.Task[None] | None = None

    def watch(self, listener: Listener) -> None:
        """Have the listener told of every task that changed in more than its events."""
        self._listeners.add(listener)

    def unwatch(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners:
            self._shown.clear()

    def publish(self, task: Task) -> None:
        if task.status is Status.QUEUED:
            self._queued[task.id] = task
        else:
            self._queued.pop(task.id, None)
        if self._listeners:
            self._show(task)

    def delete(self, task_id: str) -> None:
        self._shown.pop(task_id, None)
        self._queued.pop(task_id, None)
        self._tell(task_id, None)

    def requeue(self) -> None:
        """The queue has changed: queued tasks may stand elsewhere in it."""
        self._moved = True
        if self._listeners and self._pass is None:
            self._pass = asyncio.create_task(self._follow_queue(), name="places in the queue")

    def close(self) -> None:
        if self._pass is not None:
            self._pass.cancel()

    async def _follow_queue(self) -> None:
        """Go through the queue until it rests."""
        try:
            while self._moved and self._listeners:
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
        change = Change(task_id, state)
        for listener in self._listeners:
            listener(task_id, change)
