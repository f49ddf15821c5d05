"""The OpenAPI document: valid, complete, and true of every answer (the client of all these tests checks that)."""

import asyncio

from openapi_spec_validator import validate
from starlette.routing import Route

from runner.attempt import Llm
from runner.base import Runner
from server.app import create_app
from tests.loopback import loopback_gate
from tests.support import Api


async def test_the_document_is_valid(api: Api) -> None:
    """The document is OpenAPI 3.1."""
    document = (await api.http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    validate(document)


async def test_the_document_has_every_route(api: Api) -> None:
    """Every REST route is described with all its methods, and nothing is described that does not exist."""

    class Idle:
        def watch(self, listener: object) -> None: ...
        def watch_queue(self, doorbell: object) -> None: ...
        def queue_place(self, task: object) -> None: ...
        def get_task_state(self, task_id: object) -> None: ...

    runner: Runner = Idle()  # type: ignore[assignment]
    routes: set[tuple[str, str]] = set()
    for route in create_app(runner, llm=Llm(), gate=loopback_gate()).routes:
        if isinstance(route, Route) and route.path.startswith(("/api", "/healthz", "/readyz", "/metrics")):
            routes |= {(route.path_format, method.lower()) for method in route.methods or () if method != "HEAD"}
    described = {
        (path, method) for path, operations in api.description.document["paths"].items() for method in operations
    }
    assert described == routes


async def test_every_good_answer_is_described(api: Api) -> None:
    """Each operation's good answer, over a whole life of a task, fits its schema."""
    task_id = await api.finished()
    await api.http.get("/api/tasks")
    await api.http.get(f"/api/tasks/{task_id}")
    response = await api.http.get(f"/api/tasks/{task_id}/events")
    etag = {"If-None-Match": response.headers["etag"]}
    assert (await api.http.get(f"/api/tasks/{task_id}/events", headers=etag)).status_code == 304
    artifacts = (await api.http.get(f"/api/tasks/{task_id}/artifacts")).json()["artifacts"]
    file = f"/api/tasks/{task_id}/artifacts/{artifacts[0]['path']}"
    tag = (await api.http.get(file)).headers["etag"]
    assert (await api.http.get(file, headers={"If-None-Match": tag})).status_code == 304
    assert (await api.http.get(file, headers={"Range": "bytes=0-0"})).status_code == 206
    assert (await api.http.get(f"{file}/diff")).status_code == 200
    assert (await api.http.get(f"/api/tasks/{task_id}/metrics")).status_code == 200
    await _expect_whole_timeline(api, task_id)
    await api.http.get(f"/api/tasks/{task_id}/artifacts.zip")
    await api.http.get(f"/api/tasks/{task_id}/search", params={"q": "hangman"})
    await api.stop(task_id)
    await api.http.get(f"/api/tasks/{task_id}/export.html")
    exported = await api.http.get(f"/api/tasks/{task_id}/export.jsonl")
    await api.http.delete(f"/api/tasks/{task_id}")
    jsonl = {"Content-Type": exported.headers["content-type"]}
    assert (await api.http.post("/api/tasks/import", content=exported.content, headers=jsonl)).status_code == 201
    await api.http.get("/api/login")
    await api.http.post("/api/login", json={"token": "any"})
    await api.http.delete("/api/login")
    await api.http.get("/healthz")
    await api.http.get("/readyz")
    await api.http.get("/api/admin/drain")
    assert (await api.http.post("/api/admin/drain", json={"drain": True})).status_code == 200
    await api.http.get("/readyz")
    assert (await api.http.post("/api/admin/drain", json={"drain": False})).status_code == 200
    await api.http.get("/metrics")
    await api.http.get(f"/api/tasks/{await api.create()}/digest")
    review = await api.started(options={"review": ["ProductManager"]})
    request = (await api.until_event(review, "INPUT_REQUEST"))["payload"]["request_id"]
    assert (await api.http.post(f"/api/tasks/{review}/messages", json={"content": "hello"})).status_code == 202
    answer = {"request_id": request, "answer": "approve"}
    assert (await api.http.post(f"/api/tasks/{review}/input", json=answer)).status_code == 200
    wanted = {
        (method, operation["operationId"], int(status))
        for operations in api.description.document["paths"].values()
        for method, operation in operations.items()
        for status in operation["responses"]
        if int(status) < 400
    }
    assert wanted <= api.description.seen


async def _expect_whole_timeline(api: Api, task_id: str) -> None:
    """Every turn and every action of a run has one span, from its first event to its last."""
    spans = (await api.http.get(f"/api/tasks/{task_id}/timeline")).json()["spans"]
    for kind, begins, ends in (
        ("turn", "AGENT_START", "AGENT_COMPLETE"),
        ("action", "ACTION_START", "ACTION_COMPLETE"),
    ):
        events = [[e["event_id"] for e in await api.events(task_id, types=name)] for name in (begins, ends)]
        told = [(span["start_event_id"], span["end_event_id"]) for span in spans if span["kind"] == kind]
        assert [start for start, _ in told] == events[0] and sorted(end for _, end in told) == events[1]


async def test_the_etag_of_a_page(api: Api) -> None:
    """A page that has grown has another ETag; one that has not, the same."""
    task_id = await api.create()
    path = f"/api/tasks/{task_id}/events"
    first, second = [(await api.http.get(path)).headers["etag"] for _ in range(2)]
    assert first == second
    await api.run(task_id)
    await api.follow(task_id)
    response = await api.http.get(path, headers={"If-None-Match": first})
    assert response.status_code == 200 and response.headers["etag"] != first


async def test_a_long_poll_waits_for_the_first_event(api: Api) -> None:
    """A long poll answers when something happens, not before and not only at its end."""
    task_id = await api.create()
    poll = asyncio.create_task(api.page(task_id, wait=30))
    done, _ = await asyncio.wait({poll}, timeout=0.2)
    assert not done
    await api.run(task_id)
    page = await asyncio.wait_for(poll, 5)
    assert page["events"][0]["payload"]["status"] == "QUEUED"


async def test_a_long_poll_ends(api: Api) -> None:
    """A long poll of a task in which nothing happens ends after its time with an empty page."""
    task_id = await api.create()
    clock = asyncio.get_running_loop().time
    began = clock()
    page = await api.page(task_id, wait=0.3)
    assert (page["events"], page["total"], page["head"], page["terminal"]) == ([], 0, 0, False)
    assert 0.3 <= clock() - began < 2


async def test_a_long_poll_after_the_end_does_not_wait(api: Api) -> None:
    """When the run is over there is nothing to wait for."""
    task_id = await api.finished()
    head = (await api.state(task_id))["head"]
    page = await asyncio.wait_for(api.page(task_id, since_event_id=head, wait=30), 5)
    assert page["terminal"] is True and page["events"] == []


async def test_the_list(api: Api) -> None:
    """Tasks are listed newest first, in pages without a gap, by status and by words; without their prompts."""
    marker = "needle%_\\"
    made = [await api.create(f"{marker} {n}", title=f"task {n}") for n in range(5)]
    found: list[str] = []
    cursor = None
    while True:
        query: dict[str, str | int] = {"q": marker, "limit": 2}
        if cursor:
            query["cursor"] = cursor
        page = (await api.http.get("/api/tasks", params=query)).json()
        found += [task["id"] for task in page["tasks"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == made[::-1]
    assert (await api.http.get("/api/tasks", params={"q": marker, "status": "RUNNING,FAILED"})).json()["tasks"] == []
    pending = (await api.http.get("/api/tasks", params={"q": marker, "status": "PENDING"})).json()["tasks"]
    assert len(pending) == 5 and "input_prompt" not in pending[0]


async def test_an_idempotency_key(api: Api) -> None:
    """The same request with the same key, also twenty times at once, makes one task; a different one is refused."""
    body = {"input_prompt": "once"}
    headers = {"Idempotency-Key": "key-1"}
    responses = await asyncio.gather(*(api.http.post("/api/tasks", json=body, headers=headers) for _ in range(20)))
    assert {response.status_code for response in responses} == {201}
    assert len({response.json()["id"] for response in responses}) == 1
    other = await api.http.post("/api/tasks", json={"input_prompt": "twice"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    task_id = responses[0].json()["id"]
    assert responses[0].headers["location"] == f"/api/tasks/{task_id}"
    await api.http.delete(f"/api/tasks/{task_id}")
    again = await api.http.post("/api/tasks", json={"input_prompt": "twice"}, headers=headers)
    assert again.status_code == 201
