"""What the next attempt is told of those before it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from runner.attempt import OpenQuestion
from runner.base import Page
from runner.events import EventType
from runner.states import Status
from runner.store import SqliteStore
from tests.children import Stage, ToldChild, told_supervisor
from tests.support import DEADLINE

QUESTION = {"message": "Good?", "request_id": "r1", "kind": "review", "question": "Good?", "role": "Architect"}
ANSWER = {"op": "answer", "request_id": "r1", "answer": "approve"}


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with told_supervisor(tmp_path) as (supervisor, forks):
        yield Stage(supervisor, forks)


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


def tell(child: ToldChild, role: str, words: str) -> None:
    """Have a child tell, word by word, what a role does, and end: `again=x` is `ask=x` of an earlier attempt."""
    for word in words.split():
        name, _, text = word.partition("=")
        call = {"message": "m", "call": text, "model": "gpt", "demo": False, "prompt_sha256": text, "error": None}
        call |= {"answer_chars": len(text), "answer_sha256": sha256(text.encode()).hexdigest()}
        match name:
            case "ask" | "masked":
                shown = text if name == "ask" else "*"
                child.emit(EventType.TOKEN, {"message": shown, "call": text, "delta": shown}, agent_role=role)
                child.emit(EventType.LLM_CALL, call, agent_role=role)
            case "again":
                child.emit(EventType.LLM_CALL, call | {"replayed": True}, agent_role=role)
            case "refused":
                child.emit(EventType.LLM_CALL, call | {"answer_chars": 0, "error": "401"}, agent_role=role)
            case "action":
                child.emit(
                    EventType.ACTION_START, {"message": "m", "action": "WriteCode", "file": None}, agent_role=role
                )
            case "done" | "broken":
                done = {"message": "m", "action": "WriteCode", "file": None, "failed": name == "broken"}
                child.emit(EventType.ACTION_COMPLETE, done, agent_role=role)
            case "well" | "badly":
                child.emit(EventType.AGENT_COMPLETE, {"message": "m", "failed": name == "badly"}, agent_role=role)
            case "lost":
                child.exit(-signal.SIGKILL)
                return
    child.exit(1)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        pytest.param(["action ask=a done well"], "a", id="done"),
        pytest.param(["action ask=a masked=b done well"], "a", id="a secret was taken out"),
        pytest.param(["action ask=a done badly"], "", id="the turn failed right after it"),
        pytest.param(["action ask=a done action ask=b refused=c broken badly"], "ab", id="a later call was refused"),
        pytest.param(["action ask=a done action ask=b broken badly"], "a", id="its answer may be why it failed"),
        pytest.param(["action ask=a ask=b broken well"], "ab", id="it was cancelled"),
        pytest.param(["action ask=a ask=b lost"], "ab", id="the process was lost in the middle"),
        pytest.param(["action ask=a ask=b lost", "action again=a again=b broken badly"], "", id="they were"),
        pytest.param(["action ask=a done well", "action again=a done well"], "", id="nothing new"),
        pytest.param(["action ask=a done well", "action again=a done well lost"], "a", id="the same, lost"),
        pytest.param(["action ask=a ask=b done well", "action again=a refused=c broken badly"], "ab", id="refused"),
    ],
)
async def test_what_is_not_asked_again(stage: Stage, told: list[str], kept: str) -> None:
    """What the model has answered is kept, also in the middle of an action, unless it may be why the attempt failed."""
    child = await stage.child()
    for words in told:
        tell(child, "Engineer", words)
        if not words.endswith("lost"):
            await stage.until(Status.FAILED)
            await stage.supervisor.start_task(stage.task_id)
        child = await stage.forks.child()
    assert "".join(text for texts in child.spec.checkpoint.recorded.values() for text in texts) == kept


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


async def test_a_stop_while_the_log_is_read(tmp_path: Path) -> None:
    """A stop does not wait for a log that takes long to read."""
    store = GatedStore
    store.gates, store.begun, store.read = (asyncio.Event(), asyncio.Event()), asyncio.Event(), asyncio.Event()
    async with told_supervisor(tmp_path, kind=store) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        (await stage.child()).exit(-signal.SIGKILL)
        await store.begun.wait()
        async with asyncio.timeout(DEADLINE):
            assert (await supervisor.stop_task(stage.task_id)).status is Status.CANCELLED
