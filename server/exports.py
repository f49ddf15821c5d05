"""Runs as files: taken home from here, and taken in from elsewhere."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from runner.base import Runner
from runner.errors import ArtifactNotFound
from runner.files import File
from runner.versions import versions
from server import downloads, offline, schemas
from server.bounds import EXPORTED_FILE_BYTES, PIECE_BYTES
from server.operations import Operation, json_answer, task_id_of
from server.problems import BadRequest
from server.validation import require_type

LOG_TYPE = "application/jsonl"
FILES_BYTES = 16 * 1024 * 1024  # of all files that are taken along in a page


class _Text(msgspec.Struct, frozen=True):
    path: str
    version: int
    content: str


class _Bytes(msgspec.Struct, frozen=True):
    path: str
    version: int
    base64: bytes


class Exports:
    """static: the folder of the dashboard."""

    def __init__(self, runner: Runner, static: Path) -> None:
        self._runner = runner
        self._static = static

    def operations(self) -> list[Operation]:
        return [
            Operation(
                method="POST",
                path="/api/tasks/import",
                handler=self.import_log,
                summary="Take in the run that an exported log tells of, as a task of its own that cannot be run.",
                upload=LOG_TYPE,
                answers={201: schemas.TaskDetail},
                problems=(400, 409, 415, 422, 503),
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
            Operation(
                method="GET",
                path="/api/tasks/{task_id}/export.html",
                handler=self.export_page,
                summary="The dashboard with this one run, and its files, as a file that opens without a server.",
                answers={200: str},
                media_type="text/html",
                problems=(404, 410),
            ),
        ]

    async def import_log(self, request: Request) -> Response:
        require_type(request, LOG_TYPE)
        task = await self._runner.import_log(_uploaded(request))
        headers = {"Location": f"/api/tasks/{task.id}"}
        return json_answer(schemas.detail(task, None), 201, headers)

    async def export_log(self, request: Request) -> Response:
        task_id = task_id_of(request)
        chunks = await self._runner.export_log(task_id, size=PIECE_BYTES)
        return StreamingResponse(chunks, media_type=LOG_TYPE, headers=downloads.attachment(f"{task_id}.jsonl"))

    async def export_page(self, request: Request) -> Response:
        task_id = task_id_of(request)
        chunks = await self._runner.export_log(task_id, size=PIECE_BYTES)
        page = await asyncio.to_thread(offline.page, self._static)
        content = self._page(task_id, page, chunks)
        return StreamingResponse(content, media_type="text/html", headers=downloads.attachment(f"{task_id}.html"))

    async def _page(self, task_id: str, page: offline.Page, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield page.head
        yield offline.block("header", await anext(chunks))
        async for chunk in chunks:
            yield offline.events(chunk.splitlines())
        files = await self._runner.get_task_artifacts(task_id)
        yield offline.block("files", msgspec.json.encode(schemas.ArtifactList(artifacts=files)))
        async for file in self._contents(task_id, files):
            yield offline.block("file", msgspec.json.encode(file))
        yield page.tail

    async def _contents(self, task_id: str, files: Sequence[File]) -> AsyncIterator[_Text | _Bytes]:
        """All versions of files, as long as there is room: first the files as they are now."""
        room = FILES_BYTES
        newest = {(file.path, file.version) for file in files}
        for version in sorted(versions(files), key=lambda one: (one.path, one.version) not in newest):
            if version.size > min(room, EXPORTED_FILE_BYTES):
                continue
            with contextlib.suppress(ArtifactNotFound):  # it is gone
                content = await asyncio.to_thread(_read, await self._runner.open_version(task_id, version))
                room -= len(content)
                yield _file(version.path, version.version, content)


def _file(path: str, version: int, content: bytes) -> _Text | _Bytes:
    try:
        return _Text(path, version, content.decode())
    except UnicodeDecodeError:
        return _Bytes(path, version, content)


def _read(file: BinaryIO) -> bytes:
    with file:
        return file.read(EXPORTED_FILE_BYTES)


async def _uploaded(request: Request) -> AsyncIterator[bytes]:
    """The body of a request, however long."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise BadRequest("The connection ended in the middle of the body.", code="cut_off", status=400) from None
