"""What every Runner keeps to. To have another one tested, add how it is opened to `OPENERS`."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from runner.attempt import Llm, Options
from runner.base import Change, Commit, Deleted, Filter, Runner
from runner.errors import (
    AlreadyAnswered,
    Conflict,
    CursorAhead,
    DataFolderBusy,
    KeyReused,
    QueueFull,
    TaskExists,
    TaskNotFound,
)
from runner.limits import RunLimits
from runner.states import TERMINAL, Status
from runner.task import NewTask, Task
from runner.wiring import open_supervisor
from tests.support import DEADLINE

pytestmark = pytest.mark.asyncio(loop_scope="module")

Opener = Callable[[Path, Llm], AbstractAsyncContextManager[Runner]]
OPENERS: list[Opener] = [
    lambda folder, llm: open_supervisor(
        folder, llm=llm, concurrency=2, limits=RunLimits(grace=1.5), queue_limit=QUEUE_LIMIT
    )
]
QUEUE_LIMIT = 3
EVERYTHING = Filter()


class Ears:
    """A listener that remembers."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.changes: list[Change] = []
        self._heard = asyncio.Event()
        runner.watch(self._hear)

    def _hear(self, change: Change) -> None:
        self.changes.append(change)
        self._heard.set()

    async def until(self, task_id: str, holds: Callable[[Task], object]) -> Task:
        """The task as of the first commit at which this holds."""
        async with asyncio.timeout(DEADLINE):
            while True:
                for change in self.changes:
                    if isinstance(change, Commit) and change.task.id == task_id and holds(change.task):
                        return change.task
                self._heard.clear()
                await self._heard.wait()

    async def end(self, task_id: str, attempt: int = 1) -> Task:
        return await self.until(task_id, lambda task: task.status in TERMINAL and task.attempt == attempt)

    def heard(self, task_id: str) -> list[dict[str, Any]]:
        """The events of a task, in the order in which they were told."""
        return [
            json.loads(event.encoded)
            for change in self.changes
            if isinstance(change, Commit) and change.task.id == task_id
            for event in change.events
        ]


@pytest_asyncio.fixture(params=OPENERS, ids=["supervisor"], scope="module", loop_scope="module")
async def ears(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ears]:
    opener: Opener = request.param
    async with opener(tmp_path_factory.mktemp("runner") / "data", Llm(demo_pace=0)) as runner:
        yield Ears(runner)


@pytest_asyncio.fixture(params=OPENERS, ids=["supervisor"], scope="module", loop_scope="module")
async def slow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ears]:
    """A runner whose runs do not end by themselves."""
    opener: Opener = request.param
    async with opener(tmp_path_factory.mktemp("slow") / "data", Llm(demo_pace=100)) as runner:
        yield Ears(runner)


async def _started(ears: Ears, idea: str = "hangman", **options: Any) -> str:
    task = await ears.runner.create_task(NewTask(input_prompt=idea, options=Options(**options)))
    await ears.runner.start_task(task.id)
    return task.id


async def _log(runner: Runner, task_id: str) -> list[dict[str, Any]]:
    page = await runner.get_task_events(task_id, after=0, limit=100_000, size=10**9, filter=EVERYTHING)
    return [json.loads(event) for event in page.events]


async def test_a_run(ears: Ears) -> None:
    """A run goes from PENDING over QUEUED and RUNNING to SUCCEEDED, with a result."""
    task_id = await _started(ears)
    task = await ears.end(task_id)
    assert task.status is Status.SUCCEEDED, task.reason
    assert task.final_result is not None and task.attempt == 1
    told = [event["payload"]["status"] for event in ears.heard(task_id) if event["event_type"] == "STATUS"]
    assert told == ["QUEUED", "RUNNING", "SUCCEEDED"]


async def test_what_is_told_is_what_is_kept(ears: Ears) -> None:
    """Listeners are told every event of the log, in its order, once, and with it the task as of the last of them."""
    task_id = await _started(ears, "snake")
    task = await ears.end(task_id)
    assert ears.heard(task_id) == await _log(ears.runner, task_id)
    assert [event["event_id"] for event in ears.heard(task_id)] == list(range(1, task.head + 1))
    assert await ears.runner.get_task_state(task_id) == task


