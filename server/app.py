"""The application: the only place where the server's parts are wired together."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from runner.attempt import Llm
from runner.base import Runner
from runner.errors import RunnerError
from server import openapi, problems
from server.headers import SecurityHeaders
from server.hub import Hub
from server.polls import Polls
from server.protocol import Subscribe
from server.routes import Api, Handler, Operation
from server.sockets import Session, subscribe_from_query
from server.validation import explain

STATIC = Path(__file__).parent.parent / "static"


def create_app(runner: Runner, *, llm: Llm) -> Starlette:
    """The ASGI application over a runner that is open already. llm: what the runs use, to be shown."""
    hub = Hub(runner)
    runner.watch(hub.publish)
    operations = Api(runner, hub, model=llm.model, demo=llm.demo).operations()
    description = msgspec.json.encode(openapi.document(operations))

    async def describe(_: Request) -> Response:
        return Response(description, media_type="application/json")

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    async def socket(websocket: WebSocket) -> None:
        await Session(websocket, hub).serve()

    async def task_socket(websocket: WebSocket) -> None:
        try:
            subscribe = subscribe_from_query(websocket)
        except msgspec.ValidationError as error:
            await Session(websocket, hub).reject(explain(error, Subscribe)[1])
            return
        await Session(websocket, hub).serve_task(subscribe)

    return Starlette(
        routes=[
            *_rest(operations),
            Route("/openapi.json", describe),
            Route("/", page),
            Route("/tasks/{task_id}", page),
            Mount("/static", StaticFiles(directory=STATIC)),
            WebSocketRoute("/ws", socket),
            WebSocketRoute("/api/tasks/{task_id}/events", task_socket),
        ],
        middleware=[Middleware(SecurityHeaders), Middleware(Polls, hub)],
        exception_handlers={
            problems.BadRequest: problems.on_bad_request,
            RunnerError: problems.on_runner_error,
            HTTPException: problems.on_http_error,
            Exception: problems.on_any_error,
        },
    )


def _rest(operations: Sequence[Operation]) -> Iterator[Route]:
    """One route per path, so that a wrong method is told of all that are possible."""
    by_path: dict[str, dict[str, Handler]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation.handler
    for path, handlers in by_path.items():
        yield Route(path.replace("{path}", "{path:path}"), _dispatch(handlers), methods=list(handlers))


def _dispatch(handlers: Mapping[str, Handler]) -> Handler:
    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return handle
