"""One attempt, with a child that does what it should not."""

import asyncio
import json
import select
import signal
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from runner.attempt import BudgetRaised, OpenQuestion, Sync
from runner.base import Commit, Load, Place
from runner.errors import AlreadyAnswered, Conflict
from runner.events import EventType, hence, now
from runner.ledger import LOSSES
from runner.limits import RunLimits
from runner.states import TERMINAL, Status
from runner.store import SqliteStore
from runner.usage import Raised, Usage
from tests.children import Stage, leave_behind, told_supervisor
from tests.support import DEADLINE, ends, until

KEY = "sk-" + "k" * 20

QUESTION = {
    "message": "Good?",
    "request_id": "r1",
    "kind": "review",
    "question": "Good?",
    "choices": ["approve"],
    "deadline": None,
}


class Gate:
    """Before a store; commits wait while it is shut."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.reached = asyncio.Event()
        """Set once a commit waits."""

    def store(self) -> type[SqliteStore]:
        gate = self

        class GatedStore(SqliteStore):
            async def check_writable(self) -> None:
                """Take no time, so that what a person asks for is decided at once."""

            async def append(self, commits: Sequence[Commit]) -> list[bool]:
                if not gate.open.is_set():
                    gate.reached.set()
                await gate.open.wait()
                return await super().append(commits)

        return GatedStore


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with told_supervisor(tmp_path) as (supervisor, forks):
        yield Stage(supervisor, forks)


async def test_a_good_end(stage: Stage) -> None:
    """RESULT and exit code 0 are success."""
    (await stage.child()).finish()
    assert (await stage.end()).status is Status.SUCCEEDED


@pytest.mark.parametrize(("code", "said"), [(0, "exit code 0"), (1, "exit code 1")])
async def test_an_end_without_a_result(stage: Stage, code: int, said: str) -> None:
    """Whatever its exit code, a child that ends without RESULT has failed, and ERROR and reason say how."""
    (await stage.child()).exit(code)
    task = await stage.end()
    assert task.status is Status.FAILED and task.reason is not None and said in task.reason
    assert (await stage.kinds())[-2:] == ["ERROR", "STATUS"]


@pytest.mark.parametrize(("code", "said"), [(-signal.SIGSEGV, "SIGSEGV"), (None, "fork server")])
async def test_a_child_that_is_lost(stage: Stage, code: int | None, said: str) -> None:
    """The attempt of a child that was killed has failed, says how, and is followed by the next, in one commit."""
    commits: list[Commit] = []
    stage.supervisor.watch(lambda change: commits.append(change) if isinstance(change, Commit) else None)
    (await stage.child()).exit(code)
    (await stage.forks.child()).finish()
    assert (await stage.end()).status is Status.SUCCEEDED
    log = await stage.log()
    told = [event["payload"] for event in log if event["event_type"] in ("ERROR", "STATUS")]
    assert [payload.get("status", "ERROR") for payload in told[2:]] == [
        "ERROR", "FAILED", "QUEUED", "RUNNING", "SUCCEEDED",
    ]  # fmt: skip
    assert said in told[2]["message"] and said in told[3]["reason"]
    assert [commit.task.status for commit in commits if commit.task.status is Status.FAILED] == []


async def test_a_result_and_a_crash_after_it(stage: Stage) -> None:
    """A RESULT does not make up for a crash after it: the next attempt has one of its own."""
    child = await stage.child()
    child.emit(EventType.RESULT, {"message": "done", "final_result": {}})
    child.exit(-signal.SIGKILL)
    (await stage.forks.child()).finish()
    task = await stage.end()
    assert (task.status, task.attempt) == (Status.SUCCEEDED, 2)


async def test_the_childs_own_error_is_the_reason(stage: Stage) -> None:
    """A fatal ERROR of the child is the reason of the end, and is not said twice."""
    child = await stage.child()
    child.emit(EventType.ERROR, {"message": "The key was refused.", "fatal": True})
    child.exit(1)
    assert (await stage.end()).reason == "The key was refused."
    assert (await stage.kinds()).count("ERROR") == 1


@pytest.mark.parametrize(
    "line",
    [
        b"not JSON\n",
        b"\xff\n",
        b"\n",
        b"[]\n",
        b"{}\n",
        b'{"timestamp":"t","agent_role":null,"event_type":"NOISE","payload":{}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"LOG","payload":{},"event_id":1}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"ERROR","payload":[]}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"LOG","payload":"words"}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"LOG","payload":{"message":"\xff"}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"INPUT_REQUEST","payload":{}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"INPUT_REQUEST",'
        b'"payload":{"request_id":"r","question":"q","deadline":"2026-01-01"}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"LLM_CALL","payload":{"prompt_tokens":"many"}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"LLM_CALL","payload":{"cost_usd":[0.1]}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"ACTION_COMPLETE","payload":{"progress":"half"}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"TOKEN","payload":{"call":"c","delta":5}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"MESSAGE","payload":{"message":"x","whole":{"path":"p"}}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"ARTIFACT","payload":{"path":"p"}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"RESULT","payload":{"final_result":{"artifacts":5}}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"STATUS","payload":{"status":"SUCCEEDED"}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"RESOURCE","payload":{}}\n',
        b'{"timestamp":"t","agent_role":null,"event_type":"INPUT_RESPONSE","payload":{}}\n',
        b'{"op":"promote"}\n',
        b'{"op":"budget raised","option":"n_round","to":9}\n',
    ],
)
async def test_a_line_that_is_no_event(stage: Stage, line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A child that breaks the protocol, or says what is not its to say, is killed, and its attempt has failed.

    That is told in words that a person understands, and is no bug that the server's log tells.
    """
    child = await stage.child()
    child.write(line)
    task = await stage.end()
    assert task.status is Status.FAILED
    assert "wrote what is no event" in str(task.reason)
    assert [record.message for record in caplog.records if record.exc_info] == []
    assert child.signals == [signal.SIGKILL]
    log = await stage.log()
    assert [event["event_id"] for event in log] == list(range(1, len(log) + 1))
    assert [event["payload"]["status"] for event in log if event["event_type"] == "STATUS"][-1] == "FAILED"


