"""A session whose connection ends in the middle of what it does."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from starlette.websockets import WebSocketState

from server.audience import Audience
from server.bounds import REPLIES
from server.sockets import Session
from tests.support import until

PING = {"type": "websocket.receive", "text": '{"op":"ping"}'}


class FloodingSocket:
    """A client that is greeted, has sent many pings, takes none of the answers, and leaves. greeted: called then."""

    def __init__(self, greeted: Callable[[], None] = lambda: None) -> None:
        self.scope: dict[str, Any] = {}
        self.application_state = WebSocketState.CONNECTED
        self.closed_with: int | None = None
        self.taken_hello = asyncio.Event()
        self.stalled = asyncio.Event()
        self._greeted: Callable[[], None] | None = greeted
        self._messages = [*[PING] * 3 * REPLIES, {"type": "websocket.disconnect"}]

    async def accept(self) -> None:
        pass

    async def receive(self) -> dict[str, str]:
        if self._greeted is not None:
            await self.taken_hello.wait()
            self._greeted()
            self._greeted = None
        return self._messages.pop(0)

    async def send(self, message: object) -> None:
        if self.taken_hello.is_set():
            self.stalled.set()
            await asyncio.Event().wait()
        self.taken_hello.set()

    async def close(self, code: int, reason: str) -> None:
        self.closed_with = code


def _session(client: FloodingSocket, hub: SimpleNamespace) -> Session:
    """Of somebody who may not stay any more."""
    limits = SimpleNamespace(request_rate=10**6, frame_limit=1000)
    gate = SimpleNamespace(limits=limits, auth=SimpleNamespace(holds=lambda passed: False))
    return Session(*cast(Any, (client, gate, SimpleNamespace(), hub, None)))


async def test_a_flood_of_who_may_not_stay() -> None:
    """A client whose token ends while it floods and does not read is let go, with what it had asked for."""
    client = FloodingSocket()
    hub = SimpleNamespace(epoch="x", audience=Audience())
    session = _session(client, hub)
    serving = asyncio.create_task(session.serve())
    await client.stalled.wait()
    session.tend()
    await until(serving.done)
    assert client.closed_with == 4401
    assert not hub.audience.connections


async def test_a_flood_whose_sender_has_not_begun() -> None:
    """A client whose token ends in the very turn in which its flood comes is let go, too."""
    client = FloodingSocket(lambda: session.tend())
    hub = SimpleNamespace(epoch="x", audience=Audience())
    session = _session(client, hub)
    await until(asyncio.create_task(session.serve()).done)
    assert client.closed_with == 4401
    assert not hub.audience.connections