async def test_commit_then_deliver(ears: Ears) -> None:
    """When a listener hears of an event, another reader of the store finds it there already."""
    missing: list[asyncio.Task[None]] = []

    async def find(commit: Commit) -> None:
        assert (await ears.runner.get_task_state(commit.task.id)).head >= commit.task.head

    ears.runner.watch(lambda c: missing.append(asyncio.ensure_future(find(c))) if isinstance(c, Commit) else None)
    await ears.end(await _started(ears, "2048"))
    await asyncio.gather(*missing)
    assert missing


async def test_every_event_is_about_its_task(ears: Ears) -> None:
    """Of two runs at the same time, no event gets into the other's log, nor a file into the other's workspace."""
    task_ids = [await _started(ears, idea) for idea in ("snake game", "todo list")]
    tasks = [await ears.end(task_id) for task_id in task_ids]
    for task in tasks:
        assert {event["task_id"] for event in await _log(ears.runner, task.id)} == {task.id}
    workspaces = {task.workspace for task in tasks}
    assert len(workspaces) == 2
    projects = [task.final_result["project"] for task in tasks if task.final_result]
    assert projects[0] != projects[1]


async def test_what_does_not_exist(ears: Ears) -> None:
    """Whatever is asked of a task that does not exist: TaskNotFound."""
    runner = ears.runner
    for ask in (
        runner.start_task("x"),
        runner.stop_task("x"),
        runner.delete_task("x"),
        runner.get_task_state("x"),
        runner.answer("x", "r", "a"),
        runner.say("x", "hello", None),
        runner.get_task_events("x", after=0, limit=1, size=1, filter=EVERYTHING),
        runner.get_task_artifacts("x"),
        runner.open_artifact("x", "main.py", None),
        runner.diff_artifact("x", "main.py", None, None),
        runner.open_archive("x"),
        runner.get_task_timeline("x", after=0, limit=1),
        runner.get_task_metrics("x"),
    ):
        with pytest.raises(TaskNotFound):
            await ask


async def test_a_cursor_ahead(ears: Ears) -> None:
    """A cursor beyond the head raises."""
    task = await ears.runner.create_task(NewTask(input_prompt="x"))
    with pytest.raises(CursorAhead):
        await ears.runner.get_task_events(task.id, after=1, limit=1, size=1, filter=EVERYTHING)


async def test_starting_what_is_active(slow: Ears) -> None:
    """An active task cannot be started, nor deleted; both raise and change nothing."""
    task_id = await _started(slow)
    with pytest.raises(Conflict):
        await slow.runner.start_task(task_id)
    with pytest.raises(Conflict):
        await slow.runner.delete_task(task_id)
    await slow.runner.stop_task(task_id)
    assert (await slow.runner.get_task_state(task_id)).attempt == 1


