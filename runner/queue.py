"""The queue: which of the waiting tasks starts next.

A waiting task gains one point of priority for each minute that it waits, and the highest goes first. All gain alike,
so their order never changes while they wait: it is that of `queued_at` less the priority in minutes. Nothing starves:
a task is overtaken only by what is queued within ten minutes after it, 5 being ten points above -5. Of the same
priority, first come, first served.
"""

from bisect import bisect_left, insort
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple

from runner.base import Place
from runner.errors import QueueFull
from runner.places import Places
from runner.task import Task

QUEUE_LIMIT = 1000  # tasks that may wait, unless it is said otherwise
POINT = timedelta(minutes=1)  # of waiting are worth one point of priority


class _Turn(NamedTuple):
    """When it is a task's turn, beside others. number: counts arrivals, for those of the same time."""

    time: datetime
    number: int
    task_id: str


class Queue:
    """The tasks that wait. limit: how many of them may, before further ones are refused."""

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self.draining = False
        """While it is, no task is let go."""
        self._turns: list[_Turn] = []
        self._turn_of: dict[str, _Turn] = {}
        self._arrivals = count()

    def __len__(self) -> int:
        return len(self._turns)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._turn_of

    def check_room(self, places: Places) -> None:
        """Raise `QueueFull` if with one task more, more would wait than may."""
        if len(self) + 1 - self._open(places.free) > self.limit:
            raise QueueFull(self.limit)

    def put(self, task: Task) -> None:
        """Have a task wait, since its `queued_at`."""
        assert task.queued_at is not None
        time = datetime.fromisoformat(task.queued_at) - task.priority * POINT
        turn = self._turn_of[task.id] = _Turn(time, next(self._arrivals), task.id)
        insort(self._turns, turn)

    def take(self) -> str | None:
        """The task that starts next, which waits no more; None if none may start."""
        if self.draining or not self._turns:
            return None
        task_id = self._turns[0].task_id
        self.remove(task_id)
        return task_id

    def remove(self, task_id: str) -> None:
        """Have a task wait no more. Raises `KeyError` if it does not."""
        del self._turns[bisect_left(self._turns, self._turn_of.pop(task_id))]

    def place(self, task_id: str, places: Places) -> Place | None:
        """Where a task stands; None if it does not wait, or only for its turn of the loop."""
        turn = self._turn_of.get(task_id)
        if turn is None:
            return None
        before = bisect_left(self._turns, turn)
        return None if before < self._open(places.free) else Place(before + 1, self._reason(before, places))

    def _open(self, free: int) -> int:
        """How many may start now. free: places."""
        return 0 if self.draining else free

    def _reason(self, before: int, places: Places) -> str:
        if self.draining:
            return "The server is draining: it starts nothing until it is told to resume."
        follows = {0: "it starts next", 1: "1 task starts before it"}.get(before, f"{before} tasks start before it")
        return f"{places.reason()}; {follows}."
