"""What a run has decided about its task, and how that comes into the log.

`task` is what was decided so far; the store follows a commit later, and whoever needs to know that it did awaits the
future that `record`, `change` or `append` gives.
"""

import logging
import sqlite3
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from runner.attempt import BudgetRaised, Origin
from runner.base import Entry, Store
from runner.clocks import WorkClock
from runner.errors import StaleAttempt, StorageUnavailable, TaskNotFound
from runner.events import EventType, draft, now
from runner.recorder import Committed, Recorder, entry
from runner.states import IN_ATTEMPT, Status, Trigger, follow
from runner.task import Task, fold

LOSSES = 3  # attempts in a row that may lose their process; after the last of them the task has failed

_MESSAGES = {
    Status.QUEUED: "Waiting for a free place.",
    Status.RUNNING: "The team is at work.",
    Status.WAITING: "The team waits for a person's answer.",
    Status.STOPPING: "Stopping.",
    Status.SUCCEEDED: "The team has finished.",
    Status.FAILED: "The run failed.",
    Status.CANCELLED: "The run was stopped.",
}

_log = logging.getLogger(__name__)


class Ledger:
    """on_waiting: called when the task has begun to wait for a person, and when it does so no more."""

    def __init__(self, task: Task, *, store: Store, recorder: Recorder, on_waiting: Callable[[], None]) -> None:
        self.task = task
        self.working = WorkClock(task.options.timeout_s, used=task.worked_s)
        self.fatal: str | None = None
        """What has broken the attempt, once that is in the log."""
        self.unwritten: Exception | None = None
        """Why the end of the attempt is not in the log, if it is not."""
        self._store = store
        self._recorder = recorder
        self._on_waiting = on_waiting
        self._interruption: str | None = None

    def record(self, event_type: EventType, payload: Mapping[str, Any], *, agent_role: str | None = None) -> Committed:
        """Put an event into the log."""
        task = fold(self.task, event_type, agent_role, dict(payload))
        return self.append(task, [entry(draft(event_type, payload, agent_role=agent_role))])

    def change(
        self, trigger: Trigger, *, reason: str | None = None, origin: Origin | None = None, **changes: Any
    ) -> Committed:
        """Change the status, and put that into the log. Raises `Conflict` if the status does not allow it."""
        task, status_entry = changed(self.task, trigger, reason, changes, origin)
        return self.append(task, [status_entry])

    def append(self, task: Task, entries: Sequence[Entry]) -> Committed:
        """Put entries into the log. task: as of the last of them, but for its head."""
        before = self.task.status
        self.task, done = self._recorder.append(task, entries)
        if before is not self.task.status:
            self._keep_pace(before)
        return done

    def queue(self, origin: Origin) -> Committed:
        """Wait for a place, because a person wants it: with all the time to work that the task may take."""
        self.working = WorkClock(self.task.options.timeout_s, used=0.0)
        return self._queue(origin, queued_at=now(), losses=0, worked_s=0.0, waiting=None)

    def raise_budget(self, raised: BudgetRaised) -> None:
        """Keep, for later attempts, what a person has raised a budget to."""
        to = int(raised.to) if raised.option == "budget_tokens" else raised.to
        budgets = msgspec.structs.replace(self.task.raised, **{raised.option: to})
        self.task = msgspec.structs.replace(self.task, raised=budgets)

    def measure(self, payload: Mapping[str, Any]) -> None:
        """Put what is used into the log, and beside it how long the team has worked."""
        self.task = msgspec.structs.replace(self.task, worked_s=self.working.used)
        self.record(EventType.RESOURCE, payload)

    def stop(self, reason: str) -> None:
        """Begin to stop, because a person wants it. Raises `Conflict` if the status does not allow it."""
        self.change(Trigger.STOP, reason=reason, waiting=None)

    def interrupt(self, reason: str) -> None:
        """Have the attempt end because the server does: the task goes on with the next one."""
        self._interruption = reason

    def break_off(self, error_type: str, reason: str) -> str:
        """Have the attempt fail for this reason, which is returned."""
        self._error(reason, error_type, fatal=True)
        self.fatal = reason
        return reason

    async def recover(self) -> None:
        """End an attempt whose process ended with its server; the task is queued again if it can go on."""
        if self.task.status is Status.RUNNING and self.task.final_result is not None:
            await self._write_end(None)
        else:
            # While a person was asked, nothing that this run did can have ended its server.
            losses = self.task.losses + (self.task.waiting is None)
            await self._write_loss("The server ended while this run was going on.", losses)

    async def end(self, failure: str | None) -> None:
        """End the attempt. failure: what went wrong, or None."""
        await self._finish(partial(self._write_end, failure))

    async def lose(self, reason: str) -> None:
        """End the attempt whose process is gone, for whatever reason; the next one goes on where it can."""
        await self._finish(partial(self._write_loss, reason, self.task.losses + 1))

    def _keep_pace(self, before: Status) -> None:
        """What a status means for the time to work, and for the place that the run has."""
        match self.task.status:
            case Status.WAITING | Status.STOPPING:  # the team waits, or has its grace
                self.working.pause()
            case Status.RUNNING:
                self.working.resume()
        if Status.WAITING in (before, self.task.status):
            self._on_waiting()

    async def _finish(self, write: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            try:
                await write()
            except StaleAttempt:  # an event could not be written, so that what follows it is in the wrong place
                self.task = await self._store.get_task(self.task.id)
                if self.task.status in IN_ATTEMPT:
                    await write()
        except (StaleAttempt, StorageUnavailable, TaskNotFound, sqlite3.Error) as error:
            self.unwritten = error
            _log.error("the end of the attempt was not written (%s); the next start of the server will", error)

    async def _write_end(self, failure: str | None) -> None:
        changes: dict[str, Any] = {"completed_at": now(), "current_agent": None, "waiting": None}
        if self.task.status is Status.STOPPING:
            await self.change(Trigger.END_STOP, reason=self.task.reason, **changes)
        elif failure is None:
            await self.change(Trigger.SUCCEED, progress=1.0, **changes)
        elif self._interruption is not None:
            await self._requeue(self._interruption, self.task.losses)
        else:
            if failure != self.fatal:
                self._error(failure, "RunFailed", fatal=True)
            await self.change(Trigger.FAIL, reason=failure, **changes)

    async def _write_loss(self, reason: str, losses: int) -> None:
        """The process is gone: the next attempt goes on, unless a stop or the end of the server was under way.

        losses: in a row, with this one.
        """
        if self.task.status is Status.STOPPING or self._interruption is not None:
            await self._write_end(reason)
        elif losses < LOSSES:
            self._error(reason, "AttemptLost", fatal=False)
            await self._requeue(reason, losses)
        else:
            await self._write_end(f"{reason} That was the case {LOSSES} times in a row.")

    async def _requeue(self, reason: str, losses: int) -> None:
        """End this attempt and have the next one go on: in one commit, so that nobody takes the task for ended.

        It keeps its place in the queue, which it had come through already.
        """
        waiting = self.task.waiting
        self.change(Trigger.LOSE, reason=reason, completed_at=now(), current_agent=None, waiting=None)
        await self._queue(
            "checkpoint",
            reason="It goes on where it was interrupted.",
            losses=losses,
            worked_s=self.working.used,
            waiting=waiting,
        )

    def _queue(self, origin: Origin, **changes: Any) -> Committed:
        return self.change(
            Trigger.RUN,
            origin=origin,
            attempt=self.task.attempt + 1,
            started_at=None,
            completed_at=None,
            progress=None,
            final_result=None,
            **changes,
        )

    def _error(self, reason: str, error_type: str, *, fatal: bool) -> None:
        error = {"message": reason, "error_type": error_type, "traceback": None, "fatal": fatal}
        self.record(EventType.ERROR, error)


def changed(
    task: Task, trigger: Trigger, reason: str | None, changes: Mapping[str, Any], origin: Origin | None = None
) -> tuple[Task, Entry]:
    """The task after a trigger and other changes, and what its log has of it. Raises `Conflict`.

    origin: where an attempt begins, of one that is queued.
    """
    status = follow(task.status, trigger)
    message = f"{_MESSAGES[status]} {reason}" if reason else _MESSAGES[status]
    task = msgspec.structs.replace(task, status=status, reason=reason, last_message=message, **changes)
    payload = {"message": message, "status": status, "attempt": task.attempt, "reason": reason}
    if origin is not None:
        payload["from"] = origin
    return task, entry(draft(EventType.STATUS, payload))
