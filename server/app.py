"""The application: the only place where the server's parts are wired together."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from runner.attempt import Llm
from runner.base import Runner
from runner.errors import LimitReached, RunnerError
from server import openapi, problems
from server.assets import Assets
from server.entrances import Entrances
from server.exports import Exports
from server.files import Files
from server.gate import Gate, GatedApp
from server.headers import Policies
from server.hub import Hub
from server.logins import Logins
from server.metrics import Metrics
from server.operations import Handler, Operation
from server.polls import Polls
from server.routes import Api
from server.search import Search

STATIC = Path(__file__).parent.parent / "static"


class LiveApp(Starlette):
    """Starlette behind the gate, with the WebSocket entrances and the shortcut for polls in front of it."""

    def __init__(self, gate: Gate, runner: Runner, hub: Hub, operations: Sequence[Operation]) -> None:
        assets = Assets(STATIC)

        async def page(request: Request) -> Response:
            return await assets.page(request.scope, "task" if "task_id" in request.path_params else "home")

        super().__init__(
            routes=[
                *_rest(operations),
                Route("/openapi.json", _constant(msgspec.json.encode(openapi.document(operations)))),
                Route("/", page),
                Route("/tasks/{task_id}", page),
                Mount("/static", assets),
            ],
            exception_handlers={
                problems.BadRequest: problems.on_bad_request,
                LimitReached: problems.on_limit_reached,
                RunnerError: problems.on_runner_error,
                HTTPException: problems.on_http_error,
                ClientDisconnect: problems.on_gone,
                Exception: problems.on_any_error,
            },
        )
        self._gate = gate
        self._hub = hub
        self._entrances = Entrances(gate, hub, runner)
        self._http = Policies(GatedApp(Polls(super().__call__, hub), gate))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._entrances if scope["type"] == "websocket" else self._http)(scope, receive, send)

    def tend(self) -> None:
        """To be called every second: what has changed about the tokens counts from then on."""
        self._gate.auth.refresh()
        self._hub.audience.tend()

    def close(self) -> None:
        """Have everyone who waits go on: the server is about to end."""
        self._hub.close()


def create_app(runner: Runner, *, llm: Llm, gate: Gate) -> LiveApp:
    """The ASGI application over a runner that is open already. llm: what the runs use, to be shown."""
    hub = Hub(runner)
    runner.watch(hub.publish)
    runner.watch_queue(hub.listing.requeue)
    api = Api(runner, hub, model=llm.model, demo=llm.demo, prompt_limit=gate.limits.prompt_limit)
    # A path that is spelled out stands before one with a name in its place.
    operations = [
        *Logins(gate).operations(),
        *Exports(runner, STATIC).operations(),
        *api.operations(),
        *Files(runner).operations(),
        Search(runner).operation(),
        Metrics(runner, hub).operation(),
    ]
    return LiveApp(gate, runner, hub, operations)


def _constant(content: bytes) -> Handler:
    async def answer(_: Request) -> Response:
        return Response(content, media_type="application/json")

    return answer


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
