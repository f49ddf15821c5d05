"""A subscription: how far one connection has read one log, and what it is to be sent next."""

from collections.abc import Callable, Sequence

from runner.errors import TaskNotFound
from server import protocol
from server.bounds import PIECE_BYTES, QUIET_EVENTS
from server.feed import Outlet
from server.hub import Hub, larger
from server.protocol import Frame
from server.topic import Position, Topic


class Subscription:
    """A cursor into one log, as one connection follows it. A `topic.Member` while it is live.

    outlet: where its frames go while it is live. wake: called, with this, when there is something to read.
    """

    __slots__ = (
        "_ended_at",
        "_hub",
        "_size",
        "_told",
        "_wake",
        "cursor",
        "filter",
        "live",
        "outlet",
        "task_id",
        "topic",
    )

    def __init__(
        self,
        hub: Hub,
        wanted: protocol.Subscribe,
        *,
        outlet: Outlet,
        wake: Callable[["Subscription"], None],
    ) -> None:
        self.task_id = wanted.task_id
        self.cursor = wanted.since_event_id
        self.filter = wanted.filter
        self.live = False
        self.outlet = outlet
        self._wake = wake
        self._size = PIECE_BYTES  # of the next page
        self._told: int | None = None  # event_id up to which, about, the client has been told that it has everything
        self._ended_at: int | None = None
        self._hub = hub
        self.topic: Topic = hub.watch(wanted.task_id, self.retire)

    @property
    def done(self) -> bool:
        """Whether the end of the log was told."""
        return self._ended_at == self.topic.cursor(self)

    def retire(self) -> None:
        self._wake(self)

    def leave(self) -> None:
        """Do not be live any more."""
        self.topic.leave(self)

    def join(self) -> bool:
        """Be live, if it stands at the head; whether it does."""
        self._size = PIECE_BYTES
        return self.topic.join(self)

    def close(self) -> None:
        self.leave()
        self._hub.unwatch(self.topic, self.retire)

    async def advance(self) -> Sequence[Frame] | None:
        """The next frames; none when nothing in the page that was read passes the filter.

        None when it stands at the head and has said so. Raises `TaskNotFound`, `CursorAhead`.
        """
        page = await self._hub.read_framed(
            self.task_id, after=self.cursor, size=self._size, most=self.outlet.frame_bytes, filter=self.filter
        )
        self._check()
        self.cursor = page.cursor
        self._size = larger(self._size, self.outlet.frame_bytes)
        if page.frames:
            if self._told is not None:
                self._told = self.cursor
            return page.frames
        position = await self._hub.position(self.task_id)
        self._check()
        return self._news_at_head(position) if self.cursor >= position.head else ()

    def _check(self) -> None:
        if self.topic.deleted:  # what has its id now, if it was taken in again, is another log
            raise TaskNotFound(self.task_id)

    def _news_at_head(self, position: Position) -> Sequence[Frame] | None:
        news: list[protocol.ServerFrame] = []
        if self._told is None or self.cursor - self._told >= QUIET_EVENTS:
            self._told = self.cursor
            news.append(protocol.CaughtUp(task_id=self.task_id, event_id=self.cursor))
        # A cursor beyond the position means that more was committed, of which the hub is about to hear.
        if position.ended and self.cursor == position.head and not self.done:
            self._ended_at = self.cursor
            news.append(protocol.End(task_id=self.task_id, status=position.status))
        return [protocol.encode(frame) for frame in news] or None
