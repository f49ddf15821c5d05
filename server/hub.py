"""The hub: one ordered log per task, read by any number of cursors.

Whoever reads asks the hub for a page above a cursor. Near the head the page comes from the topic's ring of encoded
events, further back from the store; both are the same numbered log, so there is no seam.

A topic lives as long as it is watched: events of tasks that nobody watches hold no memory.
"""

import asyncio
from collections import OrderedDict

import msgspec

from runner.base import Change, Commit, Deleted, Expired, Filter, Page, Runner
from server import protocol
from server.audience import Audience
from server.bounds import FRAME_EVENTS, PAGE_CACHE_BYTES, PAGE_COST, POSITION_CACHE, RINGS_BYTES
from server.listing import Listing
from server.protocol import Frame
from server.pump import Pump
from server.topic import Doorbell, Position, Topic

_Place = tuple[str, int, int, Filter]  # task_id, cursor, bytes of a page, filter


class FramedPage(msgspec.Struct, frozen=True):
    """A page as frames: its events in one, after its gap if it has one.

    cursor: where to go on. full: there was more when it was read.
    """

    frames: tuple[Frame, ...]
    cursor: int
    full: bool

    @property
    def size(self) -> int:
        """Bytes that it takes to keep it, about."""
        return PAGE_COST + sum(len(frame.wire) for frame in self.frames)


def larger(size: int, most: int) -> int:
    """The size of the page after one of `size` bytes: a reader that takes what it gets is given more at a time."""
    return min(2 * size, most)


