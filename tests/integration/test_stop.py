"""Stopping runs: politely, by force, while queued, twice, too late."""

import asyncio
import signal
from pathlib import Path

import httpx

from tests.support import Api, Server, alive, client, ends, gone, statuses, until, watch_task


async def test_stop_while_the_team_is_at_work(slow_server: Server, slow_api: Api) -> None:
    """Stop answers once the child is gone: CANCELLED, graceful, one terminal STATUS."""
    task_id = await slow_api.started()
    await slow_api.until_event(task_id, "ACTION_START")
    (child,) = slow_server.children
    stopped = await slow_api.stop(task_id)
    assert not alive(child)
    assert (stopped["status"], stopped["how"]) == ("CANCELLED", "graceful")
    assert 0 < stopped["took_ms"] < 1500
    assert statuses(await slow_api.events(task_id)) == [
        (1, "QUEUED"), (1, "RUNNING"), (1, "STOPPING"), (1, "CANCELLED"),
    ]  # fmt: skip


async def test_stop_of_a_run_that_does_not_listen(slow_server: Server, slow_api: Api) -> None:
    """A child that is frozen is killed after the grace, and the answer says so."""
    task_id = await slow_api.started()
    await slow_api.until_event(task_id, "ACTION_START")
    (child,) = slow_server.children
    child.send_signal(signal.SIGSTOP)
    stopped = await slow_api.stop(task_id)
    assert not alive(child)
    assert (stopped["status"], stopped["how"]) == ("CANCELLED", "killed")
    assert 1500 <= stopped["took_ms"] < 4000
    assert ends(await slow_api.events(task_id)) == [(1, "CANCELLED")]


async def test_stop_at_once(slow_server: Server, slow_api: Api) -> None:
    """A stop that comes before the child does is heard as well, and leaves no child."""
    task_id = await slow_api.create()
    await asyncio.gather(slow_api.run(task_id), slow_api.run(other := await slow_api.create()))
    stopped = await asyncio.gather(slow_api.stop(task_id), slow_api.stop(other))
    assert [answer["status"] for answer in stopped] == ["CANCELLED", "CANCELLED"]
    await until(lambda: slow_server.children, lambda children: not children)
    assert len(ends(await slow_api.events(task_id))) == 1


async def test_stop_twice_at_the_same_time(slow_api: Api) -> None:
    """Of two stops both answer with the end, and the log has it once."""
    task_id = await slow_api.started()
    await slow_api.until_event(task_id, "ACTION_START")
    stopped = await asyncio.gather(slow_api.stop(task_id), slow_api.stop(task_id))
    assert [answer["status"] for answer in stopped] == ["CANCELLED", "CANCELLED"]
    assert ends(await slow_api.events(task_id)) == [(1, "CANCELLED")]


async def test_stop_of_a_finished_task(api: Api) -> None:
    """Stopping what is over changes nothing, and says how it stands."""
    task_id = await api.finished()
    head = (await api.state(task_id))["head"]
    assert (await api.stop(task_id))["status"] == "SUCCEEDED"
    assert (await api.state(task_id))["head"] == head


async def test_stop_of_a_task_that_never_ran(api: Api) -> None:
    """Stopping a pending task leaves it pending."""
    task_id = await api.create()
    assert (await api.stop(task_id))["status"] == "PENDING"


async def test_viewers_see_the_stop(slow_server: Server, slow_api: Api) -> None:
    """A watcher of a run that is stopped is told the end, and closed with 1000."""
    task_id = await slow_api.started()
    async with watch_task(slow_server, task_id) as watcher:
        await watcher.until_event("ACTION_START")
        await slow_api.stop(task_id)
        assert await watcher.to_close() == 1000
    assert watcher.frames[-1]["status"] == "CANCELLED"


async def test_the_queue(tmp_path: Path) -> None:
    """With one place, a second and a third task wait; the place goes to the higher priority, not to the older."""
    with Server(tmp_path / "data", DEMO_PACE=100, CONCURRENCY=1) as server:
        async with client(server) as api:
            first = await api.started("hangman")
            await api.until_event(first, "ACTION_START")
            low, high = await api.started("snake", priority=-1), await api.started("2048", priority=5)
            assert [(await api.state(task))["status"] for task in (first, low, high)] == ["RUNNING", "QUEUED", "QUEUED"]
            await api.stop(first)
            await api.until_event(high, "ACTION_START")
            assert (await api.state(low))["status"] == "QUEUED"
            assert len(server.children) == 1


