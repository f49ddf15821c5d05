"""The pump: writes to the live subscriptions of all topics, a little in each turn of the event loop.

However many subscribe, to one task or to many, other work gets its turn in between.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from time import monotonic

TURN = 0.001  # seconds of writing in one turn of the loop, about
TURN_WEIGHT = 128  # of what is done in one turn, at most; a write weighs 1
STEP = 8  # connections that a flush writes to before others may
WAKING = 16  # weight of waking who then reads, and writes, by itself


class Pump:
    """A flush does its work in steps, and yields the weight of each; what it makes others do later weighs, too."""

    def __init__(self) -> None:
        self._flushes: deque[Iterator[int]] = deque()
        self._begun = False

    def start(self, flush: Iterator[int]) -> None:
        """Have a flush done, from the next turn of the loop on."""
        self._flushes.append(flush)
        self._go_on()

    def _go_on(self) -> None:
        if self._flushes and not self._begun:
            self._begun = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._begun = False
        end, weight = monotonic() + TURN, 0
        try:
            while self._flushes:
                flush = self._flushes.popleft()
                for step in flush:
                    self._flushes.append(flush)  # behind the others
                    weight += step
                    break
                if weight >= TURN_WEIGHT or monotonic() >= end:
                    return
        finally:
            self._go_on()
