"""The queue as its users see it: places, drains, the depth limit, and what of it outlives the server."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support import Api, Json, Server, client, statuses, watch

LIMIT = 3


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Server]:
    """A server with one place to run and three to wait, whose runs do not end by themselves."""
    with Server(tmp_path / "data", DEMO_PACE=100, CONCURRENCY=1, QUEUE_LIMIT=LIMIT) as server:
        yield server


@pytest_asyncio.fixture
async def api(narrow: Server) -> AsyncIterator[Api]:
    async with client(narrow) as api:
        yield api


async def _places(api: Api, *task_ids: str) -> list[int | None]:
    places = [(await api.state(task_id))["queue"] for task_id in task_ids]
    return [place and place["position"] for place in places]


async def _drain(api: Api, drain: bool) -> Json:
    response = await api.http.post("/api/admin/drain", json={"drain": drain})
    assert response.status_code == 200, response.text
    load: Json = response.json()
    assert (await api.http.get("/api/admin/drain")).json() == load
    return load


async def test_a_place_in_the_queue(api: Api) -> None:
    """State, detail and list say the same of a queued task: where it stands and why it waits; of others, null."""
    running, pending = await api.started(), await api.create()
    last, first = await api.started(priority=-1), await api.started(priority=5)
    assert await _places(api, running, pending, first, last) == [None, None, 1, 2]
    place = (await api.state(last))["queue"]
    assert place["reason"] == "All places are taken (1); 1 task starts before it."
    assert (await api.http.get(f"/api/tasks/{last}")).json()["queue"] == place
    rows = {row["id"]: row["queue"] for row in (await api.http.get("/api/tasks")).json()["tasks"]}
    assert (rows[last], rows[running], rows[pending]) == (place, None, None)


async def test_a_list_that_follows_the_queue(narrow: Server, api: Api) -> None:
    """Who watches all tasks is told of every new place, also of tasks that nothing else has happened to."""
    running, first, last = await api.started(), await api.started(), await api.started()
    async with watch(narrow, "/ws") as watcher:
        await watcher.send("subscribe_tasks")
        await watcher.send("ping")
        await watcher.until("pong")

        async def told(task_id: str) -> Any:
            frame = await watcher.until("state", lambda frame: frame["task_id"] == task_id)
            return frame["state"]["queue"] and frame["state"]["queue"]["position"]

        before = await api.started(priority=5)
        assert await told(last) == 3
        await api.stop(before)
        assert await told(last) == 2
        await api.stop(running)
        assert await told(last) == 1
        await _drain(api, True)
        frame = await watcher.until("state", lambda frame: frame["task_id"] == last)
        assert "draining" in frame["state"]["queue"]["reason"]
    assert await _places(api, first, last) == [None, 1]


async def test_a_drain(api: Api) -> None:
    """A draining server finishes what runs and starts nothing, says so everywhere, and goes on when told to."""
    running = await api.started()
    await api.until_event(running, "ACTION_START")
    assert await _drain(api, True) == {"draining": True, "running": 1, "queued": 0}
    queued = await api.started()
    ready = await api.http.get("/readyz")
    expected = {"ready": False, "checks": {"runner": True}, "draining": True}
    assert (ready.status_code, ready.json() | expected) == (503, ready.json())
    assert (await api.http.get("/healthz")).status_code == 200
    assert (await api.state(running))["status"] == "RUNNING"
    await api.stop(running)
    state = await api.state(queued)
    assert (state["status"], state["queue"]["position"]) == ("QUEUED", 1)
    assert "draining" in state["queue"]["reason"]
    assert await _drain(api, True) == {"draining": True, "running": 0, "queued": 1}
    assert await _drain(api, False) == {"draining": False, "running": 1, "queued": 0}
    await api.until_status(queued, "RUNNING")
    ready = await api.http.get("/readyz")
    assert (ready.status_code, ready.json()["draining"]) == (200, False)


async def test_stopping_in_a_drain(api: Api) -> None:
    """A task that waits for the end of a drain can be stopped."""
    await _drain(api, True)
    queued = await api.started()
    assert (await api.stop(queued))["status"] == "CANCELLED"
    assert await _drain(api, False) == {"draining": False, "running": 0, "queued": 0}


@pytest.mark.parametrize(
    ("body", "field"), [({}, "drain"), ({"drain": "yes"}, "drain"), ({"drain": 1}, "drain"), ({"on": True}, "on")]
)
async def test_a_bad_drain(api: Api, body: Json, field: str) -> None:
    """What does not clearly ask for a drain does not begin one."""
    response = await api.http.post("/api/admin/drain", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "invalid")
    assert response.json()["errors"][0]["field"] == field
    assert (await api.http.get("/api/admin/drain")).json()["draining"] is False


async def test_a_full_queue(api: Api) -> None:
    """A run beyond the limit is refused with what the limit is and when to ask again, and leaves no trace."""
    await api.started()
    queued = [await api.started() for _ in range(LIMIT)]
    refused = await api.create()
    before = await api.state(refused)
    response = await api.http.post(f"/api/tasks/{refused}/run")
    problem = response.json()
    assert (response.status_code, problem["code"], problem["limit"]) == (429, "queue_full", LIMIT)
    assert str(LIMIT) in problem["detail"]
    assert int(response.headers["retry-after"]) > 0
    assert await api.state(refused) == before and before["status"] == "PENDING"
    assert await api.events(refused) == []
    assert await _places(api, *queued) == [1, 2, 3]
    await api.stop(queued[0])
    await api.run(refused)
    assert await _places(api, *queued[1:], refused) == [1, 2, 3]


async def test_what_is_active_is_no_case_for_the_limit(api: Api) -> None:
    """Running what is queued already is a conflict, whether the queue is full or not."""
    await api.started()
    queued = [await api.started() for _ in range(LIMIT)]
    assert (await api.http.post(f"/api/tasks/{queued[0]}/run")).status_code == 409


async def test_a_queue_outlives_its_server(tmp_path: Path) -> None:
    """After `kill -9` in a drain, what was queued starts in its order, however few may wait now; the drain is over."""
    data = tmp_path / "data"
    with Server(data, DEMO_PACE=100, CONCURRENCY=1) as server:
        async with client(server) as api:
            await _drain(api, True)
            low, high, middle = [await api.started(priority=priority) for priority in (-5, 5, 0)]
            server.kill()
    with Server(data, DEMO_PACE=100, CONCURRENCY=1, QUEUE_LIMIT=0) as server:
        async with client(server) as api:
            await api.until_status(high, "RUNNING")
            assert await _places(api, high, middle, low) == [None, 1, 2]
            assert (await api.http.post(f"/api/tasks/{await api.create()}/run")).status_code == 429
            assert statuses(await api.events(low)) == [(1, "QUEUED")]
            async with watch(server, "/ws") as watcher:
                await watcher.send("subscribe_tasks")
                await watcher.send("ping")
                await watcher.until("pong")
                await api.stop(high)
                frame = await watcher.until("state", lambda frame: frame["task_id"] == low)
                assert frame["state"]["queue"]["position"] == 1


async def test_an_idempotency_key_outlives_its_server(tmp_path: Path) -> None:
    """A request that is repeated after `kill -9` finds the task that was made, in its present state."""
    request: Json = {"json": {"input_prompt": "once"}, "headers": {"Idempotency-Key": "key"}}
    with Server(tmp_path / "data", DEMO_PACE=100) as server:
        async with client(server) as api:
            task_id = (await api.http.post("/api/tasks", **request)).json()["id"]
            await api.run(task_id)
            await api.stop(task_id)
            server.kill()
    with Server(tmp_path / "data", DEMO_PACE=100) as server:
        async with client(server) as api:
            again = await api.http.post("/api/tasks", **request)
            assert (again.status_code, again.json()["id"], again.json()["status"]) == (201, task_id, "CANCELLED")
            assert len((await api.http.get("/api/tasks")).json()["tasks"]) == 1
