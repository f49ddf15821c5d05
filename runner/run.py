"""One task from QUEUED to its terminal status: the queue's place, the child process, the end.

A `Run` is the only one that makes events for its task while it lives; what it decides is in its ledger.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import psutil

from runner.attempt import (
    Answer,
    AttemptSpec,
    Confinement,
    Llm,
    Origin,
    Role,
    Say,
    Sync,
    Synced,
    Word,
)
from runner.base import Entry, Stopped, Store
from runner.blobs import Blobs
from runner.briefing import Briefing
from runner.clocks import SilenceClock
from runner.disk import outgrown
from runner.errors import (
    AlreadyAnswered,
    AttemptLost,
    ChildLost,
    Conflict,
    DatabaseDamaged,
    FileNotKept,
    NotInTeam,
    StorageUnavailable,
    WorkspaceNotMade,
)
from runner.events import EventType, now, short
from runner.forkserver import Child, ForkServer
from runner.hearing import Heard, decode_payload, heard, heard_note, is_note
from runner.keeping import Keeping
from runner.ledger import Ledger, changed
from runner.limits import RunLimits
from runner.recorder import Committed, Recorder
from runner.redact import Redactor
from runner.resources import Meter, resource_payload
from runner.speech import STOP, plain, told, unanswered
from runner.states import Status, Trigger
from runner.stats import AttemptStats, How, Resources
from runner.task import FOLDED, Task, fold

RESOURCE_PERIOD = 2.0  # seconds between RESOURCE events
_SHOWN = 300  # characters of a question

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Run:
    """on_waiting: called when it has begun to wait for a person, and when it does so no more. keeping: threads for its
    files, which its commits wait for; None for the loop's own.
    """

    def __init__(
        self,
        task: Task,
        *,
        store: Store,
        recorder: Recorder,
        forks: ForkServer,
        llm: Llm,
        workspace: Path,
        blobs: Blobs,
        confinement: Confinement,
        limits: RunLimits,
        on_waiting: Callable[["Run"], None],
        keeping: Executor | None = None,
    ) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.how: How = "graceful"
        """How it ended, if it was stopped."""
        self._ledger = Ledger(task, store=store, recorder=recorder, on_waiting=partial(on_waiting, self))
        self._briefing = Briefing(store=store, blobs=blobs, workspace=workspace, confinement=confinement, llm=llm)
        self._forks = forks
        self._llm = llm
        self._redactor = Redactor.of_config(llm.config)
        self._workspace = workspace
        self._limits = limits
        self._silence = SilenceClock(limits.silence)
        self._keeping = Keeping(workspace, blobs, event_size=limits.event_size, threads=keeping)
        self._child: Child | None = None
        self._unsent: list[Word] = []  # what has come before the child
        self._answered: set[str] = set()  # the ids of questions
        self._asked: str | None = None  # the id of the question that was open when the attempt began
        self._claimed: Committed | None = None
        self._end_asked = asyncio.Event()
        self._sync_asked: int | None = None  # by the child, with this number
        self._resources: Resources | None = None

    @property
    def task(self) -> Task:
        """As far as the run has decided; the store may be a commit behind."""
        return self._ledger.task

    def stats(self) -> AttemptStats:
        return AttemptStats(task_id=self.task.id, usage=self.task.usage, resources=self._resources)

    def queue(self, origin: Origin) -> Committed:
        """Wait for a place, because a person wants it."""
        return self._ledger.queue(origin)

    async def recover(self) -> None:
        """End an attempt whose process ended with its server; the task is queued again if it can go on."""
        await self._ledger.recover()

    async def cancel(self, reason: str) -> None:
        """End what has not begun, because a person wants it."""
        await self._ledger.change(Trigger.STOP, reason=reason, completed_at=now(), waiting=None)

    def claim(self) -> None:
        """Begin the attempt that waits."""
        self._asked = None if self.task.waiting is None else self.task.waiting.request_id
        self._claimed = self._ledger.change(
            Trigger.CLAIM,
            started_at=now(),
            model=self._llm.model,
            demo=self._llm.demo,
            workspace=str(self._workspace),
        )

    async def execute(self) -> None:
        """Carry the claimed attempt to its terminal status; the task is queued again if its process was lost."""
        _log.info("the attempt has begun")
        try:
            failure = await self._attempt()
        except AttemptLost as loss:
            await self._ledger.lose(str(loss))
        except (ChildLost, DatabaseDamaged, FileNotKept, StorageUnavailable, WorkspaceNotMade) as lost:
            await self._ledger.end(str(lost))
        except Exception as error:  # whatever broke it, an attempt ends with a terminal status
            _log.exception("the attempt broke")
            await self._ledger.end(str(error) or type(error).__name__)
        else:
            await self._ledger.end(failure)
        _log.info("the attempt has ended: %s", self.task.last_message)

    def stop(self, reason: str) -> None:
        """Begin to stop, because a person wants it. Further calls change nothing."""
        if self.task.status in (Status.RUNNING, Status.WAITING):
            self._ledger.stop(reason)
            self._end_child(self._limits.grace)

    def interrupt(self, reason: str, *, grace: float) -> None:
        """Begin to end, because the server does."""
        self._ledger.interrupt(reason)
        self._end_child(grace)

    def stopped(self, *, took: float) -> Stopped:
        """How the stop went, once the run has ended. took: seconds.

        Raises `StorageUnavailable` if that is not in the log: the next server does not know of it, and may go on.
        """
        if self._ledger.unwritten is not None:
            raise StorageUnavailable(self._ledger.unwritten)
        return Stopped(task_id=self.task.id, status=self.task.status, how=self.how, took_ms=round(took * 1000, 1))

    async def answer(self, request_id: str, answer: str) -> str | None:
        """Answer what is asked, also while the team is on its way back to the question. Raises `AlreadyAnswered`.

        Returns why the run is to be stopped, if that was the answer; the team does not hear of it then.
        """
        waiting = self.task.waiting
        if waiting is None or waiting.request_id != request_id:
            raise AlreadyAnswered(request_id)
        self._answered.add(request_id)
        answer = self._redactor.text(answer)  # the team hears what the log has
        done = self._ledger.record(
            EventType.INPUT_RESPONSE,
            {"message": f"A person answered: {answer[:200]}", "request_id": request_id, "answer": answer},
            agent_role=waiting.role,
        )
        if self.task.status is Status.WAITING:
            done = self._ledger.change(Trigger.ANSWER)
        if STOP in waiting.choices and plain(answer, waiting.choices) == STOP:
            reason = f'A person answered "{STOP}" to: {short(waiting.question, _SHOWN)}'
            self.stop(reason)
            await done
            return reason
        await self._tell(Answer(request_id=request_id, answer=answer), done)
        return None

    async def say(self, content: str, send_to: Role | None) -> None:
        """Say something to the team, or to one role; what is committed is heard by a later attempt, if need be."""
        if send_to is not None and send_to not in self.task.options.team:
            raise NotInTeam(send_to, self.task.options.team)
        if self.task.status not in (Status.RUNNING, Status.WAITING):
            raise Conflict(f"The task is {self.task.status}; a message reaches the team only while it is at work.")
        if self.task.final_result is not None:
            raise Conflict("The team has just finished; a message does not reach it any more.")
        message = Say(id=uuid4().hex, content=self._redactor.text(content), send_to=send_to)
        await self._tell(message, self._ledger.record(EventType.MESSAGE, told(message)))

    async def _tell(self, word: Word, committed: Committed) -> None:
        """Hand the child what is just being put into the log, also when whoever has asked for that waits no more."""
        await asyncio.shield(asyncio.create_task(self._hand_over(word, committed)))

    async def _hand_over(self, word: Word, committed: Committed) -> None:
        """Hand the child what the log has then, as soon as there is a child; a later attempt reads it there."""
        await committed
        if self._child is None or self._unsent:  # in the order of the log
            self._unsent.append(word)
        else:
            with contextlib.suppress(ChildLost):
                await self._child.send(word)

    async def _attempt(self) -> str | None:
        """Run the child to its end. Returns what went wrong, or None."""
        if (asked := self.task.waiting) is not None and asked.overdue:  # while there was no process to notice it
            reason = unanswered(asked.question, self.task.options.answer_timeout_s or 0.0)
            return self._ledger.break_off("Unanswered", reason)
        await self._keeping.begin()
        child = self._child = await self._launch()
        if child is None:
            return "The run was ended before its process existed."
        try:
            async with self._ledger.working:
                return await self._attend(child)
        except TimeoutError:
            if not self._ledger.working.ran_out:
                raise
            return f"The time limit of {self.task.options.timeout_s:g} s was reached."
        finally:
            child.signal(signal.SIGKILL)
            if await child.exited in (None, -signal.SIGKILL):  # None: it died with the fork server, and was not asked
                self.how = "killed"
            child.close()

    async def _attend(self, child: Child) -> str | None:
        """Take what the child tells, to its end. Returns what went wrong, or None."""
        watching = [
            asyncio.create_task(self._sample(child.pid), name=f"resources of {self.task.id}"),
            asyncio.create_task(self._end_silence(child), name=f"silence of {self.task.id}"),
            asyncio.create_task(self._end_growth(child), name=f"files of {self.task.id}"),
        ]
        try:
            if self._end_asked.is_set():
                child.signal(signal.SIGTERM)
            while self._unsent:
                with contextlib.suppress(ChildLost):
                    await child.send(self._unsent[0])
                self._unsent.pop(0)
            while lines := await self._listen(child.lines()):
                if events := heard(self._heed(lines)):
                    events = await self._keeping.keep(events)
                    if self.task.head + len(events) > self._limits.events:
                        return f"A task may have {self._limits.events:,} events, and this run has more to tell."
                    await self._absorb(events)
                await self._sync(child)
            return self._verdict(await asyncio.shield(child.exited))
        finally:
            for watch in watching:
                watch.cancel()

    async def _listen(self, waiting: Coroutine[Any, Any, _T]) -> _T:
        """Wait for the child, which may not be silent for too long meanwhile."""
        self._silence.begin()
        try:
            return await waiting
        finally:
            self._silence.end()

    async def _launch(self) -> Child | None:
        """A child, or None if a stop came first."""
        spec = await self._unless_ended(self._spec())
        if spec is None or self._end_asked.is_set():
            return None
        return await self._unless_ended(self._forks.fork(spec))

    async def _unless_ended(self, work: Coroutine[Any, Any, _T]) -> _T | None:
        """The outcome of what comes before the child, or None if a stop came first."""
        working = asyncio.create_task(work)
        stop = asyncio.create_task(self._end_asked.wait())
        try:
            await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            stop.cancel()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)  # a child that was being made is gone then, too

    async def _spec(self) -> AttemptSpec:
        if self.task.attempt > 1:
            assert self._claimed is not None
            await asyncio.shield(self._claimed)
        return await self._briefing.of(self.task, asked=self._asked)

    def _heed(self, lines: list[bytes]) -> list[bytes]:
        """Do what the child's notes say. Returns the other lines, which are events."""
        events = []
        for line in lines:
            if not is_note(line):
                events.append(line)
            elif isinstance(note := heard_note(line), Sync):
                self._sync_asked = note.number
            else:
                self._ledger.raise_budget(note)
        return events

    async def _sync(self, child: Child) -> None:
        """Tell the child that all it has said so far is in the log, if it has asked."""
        if self._sync_asked is not None:
            synced, self._sync_asked = Synced(number=self._sync_asked), None
            with contextlib.suppress(ChildLost):
                await self._listen(child.send(synced))

    def _absorb(self, events: Iterable[Heard]) -> Committed:
        """Put the child's events into the log."""
        entries: list[Entry] = []
        task = self.task
        for line, event in events:
            payload = decode_payload(event.payload) if event.event_type in FOLDED else {}
            if event.event_type is EventType.INPUT_REQUEST and payload.get("request_id") in self._answered:
                continue  # the answer was on its way
            entries.append(Entry(event.event_type, event.agent_role, line[1:]))
            if event.event_type in FOLDED:
                task = fold(task, event.event_type, event.agent_role, payload)
                if event.event_type is EventType.ERROR and payload.get("fatal"):
                    self._ledger.fatal = str(payload.get("message"))
                if event.event_type is EventType.INPUT_REQUEST and task.status is Status.RUNNING:
                    worked = {"worked_s": self._ledger.working.used}
                    task, status_entry = changed(task, Trigger.ASK, str(payload.get("question")), worked)
                    entries.append(status_entry)
        return self._ledger.append(task, entries)

    def _verdict(self, code: int | None) -> str | None:
        """What went wrong, or None. Raises `AttemptLost` if the child was killed, by whomever."""
        asked = self.task.status is Status.WAITING
        if code == 0 and self.task.final_result is not None and not asked:
            return None
        if self._ledger.fatal is not None:
            return self._ledger.fatal
        when = "while a person was still asked" if asked else "before the team had finished"
        reason = f"The process of this run {_end(code)} {when}."
        if code is None or code < 0:
            raise AttemptLost(reason)
        return reason

    def _end_child(self, grace: float) -> None:
        """Ask the child to end, now or as soon as it exists, and see to it that it does.

        Where a person's stop and the end of the server both do, the grace that is over first counts.
        """
        self._end_asked.set()
        if self._child is not None:
            self._child.signal(signal.SIGTERM)
        killing = asyncio.get_running_loop().call_later(grace, self._kill)
        self.ended.add_done_callback(lambda _: killing.cancel())

    def _kill(self) -> None:
        if self._child is not None:
            self._child.signal(signal.SIGKILL)

    async def _end_silence(self, child: Child) -> None:
        """Kill a child that has been silent for too long, until cancelled."""
        await self._silence.ran_out()
        limit = f"{self._silence.limit:g}"
        self._end_broken(
            child, "Silent", f"The process of this run gave no sign of life for {limit} s, and was killed."
        )

    async def _end_growth(self, child: Child) -> None:
        """Kill a child when the task's files take too much of the disk, until cancelled."""
        limit = self._limits.workspace
        size = await outgrown(self._workspace.parent, limit)
        reason = f"The files of a task may take {limit:,} bytes on the disk, and those of this one take {size:,}."
        self._end_broken(child, "WorkspaceFull", reason)

    def _end_broken(self, child: Child, error_type: str, reason: str) -> None:
        """End the attempt at once, as failed; not if it is to end already: then it is the grace that counts."""
        if self._end_asked.is_set():
            return
        self._ledger.break_off(error_type, reason)
        child.signal(signal.SIGKILL)

    async def _sample(self, pid: int) -> None:
        """Record what the process tree uses, every few seconds, until cancelled."""
        with contextlib.suppress(psutil.NoSuchProcess):
            meter = Meter(pid)
            while True:
                await asyncio.sleep(RESOURCE_PERIOD)
                if self.task.status is Status.WAITING:  # a person may take days, in which nothing changes
                    continue
                used = self._resources = await asyncio.to_thread(meter.read)
                self._ledger.measure(resource_payload(used, self.task.usage))


def _end(code: int | None) -> str:
    if code is None:
        return "was lost with the fork server"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
