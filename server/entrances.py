"""The WebSocket entrances: `/ws`, and `/api/tasks/{task_id}/events`.

They stand in front of Starlette: its middleware and routing would stay on the stack of every open connection.
"""

import re
from contextlib import suppress

import msgspec
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from runner.base import Runner
from server.gate import Gate, address_of
from server.hub import Hub
from server.problems import BadRequest
from server.protocol import CloseCode, Subscribe
from server.sockets import Session, reject
from server.validation import explain

_TASK = re.compile(r"/api/tasks/([^/]+)/events")
_CLOSE_CODES = {401: CloseCode.NOT_AUTHENTICATED, 403: CloseCode.ORIGIN_REFUSED, 429: CloseCode.TRY_AGAIN_LATER}


class Entrances:
    """The ASGI application for connections of type `websocket`."""

    def __init__(self, gate: Gate, hub: Hub, runner: Runner) -> None:
        self._gate = gate
        self._hub = hub
        self._runner = runner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(WebSocketDisconnect):  # who has left needs no answer
            await self._count(WebSocket(scope, receive, send))

    async def _count(self, websocket: WebSocket) -> None:
        connections, address = self._gate.clients.connections, address_of(websocket.scope)
        if not connections.enter(address):
            message = f"A client has at most {connections.limit} connections."
            await reject(websocket, CloseCode.TRY_AGAIN_LATER, "too_many_connections", message)
            return
        try:
            await self._let_in(websocket)
        finally:
            connections.leave(address)

    async def _let_in(self, websocket: WebSocket) -> None:
        scope = websocket.scope
        try:
            passed = self._gate.check_websocket(scope)
        except BadRequest as error:
            await reject(websocket, _CLOSE_CODES[error.status], error.code, error.detail)
            return
        session = Session(websocket, self._gate, passed, self._hub, self._runner)
        if scope["path"] == "/ws":
            await session.serve()
        elif task := _TASK.fullmatch(scope["path"]):
            await self._enter_task(task[1], websocket, session)
        else:
            await websocket.close()  # before it is accepted: an HTTP answer, 403

    async def _enter_task(self, task_id: str, websocket: WebSocket, session: Session) -> None:
        try:
            wanted = _subscribe(task_id, websocket)
        except msgspec.ValidationError as error:
            await reject(websocket, CloseCode.BAD_FRAME, "bad_request", explain(error, Subscribe)[1])
        else:
            await session.serve_task(wanted)


def _subscribe(task_id: str, websocket: WebSocket) -> Subscribe:
    """What the query asks for. Raises `msgspec.ValidationError`."""
    query = websocket.query_params
    wanted = {
        "op": "subscribe",
        "task_id": task_id,
        "since_event_id": query.get("since_event_id", "0"),
        "types": [name for name in query.get("types", "").split(",") if name],
        "agent_role": query.get("agent_role"),
    }
    return msgspec.convert(wanted, Subscribe, strict=False)
