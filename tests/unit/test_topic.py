"""A topic whose subscriptions read, join and leave at any turn: each gets every event, and once."""

import asyncio
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.base import Filter
from runner.events import EventType
from runner.states import Status
from server.bounds import FRAME_BYTES
from server.feed import Outlet
from server.pump import TURN_WEIGHT, WAKING, Pump
from server.topic import Topic
from tests.frames import Frame
from tests.limits import EXAMPLES, exhaustively, tiny_limits
from tests.logs import make_commit, make_task
from tests.world import TYPES

CROWD = 100  # subscriptions


class Follower:
    """A subscription of a topic, as a session has it, but one that reads when it is told to."""

    def __init__(self, topic: Topic, filter: Filter, frame_bytes: int = 10**6) -> None:
        self.outlet = Outlet(Follower._take, self, self._spill, frame_bytes)
        self.live = False
        self.cursor = 0
        self.held: list[int] = []
        self.room: int | None = None  # bytes that its connection takes before it is slow
        self.rung = True
        self.filter = filter
        self._taken = b""
        self._topic = topic
        topic.watch(self.retire)

    def retire(self) -> None:
        self.rung = True

    def _take(self, wire: bytes) -> int:
        assert self.live
        if self.room == 0:
            raise BlockingIOError
        self._taken = wire[: self.room]
        taken = len(self._taken)
        if taken == len(wire):
            self._hold()
        return taken

    def _spill(self, rest: memoryview) -> None:
        self._taken += rest
        self._hold()
        self.pause()

    def _hold(self) -> None:
        frame = msgspec.json.decode(self._taken[self._taken.index(b"{") :], type=Frame)
        assert len(frame.events) == 1 or len(b",".join(map(bytes, frame.events))) <= self.outlet.frame_bytes
        self.held += [msgspec.json.decode(event, type=Numbered).event_id for event in frame.events]
        self._taken = b""

    def read(self) -> None:
        """Read what there is to be read; be live then."""
        self.room = None
        while self.rung and not self.live:
            page = self._topic.page(after=self.cursor, limit=3, size=1000, filter=self.filter)
            assert page is not None
            self.held += [msgspec.json.decode(event, type=Numbered).event_id for event in page.events]
            self.rung = self.cursor < page.cursor
            self.cursor = page.cursor
            if not self.rung and not self._topic.join(self):
                self.rung = True

    def pause(self) -> None:
        """Its connection is slow."""
        if self.live:
            self._topic.leave(self)
            self.retire()


class Numbered(msgspec.Struct):
    event_id: int


steps = st.lists(
    st.tuples(st.sampled_from(["commit", "end"]), st.integers(1, 9))
    | st.tuples(st.just("turn"), st.just(0))
    | st.tuples(st.sampled_from(["read", "pause", "fill", "all but fill"]), st.integers(0, 3)),
    max_size=100,
)


