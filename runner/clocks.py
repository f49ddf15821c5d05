"""The clocks of an attempt: how long its team has worked, and how long its process has been silent."""

import asyncio
from types import TracebackType
from typing import Self

_TICKS = 10  # of a silence


class WorkClock:
    """An async context whose block has `limit` seconds of work, None for no limit, and then raises `TimeoutError`.

    used: seconds of them that are gone already. It stands still between `pause` and `resume`. ran_out: whether it was
    this clock that ended the block.
    """

    def __init__(self, limit: float | None, *, used: float) -> None:
        self._limit = limit
        self._used = used  # as of when it last began to run
        self._running_since: float | None = None  # in the time of the loop; None while it stands still
        self._timeout: asyncio.Timeout | None = None  # within the block
        self._paused = False
        self.ran_out = False

    @property
    def used(self) -> float:
        """Seconds of work so far."""
        if self._running_since is None:
            return self._used
        return self._used + asyncio.get_running_loop().time() - self._running_since

    async def __aenter__(self) -> Self:
        self._timeout = await asyncio.timeout(None).__aenter__()
        self._go()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._timeout is not None
        self._stand_still()
        timeout, self._timeout = self._timeout, None
        self.ran_out = timeout.expired()
        await timeout.__aexit__(kind, error, traceback)

    def pause(self) -> None:
        self._paused = True
        self._stand_still()
        self._reschedule(None)

    def resume(self) -> None:
        self._paused = False
        self._go()

    def _go(self) -> None:
        if self._paused or self._timeout is None or self._running_since is not None:
            return
        self._running_since = asyncio.get_running_loop().time()
        if self._limit is not None:
            self._reschedule(self._running_since + self._limit - self._used)

    def _reschedule(self, when: float | None) -> None:
        if self._timeout is not None and not self._timeout.expired():  # the block may not have heard of it yet
            self._timeout.reschedule(when)

    def _stand_still(self) -> None:
        self._used, self._running_since = self.used, None


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
