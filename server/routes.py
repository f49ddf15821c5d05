"""The REST endpoints over tasks, their runs and their logs, and over the server itself."""

from starlette.requests import Request
from starlette.responses import Response

from runner.base import Load, Runner, Stopped
from runner.measures import TaskMetrics, Timeline
from runner.task import NewTask
from server import schemas
from server.hub import Hub
from server.operations import Operation, json_answer, task_id_of
from server.pages import Pages
from server.problems import BadRequest
from server.settings import VERSION
from server.validation import body, query


class Api:
    """The endpoints over one runner and its hub. model: what the runs use; demo: whether it is the demo model.
    prompt_limit: characters of a prompt.
    """

    def __init__(self, runner: Runner, hub: Hub, *, model: str, demo: bool, prompt_limit: int) -> None:
        self._runner = runner
        self._hub = hub
        self._pages = Pages(runner, hub)
        self._model = model
        self._demo = demo
        self._prompt_limit = prompt_limit

    def operations(self) -> list[Operation]:
        task = "/api/tasks/{task_id}"
        return [
            Operation(
                method="POST",
                path="/api/tasks",
                handler=self.create_task,
                summary="Make a task. With an Idempotency-Key header, a repeated request answers with the same task.",
                body=NewTask,
                answers={201: schemas.TaskDetail},
                problems=(400, 404, 409, 413, 415, 422, 503),
            ),
            Operation(
                method="GET",
                path="/api/tasks",
                handler=self.list_tasks,
                summary="List tasks, newest first, or those that have the words that are looked for.",
                query=schemas.TasksQuery,
                answers={200: schemas.TaskList},
                problems=(422,),
            ),
            Operation(
                method="GET",
                path=task,
                handler=self.get_task,
                summary="A whole task.",
                answers={200: schemas.TaskDetail},
                problems=(404,),
            ),
            Operation(
                method="DELETE",
                path=task,
                handler=self.delete_task,
                summary="Forget a task, its events and its workspace.",
                answers={204: None},
                problems=(404, 409, 503),
            ),
            Operation(
                method="POST",
                path=f"{task}/run",
                handler=self.run_task,
                summary="Run a task; a failed or cancelled one goes on as its next attempt, or anew with from: start.",
                body=schemas.Start,
                answers={202: schemas.Accepted},
                problems=(400, 404, 409, 413, 415, 422, 429, 503),
            ),
            Operation(
                method="POST",
                path=f"{task}/stop",
                handler=self.stop_task,
                summary="Stop a task; the answer comes when nothing of its run is left.",
                body=schemas.Nothing,
                answers={200: Stopped},
                problems=(400, 404, 409, 413, 415, 422, 503),
            ),
            Operation(
                method="GET",
                path=f"{task}/state",
                handler=self.get_state,
                summary="Where a task stands.",
                answers={200: schemas.TaskState},
                problems=(404,),
            ),
            Operation(
                method="GET",
                path=f"{task}/events",
                handler=self.get_events,
                summary="Events of a task after a cursor. Opened as a WebSocket it replays, then follows.",
                query=schemas.EventsQuery,
                answers={200: schemas.Events, 304: None},
                problems=(404, 422),
            ),
            Operation(
                method="GET",
                path=f"{task}/digest",
                handler=self.get_digest,
                summary="The running hash of the log: whoever computes the same one holds the whole log.",
                query=schemas.ThroughQuery,
                answers={200: schemas.Digest},
                problems=(404, 410, 422),
            ),
            Operation(
                method="POST",
                path=f"{task}/messages",
                handler=self.say,
                summary="Put a person's message into the team's queue.",
                body=schemas.Message,
                answers={202: schemas.Accepted},
                problems=(400, 404, 409, 413, 415, 422, 503),
            ),
            Operation(
                method="POST",
                path=f"{task}/input",
                handler=self.answer,
                summary="Answer what the task asks a person.",
                body=schemas.Input,
                answers={200: schemas.TaskState},
                problems=(400, 404, 409, 413, 415, 422, 503),
            ),
            Operation(
                method="GET",
                path=f"{task}/timeline",
                handler=self.get_timeline,
                summary="When each role worked on what, and when a person was asked, between which events.",
                query=schemas.TimelineQuery,
                answers={200: Timeline},
                problems=(404, 422),
            ),
            Operation(
                method="GET",
                path=f"{task}/metrics",
                handler=self.get_task_metrics,
                summary="How the time of a task was spent, what it cost, and how the team stands, by role.",
                query=schemas.ThroughQuery,
                answers={200: TaskMetrics},
                problems=(404, 422),
            ),
            Operation(
                method="GET",
                path="/api/admin/drain",
                handler=self.get_drain,
                summary="Whether the server is draining, and what is left; it is drained when nothing is running.",
                answers={200: Load},
            ),
            Operation(
                method="POST",
                path="/api/admin/drain",
                handler=self.drain,
                summary="Drain the server: finish what runs and start nothing, until it resumes or is restarted.",
                body=schemas.Drain,
                answers={200: Load},
                problems=(400, 413, 415, 422),
            ),
            Operation(
                method="GET",
                path="/healthz",
                handler=self.health,
                summary="The server is alive, and what it uses.",
                answers={200: schemas.Health},
            ),
            Operation(
                method="GET",
                path="/readyz",
                handler=self.readiness,
                summary="Whether runs are started.",
                answers={200: schemas.Readiness, 503: schemas.Readiness},
            ),
        ]

    async def create_task(self, request: Request) -> Response:
        new = await body(request, NewTask)
        if not new.input_prompt.strip():
            raise BadRequest("input_prompt must hold more than white space.", code="invalid", field="input_prompt")
        if len(new.input_prompt) > self._prompt_limit:
            message = f"input_prompt must be text to {self._prompt_limit:,} characters."
            raise BadRequest(message, code="invalid", field="input_prompt")
        if new.title is not None and not new.title.strip():
            raise BadRequest("title must hold more than white space.", code="invalid", field="title")
        key = request.headers.get("idempotency-key")
        if key is not None and not 1 <= len(key) <= 255:
            message = "The Idempotency-Key header must have 1 to 255 characters."
            raise BadRequest(message, code="invalid", field="Idempotency-Key")
        task = await self._runner.create_task(new, key=key)
        detail = schemas.detail(task, self._runner.queue_place(task))
        return json_answer(detail, 201, {"Location": f"/api/tasks/{task.id}"})

    async def list_tasks(self, request: Request) -> Response:
        wanted = query(request, schemas.TasksQuery, lists=frozenset({"status"}))
        page = await self._runner.list_tasks(
            statuses=frozenset(wanted.status), query=wanted.q, limit=wanted.limit, cursor=wanted.cursor
        )
        cursor = None if page.next_cursor is None else str(page.next_cursor)
        rows = [schemas.row(task, self._runner.queue_place(task), page.snippets.get(task.id)) for task in page.tasks]
        return json_answer(schemas.TaskList(tasks=rows, next_cursor=cursor, counts=page.counts))

    async def get_task(self, request: Request) -> Response:
        task = await self._runner.get_task_state(task_id_of(request))
        return json_answer(schemas.detail(task, self._runner.queue_place(task)))

    async def delete_task(self, request: Request) -> Response:
        await self._runner.delete_task(task_id_of(request))
        return Response(status_code=204)

    async def run_task(self, request: Request) -> Response:
        start = await body(request, schemas.Start)
        task = await self._runner.start_task(task_id_of(request), start.origin)
        accepted = schemas.Accepted(task_id=task.id, message="Task execution started", attempt=task.attempt)
        return json_answer(accepted, 202)

    async def stop_task(self, request: Request) -> Response:
        await body(request, schemas.Nothing)
        return json_answer(await self._runner.stop_task(task_id_of(request)))

    async def get_state(self, request: Request) -> Response:
        task = await self._runner.get_task_state(task_id_of(request))
        return json_answer(schemas.state(task, self._runner.queue_place(task)))

    async def get_events(self, request: Request) -> Response:
        wanted = query(request, schemas.EventsQuery, lists=frozenset({"types"}))
        return await self._pages.answer(request, task_id_of(request), wanted)

    async def get_digest(self, request: Request) -> Response:
        wanted = query(request, schemas.ThroughQuery)
        task_id = task_id_of(request)
        digest = await self._runner.get_task_digest(task_id, wanted.through)
        return json_answer(schemas.Digest(task_id=task_id, count=digest.count, sha256=digest.sha256))

    async def say(self, request: Request) -> Response:
        message = await body(request, schemas.Message)
        task_id = task_id_of(request)
        await self._runner.say(task_id, message.content, message.send_to)
        task = await self._runner.get_task_state(task_id)
        return json_answer(
            schemas.Accepted(task_id=task_id, message="The message was handed to the team", attempt=task.attempt), 202
        )

    async def answer(self, request: Request) -> Response:
        given = await body(request, schemas.Input)
        task = await self._runner.answer(task_id_of(request), given.request_id, given.answer)
        return json_answer(schemas.state(task, self._runner.queue_place(task)))

    async def get_timeline(self, request: Request) -> Response:
        wanted = query(request, schemas.TimelineQuery)
        timeline = await self._runner.get_task_timeline(
            task_id_of(request), after=wanted.since_event_id, limit=wanted.limit
        )
        return json_answer(timeline)

    async def get_task_metrics(self, request: Request) -> Response:
        wanted = query(request, schemas.ThroughQuery)
        return json_answer(await self._runner.get_task_metrics(task_id_of(request), through=wanted.through))

    async def get_drain(self, _: Request) -> Response:
        return json_answer(self._runner.load())

    async def drain(self, request: Request) -> Response:
        wanted = await body(request, schemas.Drain)
        await (self._runner.drain() if wanted.drain else self._runner.resume())
        return json_answer(self._runner.load())

    async def health(self, _: Request) -> Response:
        return json_answer(schemas.Health(version=VERSION, epoch=self._hub.epoch, model=self._model, demo=self._demo))

    async def readiness(self, _: Request) -> Response:
        checks = {"runner": self._runner.ready()}
        draining = self._runner.load().draining
        ready = all(checks.values()) and not draining
        weaknesses = self._runner.weaknesses()
        readiness = schemas.Readiness(ready=ready, checks=checks, draining=draining, weaknesses=weaknesses)
        return json_answer(readiness, 200 if ready else 503)