async def test_starting_at_the_same_time(slow: Ears) -> None:
    """Of many simultaneous starts one counts."""
    task = await slow.runner.create_task(NewTask(input_prompt="x"))
    outcomes = await asyncio.gather(*(slow.runner.start_task(task.id) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 9
    await slow.runner.stop_task(task.id)
    assert len(await _log(slow.runner, task.id)) < 100
    assert (await slow.runner.get_task_state(task.id)).attempt <= 1


async def test_stopping_at_the_same_time(slow: Ears) -> None:
    """However many stop a run, each answer is about a run that has ended."""
    task_id = await _started(slow)
    await slow.until(task_id, lambda task: task.current_agent)
    stopped = await asyncio.gather(*(slow.runner.stop_task(task_id) for _ in range(10)))
    assert {answer.status for answer in stopped} == {Status.CANCELLED}


async def test_stopping_the_queued_at_the_same_time(slow: Ears) -> None:
    """However many stop a queued task, each answer is about a task that is cancelled, and none of them fails."""
    running = [await _started(slow), await _started(slow)]
    queued = await _started(slow)
    stopped = await asyncio.gather(*(slow.runner.stop_task(queued) for _ in range(10)))
    assert {answer.status for answer in stopped} == {Status.CANCELLED}
    for task_id in running:
        await slow.runner.stop_task(task_id)


async def test_starting_what_is_just_being_stopped(slow: Ears) -> None:
    """A start beside the stop of a queued task either comes too early, or begins the next turn; the log stays whole."""
    running = [await _started(slow), await _started(slow)]
    queued = await _started(slow)
    outcomes = await asyncio.gather(
        slow.runner.stop_task(queued),
        slow.runner.start_task(queued),
        slow.runner.delete_task(queued),
        return_exceptions=True,
    )
    assert {type(outcome) for outcome in outcomes[1:]} <= {Conflict, Task, type(None)}
    assert not isinstance(outcomes[0], BaseException)
    with contextlib.suppress(TaskNotFound):
        await slow.runner.stop_task(queued)
    for task_id in running:
        await slow.runner.stop_task(task_id)


async def test_running_again(slow: Ears) -> None:
    """A cancelled task runs again as attempt 2, with a clean state and a log that goes on."""
    task_id = await _started(slow)
    await slow.until(task_id, lambda task: task.current_agent)
    await slow.runner.stop_task(task_id)
    await slow.runner.start_task(task_id)
    again = await slow.until(task_id, lambda task: task.attempt == 2 and task.status is Status.RUNNING)
    assert again.completed_at is None and again.reason is None
    await slow.runner.stop_task(task_id)
    log = await _log(slow.runner, task_id)
    assert [event["event_id"] for event in log] == list(range(1, len(log) + 1))


async def test_a_review(ears: Ears) -> None:
    """A reviewed run waits for a person; the answer counts once, a wrong one never, and then it goes on."""
    task_id = await _started(ears, review=["ProductManager"])
    waiting = await ears.until(task_id, lambda task: task.status is Status.WAITING)
    assert waiting.waiting is not None
    request_id = waiting.waiting.request_id
    with pytest.raises(AlreadyAnswered):
        await ears.runner.answer(task_id, "input-9-9", "approve")
    answers = await asyncio.gather(
        *(ears.runner.answer(task_id, request_id, "approve") for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(answer, AlreadyAnswered) for answer in answers) == 4
    assert (await ears.end(task_id)).status is Status.SUCCEEDED
    kinds = [event["event_type"] for event in ears.heard(task_id)]
    assert kinds.count("INPUT_REQUEST") == kinds.count("INPUT_RESPONSE") == 1


async def test_stopping_while_waiting(ears: Ears) -> None:
    """A run that waits for a person can be stopped, and asks nothing any more."""
    task_id = await _started(ears, review=["ProductManager"])
    await ears.until(task_id, lambda task: task.status is Status.WAITING)
    assert (await ears.runner.stop_task(task_id)).how == "graceful"
    task = await ears.runner.get_task_state(task_id)
    assert (task.status, task.waiting) == (Status.CANCELLED, None)


async def test_a_persons_message(ears: Ears) -> None:
    """What a person says is in the team's queue, as a MESSAGE; a finished team cannot be spoken to."""
    task_id = await _started(ears, review=["ProductManager"])
    task = await ears.until(task_id, lambda task: task.status is Status.WAITING)
    await ears.runner.say(task_id, "Make it blue.", "Engineer")
    assert task.waiting is not None
    await ears.runner.answer(task_id, task.waiting.request_id, "approve")
    await ears.end(task_id)
    contents = [e["payload"]["content"] for e in ears.heard(task_id) if e["event_type"] == "MESSAGE"]
    assert "Make it blue." in contents
    with pytest.raises(Conflict):
        await ears.runner.say(task_id, "Make it red.", None)


async def test_an_idempotency_key(ears: Ears) -> None:
    """The same task with the same key is made once, and told once."""
    new = NewTask(input_prompt="once")
    made = [await ears.runner.create_task(new, key="k") for _ in range(3)]
    assert len({task.id for task in made}) == 1
    told = [change for change in ears.changes if isinstance(change, Commit) and change.task.id == made[0].id]
    assert len(told) == 1
    with pytest.raises(KeyReused):
        await ears.runner.create_task(NewTask(input_prompt="twice"), key="k")


async def test_an_idempotency_key_at_the_same_time(ears: Ears) -> None:
    """Of many simultaneous creations with one key one counts, and all answer with its task."""
    new = NewTask(input_prompt="at once")
    made = await asyncio.gather(*(ears.runner.create_task(new, key="at once") for _ in range(20)))
    (task_id,) = {task.id for task in made}
    told = [change for change in ears.changes if isinstance(change, Commit) and change.task.id == task_id]
    assert len(told) == 1


async def _position(runner: Runner, task_id: str) -> int | None:
    place = runner.queue_place(await runner.get_task_state(task_id))
    return None if place is None else place.position


async def _busy(slow: Ears) -> list[str]:
    """Runs that have every place."""
    running = [await _started(slow), await _started(slow)]
    for task_id in running:
        await slow.until(task_id, lambda task: task.status is Status.RUNNING)
    return running


async def _stop_all(runner: Runner, task_ids: list[str]) -> None:
    for task_id in reversed(task_ids):  # so that none of the queued gets a place
        await runner.stop_task(task_id)


async def test_the_place_in_the_queue(slow: Ears) -> None:
    """Queued tasks, and only these, have a place with a reason; who stands nearest starts when a run ends."""
    running = await _busy(slow)
    queued = [await _started(slow), await _started(slow)]
    pending = await slow.runner.create_task(NewTask(input_prompt="x"))
    assert [await _position(slow.runner, task_id) for task_id in queued] == [1, 2]
    assert [await _position(slow.runner, task_id) for task_id in [*running, pending.id]] == [None] * 3
    place = slow.runner.queue_place(await slow.runner.get_task_state(queued[0]))
    assert place is not None and place.reason
    await slow.runner.stop_task(running[0])
    await slow.until(queued[0], lambda task: task.status is Status.RUNNING)
    assert [await _position(slow.runner, task_id) for task_id in queued] == [None, 1]
    await _stop_all(slow.runner, [*running, *queued])
    assert await _position(slow.runner, queued[1]) is None


async def test_the_doorbell_of_the_queue(slow: Ears) -> None:
    """The doorbell rings when the place of a queued task is another: one came before it, left, or has started."""
    running = await _busy(slow)
    last = await _started(slow)
    task = await slow.runner.get_task_state(last)
    seen: list[int | None] = []

    def look() -> None:
        place = slow.runner.queue_place(task)
        seen.append(None if place is None else place.position)

    slow.runner.watch_queue(look)
    first = await slow.runner.create_task(NewTask(input_prompt="x", priority=5))
    await slow.runner.start_task(first.id)
    assert seen[-1] == 2
    await slow.runner.stop_task(first.id)
    assert seen[-1] == 1
    await slow.runner.stop_task(running[0])
    await slow.until(last, lambda task: task.status is Status.RUNNING)
    assert seen[-1] is None
    await _stop_all(slow.runner, [*running, last])


async def test_a_full_queue(slow: Ears) -> None:
    """What would have to wait and may not is refused, and as before; when there is room again, it may."""
    running = await _busy(slow)
    queued = [await _started(slow) for _ in range(QUEUE_LIMIT)]
    refused = await slow.runner.create_task(NewTask(input_prompt="x"))
    with pytest.raises(QueueFull) as refusal:
        await slow.runner.start_task(refused.id)
    assert refusal.value.limit == QUEUE_LIMIT
    assert await slow.runner.get_task_state(refused.id) == refused
    assert slow.runner.load().queued == QUEUE_LIMIT
    await slow.runner.stop_task(queued[0])
    assert (await slow.runner.start_task(refused.id)).status is Status.QUEUED
    await _stop_all(slow.runner, [*running, *queued, refused.id])


async def test_starting_many_at_the_same_time(slow: Ears) -> None:
    """Of more simultaneous starts than there is room for, those that fit are taken and the others refused."""
    tasks = [await slow.runner.create_task(NewTask(input_prompt="x")) for _ in range(2 + QUEUE_LIMIT + 4)]
    outcomes = await asyncio.gather(*(slow.runner.start_task(task.id) for task in tasks), return_exceptions=True)
    assert sum(isinstance(outcome, QueueFull) for outcome in outcomes) == 4
    load = slow.runner.load()
    assert (load.running, load.queued) == (2, QUEUE_LIMIT)
    await _stop_all(slow.runner, [outcome.id for outcome in outcomes if isinstance(outcome, Task)])


async def test_a_drain(slow: Ears) -> None:
    """A draining runner starts nothing, though there is a place, until it is told to resume; what runs goes on."""
    running = await _started(slow)
    await slow.until(running, lambda task: task.status is Status.RUNNING)
    for _ in range(2):
        await slow.runner.drain()
    assert slow.runner.load().draining
    queued = await _started(slow)
    place = slow.runner.queue_place(await slow.runner.get_task_state(queued))
    assert place is not None and place.position == 1 and "draining" in place.reason
    assert (await slow.runner.get_task_state(running)).status is Status.RUNNING
    await slow.runner.stop_task(running)
    assert (await slow.runner.get_task_state(queued)).status is Status.QUEUED
    load = slow.runner.load()
    assert (load.running, load.queued) == (0, 1)
    for _ in range(2):
        await slow.runner.resume()
    await slow.until(queued, lambda task: task.status is Status.RUNNING)
    assert not slow.runner.load().draining
    await slow.runner.stop_task(queued)


async def test_stats(ears: Ears) -> None:
    """A run is told of while it goes on, with what it has used; when it is over, its events and status are counted."""
    before = await ears.runner.stats()
    task_id = await _started(ears, review=["ProductManager"])
    task = await ears.until(task_id, lambda task: task.status is Status.WAITING)
    during = await ears.runner.stats()
    await ears.runner.stop_task(task_id)
    after = await ears.runner.stats()
    assert [(attempt.task_id, attempt.usage) for attempt in during.attempts] == [(task_id, task.usage)]
    assert task.usage.llm_calls > 0
    assert during.tasks[Status.WAITING] == 1 and during.queue_depth == 0
    assert after.attempts == []
    assert after.tasks[Status.CANCELLED] == before.tasks[Status.CANCELLED] + 1
    assert after.commits.events - before.commits.events == len(await _log(ears.runner, task_id))
    assert sum(after.stops.values()) == sum(before.stops.values()) + 1


async def test_deletion(ears: Ears) -> None:
    """A deletion is told, once, and takes the workspace with it."""
    task_id = await _started(ears)
    task = await ears.end(task_id)
    await ears.runner.delete_task(task_id)
    assert ears.changes.count(Deleted(task_id)) == 1
    assert task.workspace is not None
    assert not await asyncio.to_thread(Path(task.workspace).exists)


async def test_an_imported_run(ears: Ears) -> None:
    """A run that is exported, deleted and imported is told of, has the same log, and cannot be run or continued."""
    task_id = await _started(ears)
    await ears.runner.stop_task(task_id)
    log, digest = await _log(ears.runner, task_id), await ears.runner.get_task_digest(task_id, None)
    chunks = [chunk async for chunk in await ears.runner.export_log(task_id, size=1000)]

    async def file() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    with pytest.raises(TaskExists):
        await ears.runner.import_log(file())
    await ears.runner.delete_task(task_id)
    task = await ears.runner.import_log(file())
    assert ears.changes[-1] == Commit(task, [])
    assert (task.status, task.workspace) == (Status.CANCELLED, None)
    assert await _log(ears.runner, task_id) == log
    assert await ears.runner.get_task_digest(task_id, None) == digest
    for refused in (
        ears.runner.start_task(task_id),
        ears.runner.create_task(NewTask(input_prompt="more", continues=task_id)),
    ):
        with pytest.raises(Conflict, match="imported"):
            await refused


async def test_one_runner_for_one_folder(tmp_path: Path) -> None:
    """A second runner on the same folder is refused, and the folder is free again after the first."""
    async with open_supervisor(tmp_path, llm=Llm(demo_pace=0), concurrency=1, limits=RunLimits(grace=1)):
        with pytest.raises(DataFolderBusy):
            async with open_supervisor(tmp_path, llm=Llm(demo_pace=0), concurrency=1, limits=RunLimits(grace=1)):
                pass
    async with open_supervisor(tmp_path, llm=Llm(demo_pace=0), concurrency=1, limits=RunLimits(grace=1)):
        pass
