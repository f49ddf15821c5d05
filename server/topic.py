"""A watched task: the newest part of its log, and who is to be told of more.

A subscription is either live or lagging. Live ones stand at the head of the log and have a connection that takes more:
what is committed is framed once for all of them, and written to each. All others are lagging: a commit rings their
doorbell, which carries nothing, and they read on at their own pace until they stand at the head again. Nobody has a
queue.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol

import msgspec

from runner.base import Commit, Filter, Page, Placed
from runner.states import TERMINAL, Status
from server.bounds import FRAME_BYTES, FRAME_EVENTS, RING_BYTES
from server.protocol import encode_events

PUMP_STEP = 128  # connections written to before other work in the loop gets its turn

Doorbell = Callable[[], None]


class Position(msgspec.Struct, frozen=True):
    """How far a task has come: its status as of its last event, and that event's id."""

    status: Status
    head: int

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


class Member(Protocol):
    """A subscription, as its topic sees it while it is live."""

    live: bool
    cursor: int
    """event_id up to which everything was sent."""
    write: Callable[[bytes], None]

    def retire(self) -> None:
        """It is lagging, and has something to read: the doorbell of a lagging subscription."""


class Feed:
    """The live subscriptions of a topic that have the same filter. position: event_id up to which they were served."""

    def __init__(self, filter: Filter, position: int) -> None:
        self.filter = filter
        self.position = position
        self._members: dict[Member, None] = {}
        self._snapshot: tuple[Member, ...] | None = ()

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: Member) -> None:
        self._members[member] = None
        self._snapshot = None

    def discard(self, member: Member) -> None:
        self._members.pop(member, None)
        self._snapshot = None

    def members(self) -> tuple[Member, ...]:
        """Those of this moment; it is safe to change the feed while going through them."""
        if self._snapshot is None:
            self._snapshot = tuple(self._members)
        return self._snapshot


class Topic:
    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.position: Position | None = None
        self.deleted = False
        self._doorbells: dict[Doorbell, None] = {}
        self._feeds: dict[Filter, Feed] = {}
        self._ring: deque[Placed] = deque()
        self.size = 0  # bytes of the ring
        self._pump: Iterator[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nobody watches."""
        return not self._doorbells and not self._feeds

    def watch(self, doorbell: Doorbell) -> None:
        """Have the doorbell rung after every commit."""
        self._doorbells[doorbell] = None

    def unwatch(self, doorbell: Doorbell) -> None:
        self._doorbells.pop(doorbell, None)

    def join(self, member: Member, filter: Filter) -> bool:
        """Make a subscription live if its cursor is at the head; whether it was."""
        if self.deleted or (self.position is not None and self.position.head != member.cursor):
            return False
        feed = self._feeds.get(filter)
        if feed is None:
            feed = self._feeds[filter] = Feed(filter, member.cursor)
        elif feed.position > member.cursor:  # without a position: others have read further in the store
            return False
        member.live = True
        feed.add(member)
        self.unwatch(member.retire)
        return True

    def leave(self, member: Member, filter: Filter) -> None:
        """Make a subscription lagging, if it is live."""
        if member.live:
            member.live = False
            self.watch(member.retire)
            feed = self._feeds[filter]
            feed.discard(member)
            if not feed:
                del self._feeds[filter]

    def take(self, commit: Commit) -> None:
        """Take what was committed into the ring, and let everyone know."""
        self.position = Position(commit.task.status, commit.task.head)
        self._ring.extend(commit.events)
        self.size += sum(len(event.encoded) for event in commit.events)
        while self.size > RING_BYTES:
            self.size -= len(self._ring.popleft().encoded)
        self.ring_doorbells()
        # In the next turn of the loop: what is ready together leaves together, a lone event waits for nothing.
        if self._feeds and self._pump is None:
            self._pump = self._flush()
            asyncio.get_running_loop().call_soon(self._step)

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
        self._retire(tuple(self._feeds.values()))
        self.ring_doorbells()

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

    def _step(self) -> None:
        assert self._pump is not None
        try:
            next(self._pump)
        except StopIteration:
            self._pump = None
        except BaseException:
            # Lagging, they read by themselves what they may have missed.
            self._pump = None
            self._retire(tuple(self._feeds.values()))
            raise
        else:
            asyncio.get_running_loop().call_soon(self._step)

    def _flush(self) -> Iterator[None]:
        """Write to the live subscriptions what they have not had, in steps."""
        assert self.position is not None
        while behind := [feed for feed in self._feeds.values() if feed.position < self.position.head]:
            for feed in behind:
                page = self.page(after=feed.position, limit=FRAME_EVENTS, size=FRAME_BYTES, filter=feed.filter)
                if page is None:  # more has come at once than the ring holds
                    self._retire([feed])
                else:
                    yield from self._write(feed, page)
        if self.position.ended:
            self._retire(tuple(self._feeds.values()))

    def _write(self, feed: Feed, page: Page) -> Iterator[None]:
        after, feed.position = feed.position, page.cursor
        wire = encode_events(self.task_id, page.body, page.head).wire if page.count else b""
        for number, member in enumerate(feed.members(), 1):
            # Some have left since, and some have joined at a later event: after this page, or within it.
            if member.live and member.cursor == after:
                member.cursor = page.cursor
                if wire:
                    member.write(wire)
            elif member.live and after < member.cursor < page.cursor:
                self.leave(member, feed.filter)
                member.retire()
            if number % PUMP_STEP == 0:
                yield

    def _retire(self, feeds: Iterable[Feed]) -> None:
        for feed in feeds:
            for member in feed.members():
                self.leave(member, feed.filter)
                member.retire()