async def test_a_line_without_an_end(stage: Stage) -> None:
    """What is left of a line when the child dies is no event."""
    child = await stage.child()
    child.write(b'{"timestamp":"t","agent_role":null,"event_type":"LOG","pay')
    child.exit(1)
    assert (await stage.end()).status is Status.FAILED
    assert "LOG" not in await stage.kinds()


async def test_events_in_pieces(stage: Stage) -> None:
    """Where the pipe cuts what the child writes has no influence on the events."""
    child = await stage.child()
    text = "é😀" * 100
    line = json.dumps(
        {"timestamp": "t", "agent_role": None, "event_type": "LOG", "payload": {"message": text}}, ensure_ascii=False
    ).encode()
    for byte in line + b"\n":
        child.write(bytes([byte]))
        await asyncio.sleep(0)
    child.finish()
    await stage.end()
    assert [e["payload"]["message"] for e in await stage.log() if e["event_type"] == "LOG"] == [text]


async def test_a_child_that_cannot_be_made(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """When no process can be made the attempt has failed, and says why; that is no bug that the server's log tells."""
    stage.forks.refuses = "No process could be made: no memory."
    await stage.start()
    assert (await stage.end()).reason == "No process could be made: no memory."
    assert caplog.records == []


async def test_a_stop_before_there_is_a_child(stage: Stage) -> None:
    """A run can be stopped while it waits for its child."""
    stage.forks.held.clear()
    await stage.start()
    stopped = await stage.supervisor.stop_task(stage.task_id)
    assert (stopped.status, stopped.how) == (Status.CANCELLED, "graceful")


async def test_a_stop_of_the_deaf(stage: Stage) -> None:
    """A child that does not hear SIGTERM is killed after the grace."""
    child = await stage.child()
    child.deaf = True
    stopped = await stage.supervisor.stop_task(stage.task_id)
    assert child.signals[:2] == [signal.SIGTERM, signal.SIGKILL]
    assert stopped.how == "killed" and stopped.took_ms >= 200


async def test_a_stop_as_the_fork_server_is_lost(stage: Stage) -> None:
    """A child that is lost with the fork server while it has its grace did not end by itself."""
    child = await stage.child()
    child.deaf = True
    stop = asyncio.create_task(stage.supervisor.stop_task(stage.task_id))
    await stage.until(Status.STOPPING)
    child.exit(None)
    stopped = await stop
    assert (stopped.status, stopped.how) == (Status.CANCELLED, "killed")


async def test_a_stop_that_comes_too_late(stage: Stage) -> None:
    """A stop of a run that ends by itself at this moment is answered, and there is one terminal STATUS."""
    child = await stage.child()
    stop = asyncio.create_task(stage.supervisor.stop_task(stage.task_id))
    child.finish()
    assert (await stop).status in TERMINAL
    told = [event["payload"]["status"] for event in await stage.log() if event["event_type"] == "STATUS"]
    assert len([status for status in told if status in TERMINAL]) == 1


async def test_what_a_waiting_run_uses(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a person is asked the log does not grow, however long it takes."""
    monkeypatch.setattr("runner.run.RESOURCE_PERIOD", 0.001)
    child = await stage.child()
    child.emit(EventType.LOG, {"message": "at work"})
    child.emit(EventType.INPUT_REQUEST, QUESTION)
    await stage.until(Status.WAITING)
    busy = Stage(stage.supervisor, stage.forks)
    await busy.child()

    async def readings() -> int:
        return (await busy.kinds()).count("RESOURCE")

    await until(readings, lambda count: count >= 3)  # one that was under way is over
    head = (await stage.task()).head
    begun = await readings()
    await until(readings, lambda count: count >= begun + 20)
    assert (await stage.task()).head == head
    await busy.supervisor.stop_task(busy.task_id)
    await stage.supervisor.stop_task(stage.task_id)


async def test_a_place_while_a_person_is_asked(stage: Stage) -> None:
    """A run that asks gives its place to the next; answered, it goes on at once, and it is the others who wait then."""
    first, second = await _asking(stage), await _asking(stage)
    assert stage.supervisor.load() == Load(draining=False, running=2, queued=0)
    third, fourth = Stage(stage.supervisor, stage.forks), Stage(stage.supervisor, stage.forks)
    child = await third.child()
    await first.supervisor.answer(first.task_id, "r1", "approve")
    await second.supervisor.answer(second.task_id, "r1", "approve")
    await fourth.start()
    child.finish()
    await third.end()
    place = stage.supervisor.queue_place(await fourth.task())
    assert place == Place(1, "All places are taken (2); it starts next.")
    await stage.supervisor.stop_task(first.task_id)
    await stage.forks.child()
    assert stage.supervisor.load() == Load(draining=False, running=2, queued=0)


async def test_how_many_may_ask_without_a_place(tmp_path: Path) -> None:
    """Of the runs that ask, those beyond the limit keep their places, until one of the others is answered."""
    async with told_supervisor(tmp_path, waiting_limit=1) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        first, *_ = [await _asking(stage) for _ in range(3)]
        await stage.start()
        place = supervisor.queue_place(await stage.task())
        assert place is not None and place.reason.startswith("All places are taken (2), 2 by tasks that wait")
        await supervisor.stop_task(first.task_id)
        await forks.child()
        assert supervisor.queue_place(await stage.task()) is None


async def _asking(stage: Stage) -> Stage:
    """Another task, which waits for a person."""
    another = Stage(stage.supervisor, stage.forks)
    (await another.child()).emit(EventType.INPUT_REQUEST, QUESTION)
    await another.until(Status.WAITING)
    return another


async def test_an_end_while_a_person_is_asked(stage: Stage) -> None:
    """A child that ends although its question was never answered has broken off, whatever it says."""
    child = await stage.child()
    child.emit(EventType.INPUT_REQUEST, QUESTION)
    await stage.until(Status.WAITING)
    child.finish()
    task = await stage.end()
    assert (task.status, task.waiting) == (Status.FAILED, None)


async def test_a_crash_while_a_person_is_asked(stage: Stage) -> None:
    """A question whose process is gone stays open; the next one is told of it, and gets the answer."""
    child = await stage.child()
    child.emit(EventType.INPUT_REQUEST, QUESTION, agent_role="Architect")
    await stage.until(Status.WAITING)
    child.exit(-signal.SIGKILL)
    child = await stage.forks.child()
    assert child.spec.checkpoint.question == OpenQuestion(request_id="r1", role="Architect", kind="review")
    await stage.supervisor.answer(stage.task_id, "r1", "approve")
    assert await child.received() == {"op": "answer", "request_id": "r1", "answer": "approve"}
    with pytest.raises(AlreadyAnswered):
        await stage.supervisor.answer(stage.task_id, "r1", "approve")
    child.finish()
    assert (await stage.end()).status is Status.SUCCEEDED


async def test_a_question_that_its_answer_has_overtaken(stage: Stage) -> None:
    """A child that asks again what was answered on its way there does not make the task wait."""
    child = await stage.child()
    child.emit(EventType.INPUT_REQUEST, QUESTION)
    await stage.until(Status.WAITING)
    child.exit(-signal.SIGKILL)
    child = await stage.forks.child()
    await stage.supervisor.answer(stage.task_id, "r1", "approve")
    child.emit(EventType.INPUT_REQUEST, QUESTION)
    child.finish()
    assert (await stage.end()).status is Status.SUCCEEDED
    assert (await stage.kinds()).count("INPUT_REQUEST") == 1


async def test_an_answer_reaches_the_child(stage: Stage) -> None:
    """The child gets the answer, once, and the log shows it."""
    child = await stage.child()
    child.emit(EventType.INPUT_REQUEST, QUESTION)
    await stage.until(Status.WAITING)
    await stage.supervisor.answer(stage.task_id, "r1", "approve")
    assert await child.received() == {"op": "answer", "request_id": "r1", "answer": "approve"}
    child.finish()
    await stage.end()
    assert [kind for kind in await stage.kinds() if kind.startswith(("INPUT", "STATUS"))] == [
        "STATUS", "STATUS", "INPUT_REQUEST", "STATUS", "INPUT_RESPONSE", "STATUS", "STATUS",
    ]  # fmt: skip


async def test_a_message_before_there_is_a_child(stage: Stage) -> None:
    """What a person says as a run begins is in the log at once, reaches the child, and the next one if it is lost."""
    stage.forks.held.clear()
    await stage.start()
    await stage.supervisor.say(stage.task_id, "Make it blue.", "Engineer")
    assert "MESSAGE" in await stage.kinds()
    stage.forks.held.set()
    child = await stage.forks.child()
    said = await child.received()
    assert (said["content"], said["send_to"]) == ("Make it blue.", "Engineer")
    child.exit(-signal.SIGKILL)
    again = (await stage.forks.child()).spec.checkpoint
    assert [msgspec.structs.asdict(say) for say in again.said] == [
        {"id": said["id"], "content": "Make it blue.", "send_to": "Engineer"}
    ]


async def test_secrets_that_a_person_says(stage: Stage) -> None:
    """A key that a person writes is not in the log, nor in the task, nor does the team hear it."""
    child = await stage.child()
    child.emit(EventType.INPUT_REQUEST, QUESTION)
    await stage.until(Status.WAITING)
    await stage.supervisor.say(stage.task_id, f"The key is {KEY}.", None)
    await stage.supervisor.answer(stage.task_id, "r1", f"Use {KEY}.")
    assert (await child.received())["content"] == "The key is [redacted]."
    assert (await child.received())["answer"] == "Use [redacted]."
    assert KEY not in json.dumps(await stage.log())
    assert KEY not in str(await stage.task())


async def test_a_message_after_the_result(stage: Stage) -> None:
    """What no team hears any more is refused."""
    child = await stage.child()
    child.emit(EventType.RESULT, {"message": "done", "final_result": {"artifacts": []}})
    await until(stage.kinds, lambda kinds: "RESULT" in kinds)
    with pytest.raises(Conflict, match="finished"):
        await stage.supervisor.say(stage.task_id, "One more thing.", None)
    child.exit(0)
    await stage.end()


async def test_a_message_to_a_child_that_has_ended(stage: Stage) -> None:
    """A message that finds no process any more is told to the next one."""
    child = await stage.child()
    child._theirs.close()  # it has ended, and nobody has noticed yet
    await stage.supervisor.say(stage.task_id, "Make it blue.", None)
    child.exited.set_result(-signal.SIGKILL)
    assert [say.content for say in (await stage.forks.child()).spec.checkpoint.said] == ["Make it blue."]


async def test_a_stop_between_two_attempts(stage: Stage) -> None:
    """Each attempt has one terminal status, also the one that a stop finds in the queue."""
    child = await stage.child()
    await stage.supervisor.drain()
    child.exit(-signal.SIGKILL)
    await stage.until(Status.QUEUED)
    assert (await stage.supervisor.stop_task(stage.task_id)).status is Status.CANCELLED
    assert ends(await stage.log()) == [
        (1, "FAILED"),
        (2, "CANCELLED"),
    ]


async def test_the_place_of_what_was_lost(stage: Stage) -> None:
    """An attempt that goes on has waited already: it does not go behind what has come since."""
    child = await stage.child()
    first = (await stage.task()).queued_at
    child.exit(-signal.SIGKILL)
    await stage.forks.child()
    assert (await stage.task()).queued_at == first


async def test_a_silent_child(tmp_path: Path) -> None:
    """A child that gives no sign of life is killed, and its attempt has failed with a reason that says so."""
    async with told_supervisor(tmp_path, limits=RunLimits(grace=0.2, silence=0.05)) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        task = await stage.end()
        assert (task.status, child.signals) == (Status.FAILED, [signal.SIGKILL])
        assert task.reason == "The process of this run gave no sign of life for 0.05 s, and was killed."
        assert (await stage.kinds()).count("ERROR") == 1


async def test_a_child_that_is_alive(tmp_path: Path) -> None:
    """A child that has nothing to tell but that it is alive is left alone, and nothing of that is in the log."""
    async with told_supervisor(tmp_path, limits=RunLimits(grace=0.2, silence=0.2)) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        for number in range(30):
            child.note(Sync(number=number))
            await asyncio.sleep(0.02)
        child.finish()
        assert (await stage.end()).status is Status.SUCCEEDED
        assert await stage.kinds() == ["STATUS", "STATUS", "RESULT", "STATUS"]


async def test_what_is_in_the_log(tmp_path: Path) -> None:
    """A child that asks is told that what it has said is in the log once it is, and not before."""
    gate = Gate()
    async with told_supervisor(tmp_path, kind=gate.store()) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        await stage.until(Status.RUNNING)
        gate.open.clear()
        child.emit_and_sync(EventType.LOG, {"message": "before"})
        await gate.reached.wait()
        early, _, _ = select.select([child._theirs], [], [], 0)
        gate.open.set()
        assert await child.received() == {"op": "synced", "number": 1} and not early
        child.finish()
        await stage.end()


async def test_the_time_limit(stage: Stage) -> None:
    """A run that has worked for too long is ended, and says so."""
    child = await stage.child(timeout_s=0.05)
    assert (await stage.end()).reason == "The time limit of 0.05 s was reached."
    assert child.signals == [signal.SIGKILL]


async def test_the_time_limit_over_attempts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that goes on has the time that is left, and is over before one that began before it with all of it."""
    monkeypatch.setattr("runner.run.RESOURCE_PERIOD", 0.01)
    child = await stage.child(timeout_s=1)
    worked = (
        await until(stage.task, lambda task: task.worked_s > 0.5)
    ).worked_s  # kept, whatever becomes of the server
    other = Stage(stage.supervisor, stage.forks)
    await other.child(timeout_s=1)
    child.exit(-signal.SIGKILL)
    await stage.forks.child()
    assert (await stage.task()).worked_s >= worked
    ended = await stage.end()
    assert ended.reason == "The time limit of 1 s was reached."
    assert (ended.completed_at or "") < ((await other.end()).completed_at or "")


async def test_the_time_limit_of_a_run_that_a_person_wants(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that a person runs again has all of its time."""
    monkeypatch.setattr("runner.run.RESOURCE_PERIOD", 0.01)
    await stage.child(timeout_s=1)
    worked = (await until(stage.task, lambda task: task.worked_s > 0.5)).worked_s
    await stage.supervisor.stop_task(stage.task_id)
    await stage.supervisor.start_task(stage.task_id)
    await stage.forks.child()
    assert 0 < (await until(stage.task, lambda task: task.worked_s > 0)).worked_s < worked


async def test_a_deadline_that_passes_without_a_server(tmp_path: Path) -> None:
    """A question whose deadline has passed when the server is there again ends its run, though there is no place."""
    async with told_supervisor(tmp_path) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        deadline = hence(seconds=0.2)
        (await stage.child()).emit(EventType.INPUT_REQUEST, QUESTION | {"deadline": deadline})
        await stage.until(Status.WAITING)
    await until(now, lambda time: time > deadline)
    async with told_supervisor(tmp_path, places=0) as (stage.supervisor, forks):
        await stage.supervisor.recover()
        await stage.supervisor.resume_queue()
        task = await stage.end()
        assert task.reason == "Nobody answered within 24 h (answer_timeout_s). The question was: Good?"
        errors = [event["payload"] for event in await stage.log() if event["event_type"] == "ERROR"]
        assert [(error["error_type"], error["fatal"]) for error in errors] == [("Unanswered", True)]


async def test_servers_that_die_while_a_person_is_asked(tmp_path: Path) -> None:
    """However often the server is killed, a run that waits for a person has not failed by that."""
    folders = [tmp_path / str(number) for number in range(LOSSES + 2)]
    folders[0].mkdir()
    async with told_supervisor(folders[0]) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        await stage.start()
    for folder, next_folder in pairwise(folders):
        async with told_supervisor(folder) as (stage.supervisor, forks):
            await stage.supervisor.recover()
            await stage.supervisor.resume_queue()
            (await forks.child()).emit(EventType.INPUT_REQUEST, QUESTION)
            await stage.until(Status.WAITING)
            leave_behind(folder, next_folder)
    async with told_supervisor(folders[-1]) as (stage.supervisor, forks):
        await stage.supervisor.recover()
        assert (await stage.task()).status is Status.QUEUED


async def test_a_deadline_that_passes_in_the_queue(tmp_path: Path) -> None:
    """A question whose deadline passes while its task waits for a place to go on ends the run all the same."""
    async with told_supervisor(tmp_path, places=1) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        child.emit(EventType.INPUT_REQUEST, QUESTION | {"deadline": hence(seconds=0.5)})
        await stage.until(Status.WAITING)
        await Stage(supervisor, forks).child()
        child.exit(-signal.SIGKILL)
        await stage.until(Status.QUEUED)
        assert (await stage.end()).reason == "Nobody answered within 24 h (answer_timeout_s). The question was: Good?"


async def test_the_time_limit_begins_with_the_process(stage: Stage) -> None:
    """However long a process takes to be made, that is no time of the run; and once it is made it is ended with it."""
    stage.forks.held.clear()
    await stage.start(timeout_s=0.05)
    await stage.until(Status.RUNNING)
    await asyncio.sleep(0.1)
    stage.forks.held.set()
    child = await stage.forks.child()
    assert (await stage.end()).reason == "The time limit of 0.05 s was reached."
    assert child.exited.done()


async def test_the_time_limit_of_a_run_that_is_stopped(tmp_path: Path) -> None:
    """A run that is to stop has its grace, though its time is over meanwhile; then it was killed, and stop says so."""
    async with told_supervisor(tmp_path, limits=RunLimits(grace=0.5)) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child(timeout_s=0.2)
        child.deaf = True
        stopped = await supervisor.stop_task(stage.task_id)
        assert (stopped.how, stopped.status) == ("killed", Status.CANCELLED)
        assert stopped.took_ms >= 500


async def test_an_answer_to_a_run_that_is_stopping(tmp_path: Path) -> None:
    """Nobody is asked any more once the run is to stop."""
    async with told_supervisor(tmp_path, limits=RunLimits(grace=60)) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        child.deaf = True
        child.emit(EventType.INPUT_REQUEST, QUESTION)
        await stage.until(Status.WAITING)
        stopping = asyncio.create_task(supervisor.stop_task(stage.task_id))
        assert (await stage.until(Status.STOPPING)).waiting is None
        with pytest.raises(AlreadyAnswered):
            await supervisor.answer(stage.task_id, "r1", "approve")
        child.exit(0)
        await stopping


@pytest.mark.parametrize("free", [True, False], ids=["a free place", "no free place"])
async def test_the_answer_stop_between_two_attempts(tmp_path: Path, free: bool) -> None:
    """A person who answers `stop` at the moment at which the process is lost has stopped the task, not the attempt."""
    gate = Gate()
    async with told_supervisor(tmp_path, places=1, kind=gate.store()) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        child.emit(EventType.INPUT_REQUEST, QUESTION | {"choices": ["approve", "stop"]})
        await stage.until(Status.WAITING)
        if not free:
            await Stage(supervisor, forks).child()
        gate.open.clear()
        child.exit(-signal.SIGKILL)
        await gate.reached.wait()
        answering = asyncio.create_task(supervisor.answer(stage.task_id, "r1", "stop"))
        await asyncio.sleep(0)
        gate.open.set()
        assert (await answering).status is Status.CANCELLED
        assert (await stage.task()).status is Status.CANCELLED


async def test_a_start_that_nobody_waits_for(tmp_path: Path) -> None:
    """A task whose start is given up while it is being queued runs, as its log says that it is queued."""
    gate = Gate()
    async with told_supervisor(tmp_path, kind=gate.store()) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        gate.open.clear()
        starting = asyncio.create_task(stage.start())
        await gate.reached.wait()
        starting.cancel()
        await asyncio.wait({starting})
        gate.open.set()
        (await forks.child()).finish()
        assert (await stage.end()).status is Status.SUCCEEDED


async def test_what_is_said_by_somebody_who_goes(tmp_path: Path) -> None:
    """A message and an answer reach the child, since the log has them, although nobody waits for that any more."""
    gate = Gate()
    async with told_supervisor(tmp_path, kind=gate.store()) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        child.emit(EventType.INPUT_REQUEST, QUESTION)
        await stage.until(Status.WAITING)
        gate.open.clear()
        telling = {
            asyncio.create_task(supervisor.say(stage.task_id, "Make it blue.", None)),
            asyncio.create_task(supervisor.answer(stage.task_id, "r1", "approve")),
        }
        await gate.reached.wait()
        for one in telling:
            one.cancel()
        await asyncio.wait(telling)
        gate.open.set()
        assert {(await child.received())["op"] for _ in telling} == {"message", "answer"}


async def test_losses_of_a_run_that_comes_further(stage: Stage) -> None:
    """Lost processes are in a row only as long as no attempt has come further than the one before."""
    await stage.start()
    for _ in range(LOSSES + 1):
        child = await stage.forks.child()
        call = {"message": "m", "call": "c", "prompt_sha256": "", "answer_chars": 0, "error": None}
        child.emit(EventType.LLM_CALL, call | {"prompt_tokens": 1, "cost_usd": 0.0}, agent_role="Engineer")
        await until(stage.task, lambda task: task.losses == 0)
        child.exit(-signal.SIGKILL)
    await stage.forks.child()
    assert (await stage.task()).attempt == LOSSES + 2


async def test_the_time_limit_while_a_person_is_asked(stage: Stage) -> None:
    """The time of a run stands still while a person is asked, and goes on after the answer."""
    child = await stage.child(timeout_s=1)
    child.emit(EventType.INPUT_REQUEST, QUESTION)
    await stage.until(Status.WAITING)
    await asyncio.sleep(1.1)
    assert (await stage.task()).status is Status.WAITING
    await stage.supervisor.answer(stage.task_id, "r1", "approve")
    assert (await stage.task()).status is Status.RUNNING
    assert (await stage.end()).reason == "The time limit of 1 s was reached."


async def test_what_earlier_attempts_have_used(stage: Stage) -> None:
    """The next attempt is told what the task has used so far, and what its budgets were raised to."""
    child = await stage.child(budget_usd=1.0)
    assert (child.spec.used, child.spec.options.budget_usd) == (Usage(), 1.0)
    call = {"message": "m", "call": "call-1", "prompt_sha256": "", "answer_chars": 0, "error": None}
    child.emit(EventType.LLM_CALL, call | {"prompt_tokens": 7, "cost_usd": 1.5}, agent_role="Engineer")
    child.note(BudgetRaised(option="budget_usd", to=2.5))
    child.note(BudgetRaised(option="budget_tokens", to=100.0))
    child.emit(EventType.LOG, {"message": "The budget was raised."})
    child.exit(1)
    task = await stage.end()
    assert (task.raised, task.options.budget_usd) == (Raised(budget_usd=2.5, budget_tokens=100), 1.0)
    await stage.supervisor.start_task(stage.task_id)
    again = (await stage.forks.child()).spec
    assert (again.options.budget_usd, again.options.budget_tokens) == (2.5, 100)
    assert again.used == task.usage
    assert again.used.by_role["Engineer"].cost_usd == 1.5


async def test_a_flood_of_messages(stage: Stage) -> None:
    """Messages of many people at once, to a child that does not read at the moment, arrive whole, each once."""
    child = await stage.child()
    child.emit(EventType.LOG, {"message": "ready"})
    await until(stage.kinds, lambda kinds: "LOG" in kinds)
    texts = {f"{n}:" + "x" * 20_000 for n in range(40)}
    saying = [asyncio.create_task(stage.supervisor.say(stage.task_id, text, None)) for text in texts]
    await until(lambda: not select.select([], [child._connection], [], 0)[1], bool)  # the pipe is full
    assert not all(say.done() for say in saying)
    seen: list[str] = []
    buffer = b""
    while len(seen) < len(texts):
        buffer += await asyncio.wait_for(asyncio.get_running_loop().sock_recv(child._theirs, 1 << 20), 5)
        *lines, buffer = buffer.split(b"\n")
        seen += [json.loads(line)["content"] for line in lines]
    assert sorted(seen) == sorted(texts)
    await asyncio.gather(*saying)
    child.finish()
    await stage.end()


async def test_a_stop_as_the_server_ends(stage: Stage) -> None:
    """A stop that finds its task queued for the next server is refused, and not answered as if it had stopped."""
    await stage.child()
    await stage.supervisor.aclose()
    with pytest.raises(Conflict, match="shutting down"):
        await stage.supervisor.stop_task(stage.task_id)
    assert (await stage.task()).status is Status.QUEUED


async def test_the_end_of_the_server_in_a_long_stop(tmp_path: Path) -> None:
    """A server that ends does not wait for the whole grace of a stop, whose run ends as one that was stopped."""
    async with told_supervisor(tmp_path, limits=RunLimits(grace=3600)) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        child = await stage.child()
        child.deaf = True
        stop = asyncio.create_task(supervisor.stop_task(stage.task_id))
        await stage.until(Status.STOPPING)
        async with asyncio.timeout(DEADLINE):
            await supervisor.aclose()
        assert (await stop).how == "killed"
        assert ends(await stage.log()) == [(1, "CANCELLED")]


async def test_a_server_that_dies_in_a_stop(tmp_path: Path) -> None:
    """The next server ends the attempt as stopped, and still says why it was."""
    left = tmp_path / "left"
    async with told_supervisor(tmp_path, limits=RunLimits(grace=3600)) as (supervisor, forks):
        stage = Stage(supervisor, forks)
        (await stage.child()).deaf = True
        stop = asyncio.create_task(supervisor.stop_task(stage.task_id))
        await stage.until(Status.STOPPING)
        leave_behind(tmp_path, left)
        await supervisor.aclose()
        await stop
    async with told_supervisor(left) as (stage.supervisor, forks):
        await stage.supervisor.recover()
        task = await stage.task()
        assert (task.status, task.reason) == (Status.CANCELLED, "Stopped on request.")


async def test_the_end_of_the_server(stage: Stage) -> None:
    """What runs when the supervisor is closed goes on with the next one, as does what is queued."""
    children = [await stage.child(), await stage.child()]
    running = stage.task_id
    await stage.start()
    queued = stage.task_id
    await stage.supervisor.aclose()
    assert all(child.exited.done() for child in children)
    assert (await stage.supervisor.get_task_state(running)).status is Status.QUEUED
    assert (await stage.supervisor.get_task_state(queued)).status is Status.QUEUED
