"""Searching the log of a task. Tasks themselves are searched where they are listed."""

from starlette.requests import Request
from starlette.responses import Response

from runner.base import Runner
from server import schemas
from server.operations import Operation, json_answer, task_id_of
from server.problems import BadRequest
from server.validation import query


class Search:
    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def operation(self) -> Operation:
        return Operation(
            method="GET",
            path="/api/tasks/{task_id}/search",
            handler=self.search_events,
            summary="The last events in which all words and quoted phrases stand, with snippets.",
            query=schemas.SearchQuery,
            answers={200: schemas.SearchResults},
            problems=(404, 422, 503),
        )

    async def search_events(self, request: Request) -> Response:
        wanted = query(request, schemas.SearchQuery)
        if not wanted.q.strip():
            message = "q must be text from 1 to 200 characters, and hold more than white space."
            raise BadRequest(message, code="invalid", field="q")
        findings = await self._runner.search_task_events(
            task_id_of(request), query=wanted.q, limit=wanted.limit, before=wanted.before
        )
        results = schemas.SearchResults(
            results=list(findings.found),
            through=findings.through,
            next_before=findings.found[-1].event_id if findings.more else None,
        )
        return json_answer(results)
