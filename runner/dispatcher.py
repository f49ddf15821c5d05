"""The dispatcher: the runs that wait for a place, and those that are at work.

A run is here from when its task is queued until its attempt has ended. If the task is queued again by then, since its
process was lost, a new run stands in its place at once.
"""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

from structlog.contextvars import bind_contextvars

from runner.base import Load, Place
from runner.errors import LeftQueued
from runner.places import Places
from runner.queue import Queue
from runner.recorder import Committed
from runner.run import Run
from runner.states import TERMINAL, Status
from runner.stats import How
from runner.task import Task

_SHUTDOWN_GRACE = 1.0  # seconds that children have to end by themselves when the server ends


class Dispatcher:
    """new_run: makes a run of a task, which is to call `reseat` when it begins to wait for a person, or does so no
    more.
    """

    def __init__(self, *, queue: Queue, places: Places, new_run: Callable[[Task], Run]) -> None:
        self.closing = False
        self.stops: dict[How, int] = {"graceful": 0, "killed": 0}
        """How many runs were stopped, and how they ended."""
        self._queue = queue
        self._places = places
        self._new_run = new_run
        self._runs: dict[str, Run] = {}
        self._attempts: set[asyncio.Task[None]] = set()
        self._doorbells: list[Callable[[], None]] = []

    def __iter__(self) -> Iterator[Run]:
        return iter(tuple(self._runs.values()))

    @property
    def concurrency(self) -> int:
        return self._places.count

    def load(self) -> Load:
        return Load(draining=self._queue.draining, running=len(self._attempts), queued=len(self._queue))

    def watch(self, doorbell: Callable[[], None]) -> None:
        """Call `doorbell` whenever the queue has changed; it must not block and must not raise."""
        self._doorbells.append(doorbell)

    def run_of(self, task_id: str) -> Run | None:
        return self._runs.get(task_id)

    async def active_run_of(self, task_id: str) -> Run | None:
        """The run of a task, if it has one; one that has come to its end is waited for until it is gone."""
        run = self._runs.get(task_id)
        if run is not None and run.task.status in TERMINAL:
            await asyncio.shield(run.ended)
            return None
        return run

    def place(self, task: Task) -> Place | None:
        """Where a task stands in the queue; None if it does not."""
        return self._queue.place(task.id, self._places) if task.status is Status.QUEUED else None

    def check_room(self) -> None:
        """Raise `QueueFull` if with one task more, more would wait than may."""
        self._queue.check_room(self._places)

    def admit(self, run: Run) -> None:
        """Have a run wait for a place, until `dispatch` has one for it."""
        self._runs[run.task.id] = run
        self._queue.put(run.task)
        self._expire(run)

    def admit_new(self, run: Run, queued: Committed) -> None:
        """Admit a run whose task is just being queued in the log, and start what may run once that is done."""
        self.admit(run)
        queued.add_done_callback(partial(self._settle, run))

    def dispatch(self) -> None:
        """Start what may run, and let everyone know that the queue has changed."""
        while self._places.free and not self.closing and (task_id := self._queue.take()) is not None:
            self._start(self._runs[task_id])
        for doorbell in self._doorbells:
            doorbell()

    def drain(self) -> None:
        """Start nothing, until `resume`."""
        self._queue.draining = True
        self.dispatch()

    def resume(self) -> None:
        self._queue.draining = False
        self.dispatch()

    def reseat(self, run: Run) -> None:
        """Have a run give its place back while it waits for a person, and go on afterwards."""
        if run.task.status is Status.WAITING:
            self._places.give_back(run)
        else:
            self._places.go_on(run)
        self.dispatch()

    async def stop(self, run: Run, reason: str) -> Run:
        """Stop a run, or the one that goes on in its place because its process was lost just then. Returns which.

        Raises `LeftQueued` if the server ends meanwhile, and the task is queued for the next one.
        """
        while True:
            if self._waits(run):
                await self._stop_waiting(run, reason)
            else:
                run.stop(reason)
                await asyncio.shield(run.ended)
            next_run = self._runs.get(run.task.id)
            if run.task.status is not Status.QUEUED:
                return run
            if next_run is None:
                raise LeftQueued
            run = next_run

    def close(self) -> None:
        """Begin to end what is at work. What waits stays queued for the next server."""
        self.closing = True
        for run in self:
            if not self._waits(run):
                run.interrupt("The server was shut down while this run was going on.", grace=_SHUTDOWN_GRACE)

    async def aclose(self) -> None:
        """Wait until what was at work has ended."""
        await asyncio.gather(*self._attempts)

    def _settle(self, run: Run, queued: Committed) -> None:
        """Go on with a run, or forget it if its task could not be queued, unless it has begun."""
        if queued.exception() is not None and self._waits(run):
            self._queue.remove(run.task.id)
            del self._runs[run.task.id]
        self.dispatch()

    def _waits(self, run: Run) -> bool:
        return run.task.id in self._queue and self._runs[run.task.id] is run

    def _expire(self, run: Run) -> None:
        """End a waiting run whose question nobody has answered in time: that takes no process, and so no place."""
        question = run.task.waiting
        if question is None or question.patience is None or not self._waits(run) or self.closing:
            return
        if question.overdue:
            self._queue.remove(run.task.id)
            self._start(run)
        else:
            expiry = asyncio.get_running_loop().call_later(question.patience, self._expire, run)
            run.ended.add_done_callback(lambda _: expiry.cancel())

    def _start(self, run: Run) -> None:
        self._places.take(run)
        run.claim()
        attempt = asyncio.create_task(self._execute(run), name=f"attempt of {run.task.id}")
        self._attempts.add(attempt)
        attempt.add_done_callback(partial(self._free_place, run))

    async def _execute(self, run: Run) -> None:
        bind_contextvars(task_id=run.task.id, attempt=run.task.attempt)  # of this asyncio task, for its log records
        try:
            await run.execute()
        finally:
            self._end(run)

    def _end(self, run: Run) -> None:
        del self._runs[run.task.id]
        if run.task.status is Status.QUEUED and not self.closing:
            self.admit(self._new_run(run.task))
        if run.task.status is Status.CANCELLED:
            self.stops[run.how] += 1
        run.ended.set_result(None)

    def _free_place(self, run: Run, attempt: asyncio.Task[None]) -> None:
        self._attempts.discard(attempt)
        self._places.leave(run)
        self.dispatch()

    async def _stop_waiting(self, run: Run, reason: str) -> None:
        self._queue.remove(run.task.id)
        try:
            await run.cancel(reason)
        finally:
            self._end(run)
            self.dispatch()
