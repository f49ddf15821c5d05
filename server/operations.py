"""An endpoint, from a table of which routes and OpenAPI are made, and what the handlers of all of them share."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server import schemas

Handler = Callable[[Request], Awaitable[Response]]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint.

    path: `{path}` stands for a path with slashes. body: the type of a JSON body. upload: the media type of one that is
    no JSON. answers: the type of the body by status, None for no body. media_type: of that body. problems: further
    statuses.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    query: type[Any] = schemas.NoQuery
    body: type[Any] | None = None
    upload: str | None = None
    answers: Mapping[int, type[Any] | None]
    media_type: str = "application/json"
    problems: tuple[int, ...] = ()


def json_answer(value: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def task_id_of(request: Request) -> str:
    return str(request.path_params["task_id"])