class Hub:
    """Between one runner and all who watch its tasks. `publish` is the runner's listener."""

    def __init__(self, runner: Runner) -> None:
        self.closing = False
        self.deletions = 0
        """Of tasks, so far: while it stands, no id has become another log's."""
        self.audience = Audience()
        self._runner = runner
        self._pump = Pump()
        self.listing = Listing(runner.queue_place, runner.get_task_state, self._pump)
        self._topics: dict[str, Topic] = {}
        self._rings: OrderedDict[str, Topic] = OrderedDict()  # those that hold events, the longest silent first
        self._rings_size = 0  # bytes
        self._positions: OrderedDict[str, Position] = OrderedDict()
        self._expiries = 0
        self._pages: OrderedDict[_Place, FramedPage] = OrderedDict()
        self._pages_size = 0  # bytes
        self._reading: dict[_Place, asyncio.Task[FramedPage]] = {}

    @property
    def epoch(self) -> str:
        return self._runner.epoch

    def publish(self, change: Change) -> None:
        match change:
            case Commit():
                self._publish_commit(change)
            case Deleted():
                self._publish_deleted(change.task_id)
            case Expired():
                self._publish_expired(change.task_id)

    def close(self) -> None:
        """Have everyone who waits go on: the server is about to end."""
        self.closing = True
        self.listing.close()
        for topic in tuple(self._topics.values()):
            topic.ring_doorbells()

    def watch(self, task_id: str, doorbell: Doorbell) -> Topic:
        """Have the doorbell rung after every commit for a task, whether the task exists or not, until `unwatch`."""
        topic = self._topics.get(task_id)
        if topic is None:
            topic = self._topics[task_id] = Topic(task_id, self._pump)
        topic.watch(doorbell)
        return topic

    def unwatch(self, topic: Topic, doorbell: Doorbell) -> None:
        topic.unwatch(doorbell)
        if topic.idle and self._topics.get(topic.task_id) is topic:
            self._drop(topic.task_id)

    def known_position(self, task_id: str) -> Position | None:
        """How far a task has come, if that is at hand."""
        return self._positions.get(task_id)

    async def position(self, task_id: str) -> Position:
        """How far a task has come. Raises `TaskNotFound`."""
        if known := self._positions.get(task_id):
            return known
        deletions = self.deletions
        task = await self._runner.get_task_state(task_id)
        # A commit that came meanwhile has told something newer.
        if newer := self._positions.get(task_id):
            return newer
        position = Position(task.status, task.head)
        # Of a task that was deleted meanwhile nobody would tell the hub again.
        return position if deletions != self.deletions else self._remember(task_id, position)

    async def read(self, task_id: str, *, after: int, limit: int, size: int, filter: Filter) -> Page:
        """Events with an id above `after`: at most `limit`, and `size` bytes or a single one.

        Raises `TaskNotFound`, and `CursorAhead` if the cursor is beyond the head of the log.
        """
        topic = self._topics.get(task_id)
        page = None if topic is None else topic.page(after=after, limit=limit, size=size, filter=filter)
        if page is not None:
            return page
        return await self._runner.get_task_events(task_id, after=after, limit=limit, size=size, filter=filter)

    async def read_framed(self, task_id: str, *, after: int, size: int, most: int, filter: Filter) -> FramedPage:
        """A page as frames, made once for all who stand at the same place. size: as of `read`, which it raises as.

        most: bytes of a page that follows.
        """
        page = await self._framed((task_id, after, size, filter))
        ahead = task_id, page.cursor, larger(size, most), filter
        if page.full and ahead not in self._pages:  # read on while this one is sent
            self._begin_framed(ahead)
        return page

    async def _framed(self, place: _Place) -> FramedPage:
        if known := self._pages.get(place):
            self._pages.move_to_end(place)
            return known
        return await asyncio.shield(self._begin_framed(place))

    def _begin_framed(self, place: _Place) -> asyncio.Future[FramedPage]:
        reading = self._reading.get(place)
        if reading is None:
            reading = self._reading[place] = asyncio.create_task(self._read_framed(place))
            reading.add_done_callback(_retrieve)
        return reading

    async def _read_framed(self, place: _Place) -> FramedPage:
        try:
            return await self._frame(place)
        finally:
            # Not in a callback, before which somebody could join what was read when the log was shorter.
            if self._reading.get(place) is asyncio.current_task():
                del self._reading[place]

    async def _frame(self, place: _Place) -> FramedPage:
        task_id, after, size, filter = place
        topic, expiries = self._topics.get(task_id), self._expiries
        page = await self.read(task_id, after=after, limit=FRAME_EVENTS, size=size, filter=filter)
        frames = []
        if page.gap is not None:
            gap = protocol.Gap(task_id=task_id, first=page.gap.first, last=page.gap.last, reason=page.gap.reason)
            frames.append(protocol.encode(gap))
        if page.count:
            frames.append(protocol.encode_events(task_id, page.body, page.head))
        framed = FramedPage(tuple(frames), page.cursor, full=page.count > 0 and page.cursor < page.head)
        # As long as the task is watched, and neither it nor its events are deleted, it will never be another.
        if framed.full and topic is not None and self._topics.get(task_id) is topic and expiries == self._expiries:
            self._keep(place, framed)
        return framed

    def _extend(self, topic: Topic, commit: Commit) -> None:
        before = topic.size
        topic.take(commit)
        self._rings_size += topic.size - before
        self._rings[topic.task_id] = topic
        self._rings.move_to_end(topic.task_id)
        while self._rings_size > RINGS_BYTES:
            _, silent = self._rings.popitem(last=False)
            self._rings_size -= silent.size
            silent.empty()

    def _keep(self, place: _Place, page: FramedPage) -> None:
        self._pages[place] = page
        self._pages_size += page.size
        while self._pages_size > PAGE_CACHE_BYTES:
            _, oldest = self._pages.popitem(last=False)
            self._pages_size -= oldest.size

    def _drop(self, task_id: str) -> Topic | None:
        """Hold nothing of a task any more."""
        self._let_go(task_id)
        return self._topics.pop(task_id, None)

    def _let_go(self, task_id: str) -> None:
        """Hold no events of a task: what there is of them is in the store."""
        for place in [place for place in self._pages if place[0] == task_id]:
            self._pages_size -= self._pages.pop(place).size
        if ring := self._rings.pop(task_id, None):
            self._rings_size -= ring.size
            ring.empty()

    def _remember(self, task_id: str, position: Position) -> Position:
        self._positions[task_id] = position
        self._positions.move_to_end(task_id)
        if len(self._positions) > POSITION_CACHE:
            self._positions.popitem(last=False)
        return position

    def _publish_commit(self, commit: Commit) -> None:
        task = commit.task
        self._remember(task.id, Position(task.status, task.head))
        if topic := self._topics.get(task.id):
            self._extend(topic, commit)
        self.listing.publish(task)

    def _publish_expired(self, task_id: str) -> None:
        """Whoever asks is told of the gap from now on, as whoever asks the store is."""
        self._expiries += 1
        self._let_go(task_id)

    def _publish_deleted(self, task_id: str) -> None:
        self.deletions += 1
        self._positions.pop(task_id, None)
        # Nobody is to join a read of what was deleted: the task may be taken in again before it ends.
        for place in [place for place in self._reading if place[0] == task_id]:
            del self._reading[place]
        if topic := self._drop(task_id):
            topic.end()
        self.listing.delete(task_id)


def _retrieve(done: asyncio.Task[FramedPage]) -> None:
    if not done.cancelled():
        done.exception()  # whoever waited may be gone