@settings(exhaustively, max_examples=EXAMPLES or 300)
@given(steps=steps)
def test_whoever_joins_at_any_turn_gets_what_comes(steps: list[tuple[str, int]]) -> None:
    """Subscriptions that become live, or slow, between any two writes of the pump, or with one, get everything, and
    once, in frames that are not too large for them.
    """
    with tiny_limits(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.topic.RING_BYTES", 10**6)  # there is no store here
        asyncio.run(_follow_steps(steps))


async def _follow_steps(steps: list[tuple[str, int]]) -> None:
    topic = Topic("task", Pump())
    tokens = Filter(event_types=frozenset({EventType.TOKEN}))
    followers = [Follower(topic, Filter(), size) for size in (10**6, 10**6, 300)] + [Follower(topic, tokens)]
    task = make_task()
    kinds: list[EventType] = []
    begin = [("commit", 1), *(("read", number) for number in range(len(followers)))]
    for step, number in [*begin, *steps]:
        match step:
            case "commit" | "end":
                kind = TYPES[number % 2]
                status = Status.SUCCEEDED if step == "end" else Status.RUNNING
                commit = make_commit(task, ["x"] * number, event_type=kind, status=status)
                task = commit.task
                kinds += [kind] * number
                topic.take(commit)
            case "turn":
                await asyncio.sleep(0)
            case "read":
                followers[number].read()
            case "pause":
                followers[number].pause()
            case "fill":
                followers[number].room = 0
            case "all but fill":
                followers[number].room = 10
    for _ in range(10 * len(kinds) + 10):  # more turns than the pump, and reads than the followers, can need
        await asyncio.sleep(0)
        for follower in followers:
            follower.read()
    for follower in followers:
        passing = [n for n, kind in enumerate(kinds, 1) if follower.filter.passes(kind, None)]
        assert follower.held == passing


@pytest.mark.parametrize("first", ["older", "newer"])
async def test_two_that_read_ahead_of_the_topic(first: str) -> None:
    """Of two that join a topic without a position, one event apart, neither misses what is committed then."""
    topic = Topic("task", Pump())
    older, newer = (Follower(topic, Filter()) for _ in range(2))
    older.cursor, newer.cursor = 1, 2
    task = make_task(head=1)
    for follower in (older, newer) if first == "older" else (newer, older):
        follower.rung = not topic.join(follower)
    for _ in range(2):
        commit = make_commit(task, ["x"])
        task = commit.task
        topic.take(commit)
        await asyncio.sleep(0)
        older.read()
        newer.read()
    await asyncio.sleep(0)
    assert (older.held, newer.held) == ([2, 3], [3])


async def test_a_crowd_at_the_head() -> None:
    """What is committed is encoded once for all live subscriptions with the same filter, however many."""
    topic = Topic("task", Pump())
    wires: list[bytes] = []
    for _ in range(CROWD):
        follower = Follower(topic, Filter())
        follower.outlet = Outlet(_keep, wires, follower.outlet.spill, FRAME_BYTES)
        assert topic.join(follower)
    topic.take(make_commit(make_task(), ["x"] * 3))
    for _ in range(CROWD):  # more turns than the pump needs
        await asyncio.sleep(0)
    assert len(wires) == CROWD
    assert len({id(wire) for wire in wires}) == 1


async def test_a_crowd_that_thins_out() -> None:
    """Whoever stays gets what comes, and whoever has left nothing more, however many leave."""
    topic = Topic("task", Pump())
    followers = [Follower(topic, Filter()) for _ in range(CROWD)]
    task = make_task()
    for follower in followers:
        follower.rung = not topic.join(follower)
    for left in range(0, CROWD, 10):
        for follower in followers[:left]:
            follower.pause()
        commit = make_commit(task, ["x"])
        task = commit.task
        topic.take(commit)
        for _ in range(CROWD):  # more turns than the pump needs
            await asyncio.sleep(0)
    assert [len(follower.held) for follower in followers] == [1 + number // 10 for number in range(CROWD)]
    assert all(follower.cursor == len(follower.held) for follower in followers if not follower.live)


async def test_a_crowd_that_leaves_while_it_is_served() -> None:
    """When most leave before all were served, and some are back at once, everyone still gets everything, and once."""
    topic = Topic("task", Pump())
    followers = [Follower(topic, Filter()) for _ in range(3 * TURN_WEIGHT)]
    for follower in followers:
        follower.rung = not topic.join(follower)
    topic.take(make_commit(make_task(), ["x"]))
    await asyncio.sleep(0)
    assert {len(follower.held) for follower in followers} == {0, 1}
    for follower in followers[: 2 * TURN_WEIGHT]:
        follower.pause()
    for follower in followers:
        follower.read()
    for follower in followers[2 * TURN_WEIGHT : -1]:
        follower.pause()
    for _ in range(10):  # more turns than the pump needs
        await asyncio.sleep(0)
    for follower in followers:
        follower.read()
    assert [follower.held for follower in followers] == [[1]] * len(followers)


@pytest.mark.parametrize("others", ["stay", "leave", "are dismissed"])
async def test_one_that_joins_ahead_of_the_others(others: str) -> None:
    """Who has read further than the others were served is live at once, and from then on hears of all that they do."""
    topic = Topic("task", Pump())
    crowd = [Follower(topic, Filter()) for _ in range(3 * TURN_WEIGHT)]
    for follower in crowd:
        follower.rung = not topic.join(follower)
    late = Follower(topic, Filter())
    task = make_task()
    for _ in range(2):
        commit = make_commit(task, ["x"])
        task = commit.task
        topic.take(commit)
        await asyncio.sleep(0)
    assert not all(follower.held for follower in crowd)
    late.read()
    assert late.live
    if others == "leave":
        for follower in crowd:
            follower.pause()
    if others == "are dismissed":
        topic.end()
    for commits in ([], [make_commit(task, ["x"])]):
        for commit in commits:
            topic.take(commit)
        for _ in range(100):  # more turns than the pump needs
            await asyncio.sleep(0)
    assert (late.held, late.rung) == (([1, 2], True) if others == "are dismissed" else ([1, 2, 3], False))


async def test_readers_that_come_and_go() -> None:
    """Those who have left leave nothing behind, however many, and whether or not anything is committed."""
    topic = Topic("task", Pump())
    stays, *others = [Follower(topic, Filter()) for _ in range(1000)]
    assert topic.join(stays)

    def come_and_go() -> int:
        for follower in others:
            topic.join(follower)
            topic.leave(follower)
        held, _ = tracemalloc.get_traced_memory()
        return held

    tracemalloc.start()
    try:
        before, *_, after = (come_and_go() for _ in range(20))
    finally:
        tracemalloc.stop()
    assert after - before < 20_000  # bytes


def _keep(wires: list[bytes], wire: bytes) -> int:
    wires.append(wire)
    return len(wire)


async def test_a_crowd_whose_task_is_deleted() -> None:
    """Everyone is told that there is nothing to follow any more, and other work gets its turn meanwhile."""
    topic = Topic("task", Pump())
    live, lagging = ([Follower(topic, Filter()) for _ in range(CROWD)] for _ in range(2))
    for follower in live:
        assert topic.join(follower)
    for follower in [*live, *lagging]:
        follower.rung = False
    topic.end()
    turns = 0
    while not all(follower.rung and not follower.live for follower in [*live, *lagging]):
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2 * CROWD * WAKING / TURN_WEIGHT - 2
    assert not topic.join(live[0])
