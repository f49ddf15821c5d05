"""Errors as the API tells them: RFC 9457 problem+json with a stable code."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from runner import errors
from server.schemas import FieldError, Problem

MEDIA_TYPE = "application/problem+json"

# Runs take minutes and some go on beside each other, so that about this often one of them leaves its place.
RETRY_AFTER = 30  # seconds
SOON = "1"  # seconds, after which what was not finished in its time may be asked for again

# The first class that fits counts.
_RUNNER_ERRORS: tuple[tuple[type[errors.RunnerError], int, str], ...] = (
    (errors.TaskNotFound, 404, "task_not_found"),
    (errors.TaskExists, 409, "task_exists"),
    (errors.LogFileError, 422, "bad_log"),
    (errors.ArtifactNotFound, 404, "artifact_not_found"),
    (errors.NotComparable, 422, "not_comparable"),
    (errors.GitMissing, 501, "git_missing"),
    (errors.KeyReused, 422, "idempotency_key_reused"),
    (errors.AlreadyAnswered, 409, "already_answered"),
    (errors.Conflict, 409, "wrong_status"),
    (errors.NotInTeam, 422, "not_in_team"),
    (errors.EventsExpired, 410, "events_expired"),
    (errors.QueueFull, 429, "queue_full"),
    (errors.TasksFull, 409, "too_many_tasks"),
    (errors.SearchUnfinished, 503, "search_unfinished"),
    (errors.CursorAhead, 422, "cursor_ahead"),
    (errors.ChildLost, 409, "run_ended"),
    (errors.StorageUnavailable, 503, "storage_unavailable"),
    (errors.DatabaseDamaged, 500, "database_damaged"),
)

_CODES = {404: "not_found", 405: "method_not_allowed"}


class BadRequest(Exception):
    """A request that is wrong. field: the one at fault, or None when it is not about a field. headers: of the
    answer.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        status: int = 422,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.field = field
        self.headers = headers or {}


def code_of(error: errors.RunnerError) -> tuple[int, str]:
    """The HTTP status and the stable code of a runner's error."""
    for known, status, code in _RUNNER_ERRORS:
        if isinstance(error, known):
            return status, code
    return 500, "internal_error"


def response(problem: Problem) -> Response:
    return Response(msgspec.json.encode(problem), status_code=problem.status, media_type=MEDIA_TYPE)


def refusal(error: BadRequest) -> Response:
    """What is answered to a request that is wrong."""
    fields = [] if error.field is None else [FieldError(field=error.field, message=error.detail)]
    answer = response(problem(error.status, error.code, error.detail, fields))
    answer.headers.update(error.headers)
    return answer


async def on_bad_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequest)
    return refusal(error)


async def on_runner_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.RunnerError)
    status, code = code_of(error)
    answer = response(problem(status, code, str(error)))
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = SOON
    return answer


async def on_limit_reached(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.LimitReached)
    status, code = code_of(error)
    answer = response(msgspec.structs.replace(problem(status, code, str(error)), limit=error.limit))
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer


async def on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.method} is not possible here; allowed: {(error.headers or {}).get('Allow', '')}.",
    }
    code = _CODES.get(error.status_code, "http_error")
    answer = response(problem(error.status_code, code, details.get(error.status_code, error.detail)))
    answer.headers.update(error.headers or {})
    return answer


async def on_gone(_: Request, __: Exception) -> Response:
    """The client has left before its request was there as a whole: nobody reads what is answered."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def on_any_error(_: Request, __: Exception) -> Response:
    """What nobody expected. The server logs the traceback; a stranger is told nothing of it."""
    return response(problem(500, "internal_error", "Something went wrong in the server; its log says what."))


def problem(status: int, code: str, detail: str, fields: Sequence[FieldError] = ()) -> Problem:
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, code=code, errors=list(fields))
