"""The ends of the logs that were written to last, as they were committed; what follows on them is appended here.

They are the writer's thread's: what it has committed it knows before it begins anything else, and what it is about to
move it has forgotten until that is committed. So whatever fails, and whoever gives up waiting, nothing wrong is known.
Nobody else may write to the database: its folder is one process's (runner/folder.py).
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import msgspec

from runner import log, rows, sql
from runner.base import Commit
from runner.database import Write, write
from runner.errors import TaskNotFound
from runner.states import TERMINAL
from runner.task import Task
from runner.words import indexed

_REMEMBERED = 1000  # logs


class _End(msgspec.Struct, frozen=True):
    """Where a log ends. seq: of its task. digest: the running hash through head.

    row: the task as its row has it, as of head or before.
    """

    seq: int
    head: int
    digest: bytes
    row: Task


class Ends:
    """To be used from the writer's thread, outside of a transaction unless said."""

    def __init__(self) -> None:
        self._ends: OrderedDict[str, _End] = OrderedDict()

    def append(self, commits: Sequence[Commit], connection: sqlite3.Connection) -> list[bool]:
        """As `Store.append`."""
        moved: dict[str, _End] = {}
        writes: list[Write] = []
        taken = [self._append(commit, moved, writes, connection) for commit in commits]
        write(writes, connection)
        self._remember(moved)
        return taken

    def forget(self, task_id: str) -> None:
        """A log is about to be no more. In a transaction, too."""
        self._ends.pop(task_id, None)

    def _append(
        self, commit: Commit, moved: dict[str, _End], writes: list[Write], connection: sqlite3.Connection
    ) -> bool:
        """moved: where the logs end once all of `writes` is committed. Both are added to."""
        task = commit.task
        try:
            end = moved.get(task.id) or self._ends.pop(task.id, None) or _find(task.id, connection)
        except TaskNotFound:
            return False
        if task.attempt < end.row.attempt or commit.head != end.head:
            return False
        events, digest = log.writes(end.seq, commit.events, end.digest)
        writes += events
        row = end.row
        # That of a task that has ended is always as of its head: by it, retention knows how long the log is.
        if task.status in TERMINAL or msgspec.structs.replace(task, head=row.head) != row:
            writes.append((sql.UPDATE_STATE, [rows.changing(task) | {"seq": end.seq}]))
            if task.status in TERMINAL:
                writes.append((sql.INDEX_RESULT, [(indexed(rows.outcome(task)), end.seq)]))
            row = task
        moved[task.id] = _End(end.seq, task.head, digest, row)
        return True

    def _remember(self, moved: Mapping[str, _End]) -> None:
        """Those of tasks that have ended are looked up if need be."""
        for task_id, end in moved.items():
            if end.row.status not in TERMINAL:
                self._ends[task_id] = end
        while len(self._ends) > _REMEMBERED:
            self._ends.popitem(last=False)


def _find(task_id: str, connection: sqlite3.Connection) -> _End:
    """Raises `TaskNotFound`."""
    at = log.position(task_id, connection)
    digest = log.digest_at(at, task_id, at.head, connection)
    return _End(at.seq, at.head, digest, rows.get_task(task_id, connection))
