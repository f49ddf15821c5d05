"""A disk that is full for a while: the server stays, says so, and loses nothing."""

import asyncio
from functools import partial
from pathlib import Path

from tests.disk import full_disk
from tests.support import Server, client, ends, gone, ids, until


async def test_a_disk_that_is_full_for_a_while(tmp_path: Path) -> None:
    """A run waits until its events can be written, and goes on to its end; what is there can be read meanwhile."""
    with Server(tmp_path / "data", DEMO_PACE=0.3) as server:
        async with client(server) as api:
            task_id = await api.started()
            await api.until_event(task_id, "TOKEN")
            with full_disk(server):
                await until(lambda: "commits failed" in server.log)
                shown = await api.events(task_id)
                assert (await api.state(task_id))["status"] == "RUNNING"
            await api.until_succeeded(task_id)
            events = await api.events(task_id)
            assert ids(events) == list(range(1, len(events) + 1))
            assert events[: len(shown)] == shown


async def test_a_stop_while_the_disk_is_full(tmp_path: Path) -> None:
    """A stop is complete as soon as its end can be written."""
    with Server(tmp_path / "data", DEMO_PACE=100) as server:
        async with client(server) as api:
            task_id = await api.started()
            await api.until_event(task_id, "TOKEN")
            with full_disk(server):
                await until(lambda: "commits failed" in server.log)
                stopping = asyncio.create_task(api.stop(task_id))
                await gone(server.children)
            assert (await stopping)["status"] == "CANCELLED"
            assert ends(await api.events(task_id)) == [(1, "CANCELLED")]


async def test_what_a_person_asks_for_while_the_disk_is_full(tmp_path: Path) -> None:
    """What cannot be written is refused with a clear problem, and changes nothing; later it is done."""
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            there, new = await api.finished(), await api.create()
            asking = await api.started(options={"review": ["ProductManager"]})
            asked = await api.until_status(asking, "WAITING")
            answer = {"request_id": asked["waiting"]["request_id"], "answer": "approve"}
            requests = (
                partial(api.http.post, "/api/tasks", json={"input_prompt": "snake"}, headers={"Idempotency-Key": "k"}),
                partial(api.http.get, f"/api/tasks/{there}/artifacts.zip"),
                partial(api.http.delete, f"/api/tasks/{there}"),
                partial(api.http.post, f"/api/tasks/{asking}/messages", json={"content": "Make it blue."}),
                partial(api.http.post, f"/api/tasks/{asking}/input", json=answer),
                partial(api.http.post, f"/api/tasks/{new}/run"),
            )
            with full_disk(server):
                refusals = [await request() for request in requests]
                assert (await api.state(there))["status"] == "SUCCEEDED"
            assert {(r.status_code, r.json()["code"]) for r in refusals} == {(503, "storage_unavailable")}
            assert {r.headers["Retry-After"] for r in refusals} == {"1"}
            listed = (await api.http.get("/api/tasks")).json()["tasks"]
            assert {task["id"]: task["status"] for task in listed} == {
                there: "SUCCEEDED",
                new: "PENDING",
                asking: "WAITING",
            }
            assert (await api.state(asking))["head"] == asked["head"]
            assert [(await request()).status_code for request in requests] == [201, 200, 204, 202, 200, 202]
