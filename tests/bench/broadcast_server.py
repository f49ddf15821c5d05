"""Reference: `websockets.broadcast`, the fan-out that the websockets library recommends, under uvloop.

Each event is encoded once and is one message. It stores nothing.
"""

import asyncio
import os
from typing import Any

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from tests.bench.producing import Producer, event


class BroadcastServer:
    def __init__(self) -> None:
        self._subscribers: set[ServerConnection] = set()

    async def handle(self, connection: ServerConnection) -> None:
        await connection.recv()
        self._subscribers.add(connection)
        try:
            await connection.send('{"op":"caught_up"}')
            await connection.wait_closed()
        finally:
            self._subscribers.discard(connection)

    async def new(self) -> str:
        return "broadcast"

    async def send(self, first_id: int, count: int, size: int) -> None:
        for n in range(count):
            broadcast(self._subscribers, event(first_id + n, size, "broadcast").decode())

    async def settle(self) -> None:
        await asyncio.sleep(0)

    async def command(self, words: list[str]) -> dict[str, Any]:
        raise ValueError(words)


async def main() -> None:
    server = BroadcastServer()
    async with serve(server.handle, "127.0.0.1", 0, compression=None, backlog=2048) as listening:
        await Producer(server).start(listening.sockets[0].getsockname()[1])
        os._exit(0)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
