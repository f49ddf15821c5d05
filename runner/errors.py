"""What can go wrong in the runner, for callers to tell apart.

- RunnerError
    - TaskNotFound: no task has this id
    - TaskExists: a task has this id already
    - LogFileError: a file is not the log of a run, or not a whole one
    - ArtifactNotFound: the task has no such file, or not this version of it
        - ContentNotKept: the log tells of it, and what is in it is not here
    - NotComparable: these versions of a file have no diff
    - GitMissing: the git program, which diffs take, is not found
    - FileNotKept: what a run has written could not be kept
    - WorkspaceNotMade: an attempt has no folder to begin in
    - Conflict: the task's status does not allow what was asked
        - AlreadyAnswered: the question has been answered, or is not asked any more
        - LeftQueued: the task waits for the next server, which this one cannot keep it from
        - KeyReused: the idempotency key was used before, for another request
    - NotInTeam: the role that is spoken to does not work on the task
    - LimitReached: there is as much as may be; it has the limit
        - QueueFull: as many tasks wait as may
        - TasksFull: there are as many tasks as may be
    - CursorAhead: the cursor is beyond the head of the log
    - EventsExpired: these events were deleted by retention
    - SearchUnfinished: the search takes longer than anybody should wait for
    - StaleAttempt: a later attempt has taken over; what this one writes is refused
    - ChildLost: the child process, or the fork server, is gone, or speaks as ours do not
    - AttemptLost: the process of an attempt is gone, and nobody here has ended it
    - StorageUnavailable: nothing can be written now, since the disk is full, or another program holds the database
    - DataFolderBusy: another server uses this data folder
    - DatabaseUnusable: the database file is not ours, damaged, or of a newer version
        - DatabaseDamaged: a part of it that was asked for is damaged; the rest may be whole
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path


class RunnerError(Exception):
    """Base of all errors that the runner raises on purpose; `str()` is for a person to read."""


class TaskNotFound(RunnerError):
    def __init__(self, task_id: str) -> None:
        super().__init__(f"There is no task {task_id!r}.")
        self.task_id = task_id


class TaskExists(RunnerError):
    def __init__(self, task_id: str) -> None:
        super().__init__(f"The task {task_id!r} is here already.")
        self.task_id = task_id


class LogFileError(RunnerError):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"Line {line}: {reason}")
        self.line = line


class ArtifactNotFound(RunnerError):
    def __init__(self, path: str, version: int | None = None, known: Sequence[int] = ()) -> None:
        in_version = "" if version is None else f" in version {version}"
        there_are = f"; it has: {', '.join(map(str, known))}" if known else ""
        super().__init__(f"The task has no file {path!r}{in_version}{there_are}.")
        self.path = path
        self.version = version


class ContentNotKept(ArtifactNotFound):
    def __init__(self, path: str, version: int) -> None:
        super().__init__(path, version)
        self.args = (
            f"The content of {path!r} in version {version} is not here: an imported log tells of files without what is "
            "in them.",
        )


class NotComparable(RunnerError):
    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"There is no diff of {path!r}: {reason}.")
        self.path = path


class GitMissing(RunnerError):
    def __init__(self) -> None:
        super().__init__("The server finds no git, which makes the diffs: install it there, or add it to its PATH.")


class FileNotKept(RunnerError):
    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"The file {path!r} could not be kept: {reason}.")
        self.path = path


class WorkspaceNotMade(RunnerError):
    def __init__(self, error: Exception) -> None:
        super().__init__(f"The workspace could not be made: {error}. Run the task again once it can be.")


class Conflict(RunnerError):
    pass


class AlreadyAnswered(Conflict):
    def __init__(self, request_id: str) -> None:
        super().__init__(f"The question {request_id!r} is not open: it was answered already, or never asked.")
        self.request_id = request_id


class LeftQueued(Conflict):
    def __init__(self) -> None:
        super().__init__("The server is shutting down, and leaves the task queued for the next one. Stop it there.")


class KeyReused(Conflict):
    def __init__(self, key: str) -> None:
        super().__init__(f"The Idempotency-Key {key!r} was used before for a different request.")
        self.key = key


class NotInTeam(RunnerError):
    def __init__(self, role: str, team: Sequence[str]) -> None:
        hint = " The option run_tests has it work." if role == "QaEngineer" else ""
        super().__init__(f"{role} does not work on this task; its team is: {', '.join(team)}.{hint}")
        self.role = role


class LimitReached(RunnerError):
    def __init__(self, message: str, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class QueueFull(LimitReached):
    def __init__(self, limit: int) -> None:
        super().__init__(f"The queue is full: at most {limit} tasks may wait. Run the task again later.", limit)


class TasksFull(LimitReached):
    def __init__(self, limit: int) -> None:
        super().__init__(f"There are {limit:,} tasks, and there may be no more. Delete some first.", limit)


class CursorAhead(RunnerError):
    def __init__(self, cursor: int, head: int) -> None:
        super().__init__(f"The cursor {cursor} is beyond the head of the log, which is {head}.")
        self.cursor = cursor
        self.head = head


class EventsExpired(RunnerError):
    def __init__(self, task_id: str, first: int) -> None:
        super().__init__(f"The events of task {task_id!r} before {first} were deleted by retention.")
        self.task_id = task_id
        self.first = first


class SearchUnfinished(RunnerError):
    def __init__(self, task_id: str) -> None:
        super().__init__(f"The events of task {task_id!r} are still being indexed. Search again, and it goes on.")
        self.task_id = task_id


class StaleAttempt(RunnerError):
    def __init__(self, task_id: str, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} of task {task_id!r} is not the current one any more.")
        self.task_id = task_id
        self.attempt = attempt


class ChildLost(RunnerError):
    pass


class AttemptLost(RunnerError):
    pass


class StorageUnavailable(RunnerError):
    def __init__(self, error: Exception) -> None:
        super().__init__(f"Nothing can be written now ({error}), and nothing was changed. Try again later.")


class DataFolderBusy(RunnerError):
    pass


class DatabaseUnusable(RunnerError):
    pass


class DatabaseDamaged(DatabaseUnusable, sqlite3.DatabaseError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The database {path.name} is damaged where this is kept ({reason}). Stop the server, and restore the file "
            "from a backup, or save what can be read with the .recover command of SQLite's own program."
        )
        self.reason = reason
