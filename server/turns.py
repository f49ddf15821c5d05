"""Turns at what is costly: a few at the same time, and the others wait a while."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.problems import SOON, BadRequest


class Turns:
    """places: how many do it at the same time. patience: seconds that one waits for a place."""

    def __init__(self, places: int, *, patience: float = 10.0) -> None:
        self._places = asyncio.Semaphore(places)
        self._patience = patience

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """A turn. Raises `BadRequest` if it does not come in time."""
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            message = "Many others ask for the same at this moment; ask again."
            raise BadRequest(message, code="busy", status=503, headers={"Retry-After": SOON}) from None
        try:
            yield
        finally:
            self._places.release()
