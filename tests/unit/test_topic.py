"""A topic whose subscriptions read, join and leave at any turn: each gets every event, and once."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.base import Filter
from runner.events import EventType
from runner.states import Status
from server.pump import TURN_WEIGHT, WAKING, Pump
from server.topic import Topic
from tests.frames import Frame
from tests.limits import EXAMPLES, exhaustively, tiny_limits
from tests.logs import make_commit, make_task
from tests.world import TYPES

CROWD = 100  # subscriptions


class Follower:
    """A subscription of a topic, as a session has it, but one that reads when it is told to."""

    def __init__(self, topic: Topic, filter: Filter) -> None:
        self.frame_bytes = 10**6
        self.live = False
        self.cursor = 0
        self.held: list[int] = []
        self.rung = True
        self.filter = filter
        self.write: Callable[[bytes], None] = self._hold
        self._topic = topic
        topic.watch(self.retire)

    def retire(self) -> None:
        self.rung = True

    def _hold(self, wire: bytes) -> None:
        frame = msgspec.json.decode(wire[wire.index(b"{") :], type=Frame)
        assert len(frame.events) == 1 or len(b",".join(map(bytes, frame.events))) <= self.frame_bytes
        self.held += [msgspec.json.decode(event, type=Numbered).event_id for event in frame.events]

    def read(self) -> None:
        """Read what there is to be read; be live then."""
        while self.rung and not self.live:
            page = self._topic.page(after=self.cursor, limit=3, size=1000, filter=self.filter)
            assert page is not None
            self.held += [msgspec.json.decode(event, type=Numbered).event_id for event in page.events]
            self.rung = self.cursor < page.cursor
            self.cursor = page.cursor
            if not self.rung and not self._topic.join(self, self.filter):
                self.rung = True

    def pause(self) -> None:
        """Its connection is slow."""
        if self.live:
            self._topic.leave(self, self.filter)
            self.retire()


class Numbered(msgspec.Struct):
    event_id: int


steps = st.lists(
    st.tuples(st.sampled_from(["commit", "end"]), st.integers(1, 9))
    | st.tuples(st.just("turn"), st.just(0))
    | st.tuples(st.sampled_from(["read", "pause"]), st.integers(0, 3)),
    max_size=100,
)


@settings(exhaustively, max_examples=EXAMPLES or 300)
@given(steps=steps)
def test_whoever_joins_at_any_turn_gets_what_comes(steps: list[tuple[str, int]]) -> None:
    """Subscriptions that become live, or slow, between any two writes of the pump get everything, and once, in frames
    that are not too large for them.
    """
    with tiny_limits(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.topic.RING_BYTES", 10**6)  # there is no store here
        asyncio.run(_follow_steps(steps))


async def _follow_steps(steps: list[tuple[str, int]]) -> None:
    topic = Topic("task", Pump())
    tokens = Filter(event_types=frozenset({EventType.TOKEN}))
    followers = [Follower(topic, filter) for filter in (Filter(), Filter(), Filter(), tokens)]
    followers[2].frame_bytes = 300
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
    for _ in range(10 * len(kinds) + 10):  # more turns than the pump, and reads than the followers, can need
        await asyncio.sleep(0)
        for follower in followers:
            follower.read()
    for follower in followers:
        passing = [n for n, kind in enumerate(kinds, 1) if follower.filter.passes(kind, None)]
        assert follower.held == passing


async def test_two_that_read_ahead_of_the_topic() -> None:
    """Of two that join a topic without a position, one event apart, neither misses what is committed then."""
    topic = Topic("task", Pump())
    older, newer = (Follower(topic, Filter()) for _ in range(2))
    older.cursor, newer.cursor = 1, 2
    task = make_task(head=1)
    assert topic.join(newer, Filter())
    older.rung = not topic.join(older, Filter())
    for _ in range(2):
        commit = make_commit(task, ["x"])
        task = commit.task
        topic.take(commit)
        await asyncio.sleep(0)
        older.read()
        newer.read()
    await asyncio.sleep(0)
    assert (older.held, newer.held) == ([2, 3], [3])


async def test_a_crowd_whose_task_is_deleted() -> None:
    """Everyone is told that there is nothing to follow any more, and other work gets its turn meanwhile."""
    topic = Topic("task", Pump())
    live, lagging = ([Follower(topic, Filter()) for _ in range(CROWD)] for _ in range(2))
    for follower in live:
        assert topic.join(follower, Filter())
    for follower in [*live, *lagging]:
        follower.rung = False
    topic.end()
    turns = 0
    while not all(follower.rung and not follower.live for follower in [*live, *lagging]):
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2 * CROWD * WAKING / TURN_WEIGHT - 2
    assert not topic.join(live[0], Filter())
