"""Reference: what one writes first. Starlette under uvicorn and uvloop, a set of sockets, `send_json` to each in turn.

It stores nothing of what it sends. `GET /events?since_event_id=N` asks SQLite at every poll.

    python -m tests.bench.naive_server [DATABASE]
"""

import asyncio
import os
import socket
import sys
import time
from typing import Any

import aiosqlite
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.bench.producing import Producer, event


class NaiveServer:
    def __init__(self, database: aiosqlite.Connection | None) -> None:
        self._database = database
        self._subscribers: set[WebSocket] = set()

    def application(self) -> Starlette:
        return Starlette(routes=[WebSocketRoute("/ws", self.handle), Route("/events", self.poll)])

    async def handle(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()
        await websocket.send_text('{"op":"caught_up"}')
        self._subscribers.add(websocket)
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            pass
        finally:
            self._subscribers.discard(websocket)

    async def poll(self, request: Request) -> JSONResponse:
        assert self._database is not None
        query = "SELECT event_id, tail FROM events WHERE task_seq = 1 AND event_id > ? ORDER BY event_id LIMIT 500"
        async with self._database.execute(query, (int(request.query_params["since_event_id"]),)) as rows:
            events = [{"event_id": row[0], "tail": row[1]} for row in await rows.fetchall()]
        return JSONResponse({"events": events, "total": len(events)})

    async def new(self) -> str:
        return "naive"

    async def send(self, first_id: int, count: int, size: int) -> None:
        for event_id in range(first_id, first_id + count):
            made = {
                "event_id": event_id,
                "task_id": "naive",
                "timestamp": "2026-01-01T00:00:00.000000Z",
                "agent_role": "Engineer",
                "event_type": "TOKEN",
                "payload": {"t": time.monotonic_ns(), "message": "x" * (size - self._overhead(event_id))},
            }
            for websocket in list(self._subscribers):
                await websocket.send_json(made)

    def _overhead(self, event_id: int) -> int:
        return len(event(event_id, 512, "naive")) - event(event_id, 512, "naive").count(b"x")

    async def settle(self) -> None:
        await asyncio.sleep(0)

    async def command(self, words: list[str]) -> dict[str, Any]:
        raise ValueError(words)


async def main() -> None:
    database = await aiosqlite.connect(sys.argv[1]) if len(sys.argv) > 1 else None
    naive = NaiveServer(database)
    config = uvicorn.Config(naive.application(), lifespan="off", log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110, uvicorn has no event for it
            await asyncio.sleep(0.01)
        await asyncio.wait({serving, Producer(naive).start(listener.getsockname()[1])}, return_when="FIRST_COMPLETED")
        os._exit(0)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
