"""A session whose connection ends in the middle of what it does."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from starlette.websockets import WebSocketState

from server.audience import Audience
from server.bounds import REPLIES
from server.sockets import Session
from tests.support import until

PING = {"type": "websocket.receive", "text": '{"op":"ping"}'}


class FloodingSocket:
    """A client that has sent many pings, takes none of the answers, and leaves."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}
        self.application_state = WebSocketState.CONNECTED
        self.closed_with: int | None = None
        self.taking = asyncio.Event()
        self._messages = [*[PING] * 3 * REPLIES, {"type": "websocket.disconnect"}]

    async def accept(self) -> None:
        pass

    async def receive(self) -> dict[str, str]:
        return self._messages.pop(0)

    async def send(self, message: object) -> None:
        self.taking.set()
        await asyncio.Event().wait()

    async def close(self, code: int, reason: str) -> None:
        self.closed_with = code


async def test_a_flood_of_who_may_not_stay() -> None:
    """A client whose token ends while it floods and does not read is let go, with what it had asked for."""
    client = FloodingSocket()
    limits = SimpleNamespace(request_rate=10**6, frame_limit=1000)
    gate = SimpleNamespace(limits=limits, auth=SimpleNamespace(holds=lambda passed: False))
    hub = SimpleNamespace(epoch="x", audience=Audience())
    session = Session(*cast(Any, (client, gate, SimpleNamespace(), hub, None)))
    serving = asyncio.create_task(session.serve())
    await client.taking.wait()
    session.tend()
    await until(serving.done)
    assert client.closed_with == 4401
    assert not hub.audience.connections
