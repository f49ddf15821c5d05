"""What the next attempt is told of those before it."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from runner.attempt import OpenQuestion
from runner.base import Page
from runner.events import EventType
from runner.states import Status
from runner.store import SqliteStore
from tests.children import Stage, told_supervisor

QUESTION = {"message": "Good?", "request_id": "r1", "kind": "review", "question": "Good?", "role": "Architect"}
ANSWER = {"op": "answer", "request_id": "r1", "answer": "approve"}


class GatedStore(SqliteStore):
    """A store whose reads for a checkpoint wait, before they read, and before they give what they have read."""

    gates: tuple[asyncio.Event, asyncio.Event]
    begun: asyncio.Event
    read: asyncio.Event

    async def read_events(self, *arguments: Any, **options: Any) -> Page:
        if not options["filter"].event_types:
            return await super().read_events(*arguments, **options)
        self.begun.set()
        await self.gates[0].wait()
        page = await super().read_events(*arguments, **options)
        self.read.set()
        await self.gates[1].wait()
        return page


@pytest.mark.parametrize("late", [False, True], ids=["just before the log is read", "just after"])
async def test_an_answer_while_the_log_is_read(tmp_path: Path, late: bool) -> None:
    """An answer that comes while an attempt begins is known to it from the log, or is sent to it; never both."""
    store = GatedStore
    store.gates, store.begun, store.read = (asyncio.Event(), asyncio.Event()), asyncio.Event(), asyncio.Event()
    before, after = store.gates
    async with told_supervisor(tmp_path, kind=store) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        child.emit(EventType.INPUT_REQUEST, QUESTION, agent_role="Architect")
        await stage.until(Status.WAITING)
        child.exit(-signal.SIGKILL)
        await store.begun.wait()
        if late:
            before.set()
            await store.read.wait()
        await supervisor.answer(stage.task_id, "r1", "approve")
        before.set()
        after.set()
        child = await stage.forks.child()
        checkpoint = child.spec.checkpoint
        asked = OpenQuestion(request_id="r1", role="Architect", kind="review")
        found = (checkpoint.recorded.get("answer Architect review"), checkpoint.question)
        assert found == ((None, asked) if late else (["approve"], None))
        if late:
            assert await child.received() == ANSWER
