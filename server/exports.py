"""Runs as files: taken home from here, and taken in from elsewhere."""

from collections.abc import AsyncIterator

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from runner.base import Runner
from server import schemas
from server.problems import BadRequest
from server.routes import Operation
from server.validation import require_type

LOG_TYPE = "application/jsonl"


class Exports:
    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def operations(self) -> list[Operation]:
        return [
            Operation(
                method="POST",
                path="/api/tasks/import",
                handler=self.import_log,
                summary="Take in the run that an exported log tells of, as a task of its own that cannot be run.",
                upload=LOG_TYPE,
                answers={201: schemas.TaskDetail},
                problems=(400, 409, 415, 422),
            ),
            Operation(
                method="GET",
                path="/api/tasks/{task_id}/export.jsonl",
                handler=self.export_log,
                summary="The whole log as a file: JSON lines, first a header, then every event byte for byte.",
                answers={200: str},
                media_type=LOG_TYPE,
                problems=(404, 410),
            ),
        ]

    async def import_log(self, request: Request) -> Response:
        require_type(request, LOG_TYPE)
        task = await self._runner.import_log(_uploaded(request))
        headers = {"Location": f"/api/tasks/{task.id}"}
        return Response(msgspec.json.encode(schemas.detail(task, None)), 201, headers, media_type="application/json")

    async def export_log(self, request: Request) -> Response:
        task_id = str(request.path_params["task_id"])
        chunks = await self._runner.export_log(task_id)
        return StreamingResponse(chunks, media_type=LOG_TYPE, headers=_attachment(f"{task_id}.jsonl"))


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


async def _uploaded(request: Request) -> AsyncIterator[bytes]:
    """The body of a request, however long."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise BadRequest("The connection ended in the middle of the body.", code="cut_off", status=400) from None
