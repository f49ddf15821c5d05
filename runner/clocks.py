"""The clocks of an attempt: how long its team has worked, and how long its process has been silent."""

import asyncio
from types import TracebackType
from typing import Self

_TICKS = 10  # of a silence


class WorkClock:
    """An async context whose block has `limit` seconds of work, None for no limit, and then raises `TimeoutError`.

    It stands still between `pause` and `resume`, which are for within the block.
    """

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._left: float | None = None

    async def __aenter__(self) -> Self:
        self._timeout = await asyncio.timeout(self._limit).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._timeout.__aexit__(kind, error, traceback)

    def pause(self) -> None:
        ends_at = self._timeout.when()
        if ends_at is not None:
            self._left = ends_at - asyncio.get_running_loop().time()
            self._timeout.reschedule(None)

    def resume(self) -> None:
        if self._left is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._left)
            self._left = None


class SilenceClock:
    """Notices a silence of `limit` seconds. It runs between `begin`, when we begin to listen, and `end`.

    It counts turns of our own loop, not the time of day: when it is the server that stood still, for instance because
    the machine was suspended, nobody has been silent.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._ticks = 0
        self._listening = False

    def begin(self) -> None:
        self._ticks = 0
        self._listening = True

    def end(self) -> None:
        self._listening = False

    async def ran_out(self) -> None:
        """Wait until the silence has lasted too long."""
        while self._ticks < _TICKS:
            await asyncio.sleep(self.limit / _TICKS)
            if self._listening:
                self._ticks += 1
