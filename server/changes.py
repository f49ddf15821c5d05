"""What has changed in the list of tasks, in order. Readers have cursors into it, so none has a queue of its own.

Of each task only the last change counts, and only the newest HELD_CHANGES of them are kept ready to be sent: what a
reader has missed beyond those is read where the tasks are.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from operator import itemgetter

from server import protocol
from server.bounds import HELD_CHANGES
from server.protocol import Frame
from server.schemas import TaskSummary

Numbered = tuple[int, str]  # the number of a change, and the task

_SLACK = 64  # changes that may be overtaken by later ones before they are dropped


class Change:
    """A task as it is now; None for one that is no more."""

    __slots__ = ("_frame", "_state")

    def __init__(self, task_id: str, state: TaskSummary | None) -> None:
        self._state = protocol.State(task_id=task_id, state=state)
        self._frame: Frame | None = None

    @property
    def frame(self) -> Frame:
        """It is encoded once for all readers."""
        if self._frame is None:
            self._frame = protocol.encode(self._state)
        return self._frame


class Changes:
    """Changes are numbered 1, 2, 3, ...; a cursor is the number of the last one that was read."""

    def __init__(self) -> None:
        self.head = 0
        self._order: list[Numbered] = []
        self._last: dict[str, int] = {}
        self._held: OrderedDict[str, Change] = OrderedDict()

    def __len__(self) -> int:
        """Tasks that are known to have changed."""
        return len(self._last)

    def add(self, task_id: str, change: Change) -> None:
        self.head += 1
        self._order.append((self.head, task_id))
        self._last[task_id] = self.head
        self._held[task_id] = change
        self._held.move_to_end(task_id)
        if len(self._held) > HELD_CHANGES:
            self._held.popitem(last=False)
        if len(self._order) > 2 * len(self._last) + _SLACK:
            self._order = [(number, task_id) for number, task_id in self._order if self.is_last(number, task_id)]

    def above(self, cursor: int, limit: int) -> list[Numbered]:
        """The next changes, at most `limit`; each task's last one only."""
        found: list[Numbered] = []
        for number, task_id in self._from(cursor):
            if len(found) == limit:
                break
            if self.is_last(number, task_id):
                found.append((number, task_id))
        return found

    def is_last(self, number: int, task_id: str) -> bool:
        """Whether a task has not changed again since."""
        return self._last.get(task_id) == number

    def held(self, task_id: str) -> Change | None:
        """The last change of a task, if it is ready to be sent."""
        return self._held.get(task_id)

    def forget(self, cursor: int) -> None:
        """Drop what everybody has read."""
        self._order = [(number, task_id) for number, task_id in self._from(cursor) if self.is_last(number, task_id)]
        self._last = {task_id: number for number, task_id in self._order}
        for task_id in [task_id for task_id in self._held if task_id not in self._last]:
            del self._held[task_id]

    def _from(self, cursor: int) -> Iterator[Numbered]:
        begin = bisect_right(self._order, cursor, key=itemgetter(0))
        return (self._order[index] for index in range(begin, len(self._order)))