async def test_stop_while_queued(tmp_path: Path) -> None:
    """A queued task is cancelled without ever running, also by two stops at once, and does not run later."""
    with Server(tmp_path / "data", DEMO_PACE=100, CONCURRENCY=1) as server:
        async with client(server) as api:
            first, queued = await api.started("hangman"), await api.started("snake")
            stopped = await asyncio.gather(*(api.stop(queued) for _ in range(8)))
            assert {answer["status"] for answer in stopped} == {"CANCELLED"}
            await api.stop(first)
            assert statuses(await api.events(queued)) == [(1, "QUEUED"), (1, "CANCELLED")]


async def test_running_again_continues_the_log(slow_api: Api) -> None:
    """A cancelled task can be run again: attempt 2, event_ids that go on, one terminal STATUS for each attempt."""
    task_id = await slow_api.started()
    await slow_api.until_event(task_id, "ACTION_START")
    await slow_api.stop(task_id)
    head = (await slow_api.state(task_id))["head"]
    await slow_api.run(task_id)
    await slow_api.until_status(task_id, "RUNNING")
    await slow_api.stop(task_id)
    events = await slow_api.events(task_id)
    assert [event["event_id"] for event in events] == list(range(1, len(events) + 1))
    assert len(events) > head
    assert ends(events) == [(1, "CANCELLED"), (2, "CANCELLED")]


async def test_what_an_active_task_refuses(slow_api: Api) -> None:
    """A running task can neither be run nor deleted: 409, and it goes on."""
    task_id = await slow_api.started()
    await slow_api.until_status(task_id, "RUNNING")
    for method, path in (("POST", f"/api/tasks/{task_id}/run"), ("DELETE", f"/api/tasks/{task_id}")):
        response = await slow_api.http.request(method, path)
        assert (response.status_code, response.json()["code"]) == (409, "wrong_status")
    assert (await slow_api.state(task_id))["status"] == "RUNNING"
    await slow_api.stop(task_id)


async def test_a_succeeded_task_cannot_be_run_again(api: Api) -> None:
    """SUCCEEDED is for good."""
    task_id = await api.finished()
    response = await api.http.post(f"/api/tasks/{task_id}/run")
    assert (response.status_code, response.json()["code"]) == (409, "wrong_status")
    assert (await api.state(task_id))["attempt"] == 1


async def test_run_twice_at_the_same_time(slow_api: Api) -> None:
    """Of many simultaneous calls to run, exactly one starts an attempt."""
    task_id = await slow_api.create()
    responses = await asyncio.gather(*(slow_api.http.post(f"/api/tasks/{task_id}/run") for _ in range(8)))
    assert sorted(response.status_code for response in responses) == [202] + [409] * 7
    await slow_api.stop(task_id)
    assert ends(await slow_api.events(task_id)) == [(1, "CANCELLED")]


async def test_the_time_limit(slow_server: Server, slow_api: Api) -> None:
    """A run that reaches timeout_s fails, says so, and leaves no child."""
    task_id = await slow_api.started(options={"timeout_s": 0.5})
    state = await slow_api.until_status(task_id, "FAILED")
    assert "time limit of 0.5 s" in state["reason"]
    error = (await slow_api.events(task_id, types="ERROR"))[-1]
    assert "time limit" in error["payload"]["message"]
    await gone(slow_server.children)


async def test_deleting(api: Api) -> None:
    """A deleted task is gone: its state, its log, its place in the list, its folder."""
    task_id = await api.finished()
    workspace = Path((await api.state(task_id))["workspace"])
    assert await asyncio.to_thread(workspace.is_dir)
    assert (await api.http.delete(f"/api/tasks/{task_id}")).status_code == 204
    responses: list[httpx.Response] = [
        await api.http.get(f"/api/tasks/{task_id}{path}") for path in ("", "/state", "/events")
    ]
    responses.append(await api.http.delete(f"/api/tasks/{task_id}"))
    assert {(r.status_code, r.json()["code"]) for r in responses} == {(404, "task_not_found")}
    assert task_id not in (await api.http.get("/api/tasks")).text
    assert not await asyncio.to_thread(workspace.parent.exists)


async def test_deleting_while_watched(server: Server, api: Api) -> None:
    """Whoever watches a task that is deleted is told so, and closed with 4404 on its own entrance."""
    task_id = await api.create()
    async with watch_task(server, task_id) as watcher:
        await watcher.until("caught_up")
        assert (await api.http.delete(f"/api/tasks/{task_id}")).status_code == 204
        code = await watcher.to_close()
    assert watcher.frames[-1]["code"] == "task_not_found"
    assert code == 4404
