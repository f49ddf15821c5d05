"""A watched task: the newest part of its log, and who is to be told of more.

A subscription is either live or lagging. Live ones stand at the head of the log and have a connection that takes more:
what is committed is framed once for all of them, and written to each. All others are lagging: a commit rings their
doorbell, which carries nothing, and they read on at their own pace until they stand at the head again. Nobody has a
queue.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from runner.base import Commit, Filter, Page, Placed
from runner.states import TERMINAL, Status
from server.bounds import FRAME_EVENTS, QUIET_EVENTS, RING_BYTES
from server.feed import Feed, Member, Write
from server.protocol import CaughtUp, encode, encode_events
from server.pump import STEP, WAKING, Pump

Doorbell = Callable[[], None]
_Kind = tuple[Filter, Write, int]  # what the members of a feed have in common; the last: bytes of a frame


class Position(msgspec.Struct, frozen=True):
    """How far a task has come: its status as of its last event, and that event's id."""

    status: Status
    head: int

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


class Topic:
    """pump: what writes to its live subscriptions."""

    def __init__(self, task_id: str, pump: Pump) -> None:
        self.task_id = task_id
        self.position: Position | None = None
        self.deleted = False
        self._doorbells: dict[Doorbell, None] = {}
        self._feeds: dict[_Kind, Feed] = {}
        self._ring: deque[Placed] = deque()
        self.size = 0  # bytes of the ring
        self._pump = pump
        self._flushing = False

    @property
    def idle(self) -> bool:
        """Whether nobody watches."""
        return not self._doorbells and not self._feeds

    def watch(self, doorbell: Doorbell) -> None:
        """Have the doorbell rung after every commit."""
        self._doorbells[doorbell] = None

    def unwatch(self, doorbell: Doorbell) -> None:
        self._doorbells.pop(doorbell, None)

    def join(self, member: Member) -> bool:
        """Make a subscription live if its cursor is at the head; whether it was."""
        if self.deleted or (self.position is not None and self.position.head != member.cursor):
            return False
        kind = _kind(member)
        feed = self._feeds.get(kind)
        if feed is None:
            feed = self._feeds[kind] = Feed(*kind, member.cursor)
        elif feed.position > member.cursor:  # without a position: others have read further in the store
            return False
        feed.add(member)
        self.unwatch(member.retire)
        return True

    def leave(self, member: Member) -> None:
        """Make a subscription lagging, if it is live."""
        if member.live:
            self.watch(member.retire)
            kind = _kind(member)
            feed = self._feeds[kind]
            feed.remove(member)
            if not feed:
                del self._feeds[kind]

    def cursor(self, member: Member) -> int:
        """event_id up to which everything was sent to a subscription."""
        return self._feeds[_kind(member)].cursor(member) if member.live else member.cursor

    def take(self, commit: Commit) -> None:
        """Take what was committed into the ring, and let everyone know."""
        self.position = Position(commit.task.status, commit.task.head)
        self._ring.extend(commit.events)
        self.size += sum(len(event.encoded) for event in commit.events)
        while self.size > RING_BYTES:
            self.size -= len(self._ring.popleft().encoded)
        self.ring_doorbells()
        # In the next turn of the loop: what is ready together leaves together, a lone event waits for nothing.
        if self._feeds and not self._flushing:
            self._flushing = True
            self._pump.start(self._flush())

    def empty(self) -> None:
        """Hold no events: what is asked for is in the store, too."""
        self._ring.clear()
        self.size = 0

    def ring_doorbells(self) -> None:
        """Wake everyone who watches and is not live."""
        for doorbell in tuple(self._doorbells):
            doorbell()

    def end(self) -> None:
        """The task was deleted."""
        self.deleted = True
        self._pump.start(self._dismiss())

    def page(self, *, after: int, limit: int, size: int, filter: Filter) -> Page | None:
        """A page from the ring; None if the cursor is not within the ring, behind it or ahead of it."""
        if self.position is None or not self._ring:
            return None
        if not self._ring[0].event_id - 1 <= after <= self._ring[-1].event_id:
            return None
        events: list[bytes] = []
        cursor = after
        for event in self._above(after):
            if filter.passes(event.event_type, event.agent_role):
                size -= len(event.encoded)
                if len(events) == limit or (events and size < 0):
                    break
                events.append(event.encoded)
            cursor = event.event_id
        return Page(b",".join(events), len(events), cursor, self.position.head)

    def _above(self, after: int) -> Iterable[Placed]:
        """The ring's events above one of them. A deque is walked from its end, so from the one that is nearer."""
        count = self._ring[-1].event_id - after
        if count > len(self._ring) // 2:
            return islice(self._ring, len(self._ring) - count, None)
        return reversed(list(islice(reversed(self._ring), count)))

    def _flush(self) -> Iterator[int]:
        try:
            yield from self._catch_up()
        except Exception:
            # Lagging, they read by themselves what they may have missed.
            self._retire_at_once()
            raise
        finally:
            self._flushing = False

    def _catch_up(self) -> Iterator[int]:
        """Write to the live subscriptions what they have not had, in steps, until nothing more has come meanwhile."""
        assert self.position is not None
        while True:
            while behind := [feed for feed in self._feeds.values() if feed.position < self.position.head]:
                for feed in behind:
                    yield from self._advance(feed, self.position.head)
            if not (end := self.position).ended:
                return
            for feed in tuple(self._feeds.values()):
                yield from self._retire(feed.members())
            if self.position is end:
                return

    def _advance(self, feed: Feed, head: int) -> Iterator[int]:
        page = self.page(after=feed.position, limit=FRAME_EVENTS, size=feed.frame_bytes, filter=feed.filter)
        feed.advance(head if page is None else page.cursor)
        if page is None:  # more has come at once than the ring holds
            yield from self._retire(feed.members())
        elif wire := self._wire(feed, page):
            yield from feed.serve(wire)
        yield from self._retire(feed.settle())
        yield 1

    def _wire(self, feed: Feed, page: Page) -> bytes:
        if page.count:
            frame = encode_events(self.task_id, page.body, page.head)
        elif page.cursor - feed.told >= QUIET_EVENTS:  # a cursor, after which nothing is looked through again
            frame = encode(CaughtUp(task_id=self.task_id, event_id=page.cursor))
        else:
            return b""
        feed.told = page.cursor
        return frame.wire

    def _retire(self, members: Sequence[Member]) -> Iterator[int]:
        for number, member in enumerate(members, 1):
            if member.live:
                self.leave(member)
                member.retire()
            if number % STEP == 0:
                yield STEP * WAKING

    def _dismiss(self) -> Iterator[int]:
        """Have everyone find out by themselves that there is nothing to follow any more."""
        lagging = tuple(self._doorbells)
        for feed in tuple(self._feeds.values()):
            yield from self._retire(feed.members())
        for number, doorbell in enumerate(lagging, 1):
            doorbell()
            if number % STEP == 0:
                yield STEP * WAKING

    def _retire_at_once(self) -> None:
        for feed in tuple(self._feeds.values()):
            for _ in self._retire(feed.members()):
                pass


def _kind(member: Member) -> _Kind:
    return member.filter, member.outlet.write, member.outlet.frame_bytes
