"""The endpoints of the files that a task's runs have written."""

from starlette.requests import Request
from starlette.responses import Response

from runner.base import Runner
from server import downloads, schemas
from server.operations import Operation, json_answer, task_id_of
from server.turns import Turns
from server.validation import query

AT_ONCE = 4  # diffs and archives that are made at the same time; they take processors, memory, disk


class Files:
    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._turns = Turns(AT_ONCE)

    def operations(self) -> list[Operation]:
        files = "/api/tasks/{task_id}/artifacts"
        return [
            Operation(
                method="GET",
                path=files,
                handler=self.list_artifacts,
                summary="The files that a task's runs have written, with all their versions.",
                query=schemas.ThroughQuery,
                answers={200: schemas.ArtifactList},
                problems=(404, 422),
            ),
            Operation(
                method="GET",
                path=f"{files}/{{path}}/diff",
                handler=self.get_diff,
                summary="What has changed between two versions of a text, as a unified diff.",
                query=schemas.DiffQuery,
                answers={200: str},
                media_type="text/x-diff",
                problems=(404, 422, 501, 503),
            ),
            Operation(
                method="GET",
                path=f"{files}/{{path}}",
                handler=self.get_artifact,
                summary="A file, as it is now or in a version, to download. A single byte range is honoured.",
                query=schemas.ArtifactQuery,
                answers={200: str, 206: str, 304: None},
                media_type="*/*",
                problems=(404, 416, 422),
            ),
            Operation(
                method="GET",
                path=f"{files}.zip",
                handler=self.get_archive,
                summary="All files of a task's last attempt, as they are now.",
                answers={200: str},
                media_type="application/zip",
                problems=(404, 503),
            ),
        ]

    async def list_artifacts(self, request: Request) -> Response:
        wanted = query(request, schemas.ThroughQuery)
        files = await self._runner.get_task_artifacts(task_id_of(request), through=wanted.through)
        return json_answer(schemas.ArtifactList(artifacts=files))

    async def get_artifact(self, request: Request) -> Response:
        return await self._file(request, str(request.path_params["path"]))

    async def get_diff(self, request: Request) -> Response:
        task_id, path = task_id_of(request), str(request.path_params["path"])
        files = {file.path for file in await self._runner.get_task_artifacts(task_id)}
        if f"{path}/diff" in files:  # then the path is a folder, and has no diff
            return await self._file(request, f"{path}/diff")
        wanted = query(request, schemas.DiffQuery)
        async with self._turns.take():
            difference = await self._runner.diff_artifact(task_id, path, wanted.old, wanted.new)
        name = f"{_name(path)}-{difference.old}-{difference.new}.diff"
        headers = downloads.attachment(name) | {"Content-Type": "text/x-diff; charset=utf-8"}
        return Response(difference.text, headers=headers)

    async def _file(self, request: Request, path: str) -> Response:
        wanted = query(request, schemas.ArtifactQuery)
        artifact, file = await self._runner.open_artifact(task_id_of(request), path, wanted.version)
        return downloads.download(request, file, name=_name(path), size=artifact.size, sha256=artifact.sha256)

    async def get_archive(self, request: Request) -> Response:
        task_id = task_id_of(request)
        async with self._turns.take():
            file = await self._runner.open_archive(task_id)
        return downloads.stream(file, name=f"{task_id}.zip", media_type="application/zip")


def _name(path: str) -> str:
    return path.rpartition("/")[2]
