"""Who watches at this moment.

Nothing here is touched per event: connections and polls are known while they are there, and how far a subscription has
come is read off it when somebody asks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import msgspec

from runner.errors import TaskNotFound
from server.topic import Position

_STEP = 1000  # subscriptions looked at, to count them, before other work in the loop gets its turn
_TENDED = 200  # connections that are tended before other work in the loop gets its turn


class Follower(Protocol):
    """A subscription, as it is counted."""

    task_id: str
    live: bool
    cursor: int


class Connection(Protocol):
    """A WebSocket connection, as it is counted."""

    @property
    def subscriptions(self) -> Collection[Follower]: ...

    def tend(self) -> None:
        """Close, if who came in may not stay."""


class AudienceStats(msgspec.Struct, frozen=True, kw_only=True):
    """live, lagging: subscriptions. largest_lag: how many events the last of the lagging ones is behind its head.

    slow_consumers: how often a connection with live subscriptions was held back, since it took no more.
    """

    connections: int
    live: int
    lagging: int
    largest_lag: int
    waiting_polls: int
    slow_consumers: int


class Audience:
    """All who watch tasks, over WebSocket or by polls."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        """Those that are open."""
        self.slow_consumers = 0
        self._waiting_polls = 0
        self._tending: asyncio.Task[None] | None = None

    @contextmanager
    def waiting_poll(self) -> Iterator[None]:
        """A REST poll waits for events as long as the block lasts."""
        self._waiting_polls += 1
        try:
            yield
        finally:
            self._waiting_polls -= 1

    def tend(self) -> None:
        """Begin to close the connections of those who may not stay, unless that is still going on."""
        if self._tending is None or self._tending.done():
            self._tending = asyncio.create_task(self._tend_all(), name="whether all may stay")

    async def _tend_all(self) -> None:
        for number, connection in enumerate(tuple(self.connections), 1):
            connection.tend()
            if number % _TENDED == 0:
                await asyncio.sleep(0)

    async def stats(self, position: Callable[[str], Awaitable[Position]]) -> AudienceStats:
        """position: how far a task has come; raises `TaskNotFound`."""
        live, lagging = 0, 0
        last: dict[str, int] = {}  # the lowest cursor of the lagging subscriptions, by task
        for number, subscription in enumerate(self._subscriptions(), 1):
            task_id, cursor = subscription.task_id, subscription.cursor
            if subscription.live:
                live += 1
            else:
                lagging += 1
                last[task_id] = min(cursor, last.get(task_id, cursor))
            if number % _STEP == 0:
                await asyncio.sleep(0)
        largest_lag = 0
        for task_id, cursor in last.items():
            with suppress(TaskNotFound):  # it can be watched all the same
                largest_lag = max(largest_lag, (await position(task_id)).head - cursor)
        return AudienceStats(
            connections=len(self.connections),
            live=live,
            lagging=lagging,
            largest_lag=largest_lag,
            waiting_polls=self._waiting_polls,
            slow_consumers=self.slow_consumers,
        )

    def _subscriptions(self) -> Iterator[Follower]:
        """Those of this moment, as far as their connections are open when their turn comes."""
        for connection in tuple(self.connections):
            if connection in self.connections:
                yield from tuple(connection.subscriptions)
