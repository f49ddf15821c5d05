"""The pump: what it does in one turn of the loop is bounded, over all topics and all that subscribe to them."""

import asyncio

import pytest

from runner.base import Filter
from runner.states import Status
from server.bounds import FRAME_BYTES
from server.feed import Outlet, Write
from server.pump import STEP, Pump
from server.topic import Topic
from tests.logs import make_commit, make_task

WEIGHT = 24  # writes in a turn, at most


class Member:
    """A live subscription that counts, for all of them, what happens in this turn of the loop."""

    done = 0

    def __init__(self, topic: Topic, write: Write | None = None) -> None:
        self.live = False
        self.cursor = 0
        self.filter = Filter()
        self.outlet = Outlet(write or _count, self, _refuse, FRAME_BYTES)
        self.retired = False
        self._topic = topic
        assert topic.join(self)
        assert self.live

    def retire(self) -> None:
        self.retired = True
        Member.done += 1

    def leave(self) -> int:
        """Be lagging; the cursor with which it is."""
        self._topic.leave(self)
        return self.cursor


def _count(_: Member, wire: bytes) -> int:
    Member.done += 1
    return len(wire)


def _refuse(_: memoryview) -> None:
    raise AssertionError("everything was taken")


async def _turns() -> list[int]:
    """How much was done in each turn, until nothing is done any more."""
    turns: list[int] = []
    while True:
        Member.done = 0
        await asyncio.sleep(0)
        if not Member.done:
            return turns
        turns.append(Member.done)


@pytest.fixture
def pump(monkeypatch: pytest.MonkeyPatch) -> Pump:
    """With turns that end by what was done, however slow the machine is."""
    monkeypatch.setattr("server.pump.TURN", 60.0)
    monkeypatch.setattr("server.pump.TURN_WEIGHT", WEIGHT)
    return Pump()


@pytest.mark.parametrize(("topics", "members"), [(1, 200), (70, 3), (10, 30)])
async def test_a_turn(pump: Pump, topics: int, members: int) -> None:
    """However the subscriptions are spread over tasks, as many are written to in a turn, and all in the end."""
    watched = [Topic(f"t{number}", pump) for number in range(topics)]
    subscribed = [Member(topic) for topic in watched for _ in range(members)]
    for topic in watched:
        topic.take(make_commit(make_task(topic.task_id), ["x"]))
    turns = await _turns()
    assert sum(turns) == len(subscribed)
    assert max(turns) <= WEIGHT + STEP
    assert {member.leave() for member in subscribed} == {1}


async def test_the_end_of_a_run(pump: Pump) -> None:
    """Thousands that watch are not all woken at once when the run ends: each reads its end by itself."""
    topic = Topic("task", pump)
    subscribed = [Member(topic) for _ in range(200)]
    topic.take(make_commit(make_task(), ["x"], status=Status.SUCCEEDED))
    turns = await _turns()
    assert sum(turns) == 2 * len(subscribed)
    assert max(turns) <= WEIGHT + STEP
    assert not any(member.live for member in subscribed)


async def test_what_comes_while_a_run_ends(pump: Pump) -> None:
    """Who is back at the head while others are woken gets what the next attempt says then."""
    topic = Topic("task", pump)
    subscribed = [Member(topic) for _ in range(200)]
    ended = make_commit(make_task(), ["x"], status=Status.SUCCEEDED)
    topic.take(ended)
    while not subscribed[0].retired:  # noqa: ASYNC110, the turns are what this is about
        await asyncio.sleep(0)
    assert not subscribed[-1].retired
    assert topic.join(subscribed[0])
    topic.take(make_commit(ended.task, ["y"], status=Status.QUEUED))
    await _turns()
    assert subscribed[0].leave() == 2


async def test_a_flush_that_fails(pump: Pump) -> None:
    """A failure in one topic has its subscriptions read by themselves, and keeps the others from nothing."""

    def fail(_: Member, wire: bytes) -> int:
        raise RuntimeError("broken")

    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
    broken, whole = Topic("broken", pump), Topic("whole", pump)
    bad, good = Member(broken, fail), Member(whole)
    for topic in (broken, whole):
        topic.take(make_commit(make_task(topic.task_id), ["x"]))
    await _turns()
    assert (bad.retired, good.leave()) == (True, 1)
    assert [str(failure) for failure in failures] == ["broken"]
