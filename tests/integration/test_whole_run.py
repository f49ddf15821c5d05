"""A whole run of the real team under the demo model, as every transport shows it."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.support import DEADLINE, Api, Server, client, ends, ids, statuses, watch, watch_task


async def test_a_run_on_its_own_entrance(server: Server, api: Api) -> None:
    """Subscribed before the run, a watcher sees events 1..head, caught_up, end, and a close with 1000."""
    task_id = await api.create()
    async with watch_task(server, task_id) as watcher:
        await watcher.until("caught_up")
        await api.run(task_id)
        assert await watcher.to_close() == 1000
    state = await api.state(task_id)
    assert state["status"] == "SUCCEEDED"
    assert ids(watcher.events[task_id]) == list(range(1, state["head"] + 1))
    assert watcher.frames[-1] == {"op": "end", "task_id": task_id, "status": "SUCCEEDED"}


async def test_a_run_on_the_shared_entrance(server: Server, api: Api) -> None:
    """On /ws the connection stays open after the end, for other tasks."""
    task_id = await api.create()
    async with watch(server) as watcher:
        assert (await watcher.receive())["op"] == "hello"
        await watcher.subscribe(task_id)
        await api.run(task_id)
        assert (await watcher.until("end"))["status"] == "SUCCEEDED"
        await watcher.send("ping")
        await watcher.until("pong")
    assert ids(watcher.events[task_id]) == ids(await api.events(task_id))


async def test_every_transport_shows_the_same_events(server: Server, api: Api) -> None:
    """Two WebSockets, a long poll and a plain poll, all live, end with equal logs."""
    task_id = await api.create()
    async with watch(server) as shared, watch_task(server, task_id) as own:
        await shared.subscribe(task_id)
        await api.run(task_id)
        _, _, long_polled = await asyncio.gather(shared.until("end"), own.to_close(), api.follow(task_id))
    polled = await api.events(task_id, limit=7)
    assert shared.events[task_id] == own.events[task_id] == long_polled == polled


async def test_the_events_of_a_good_run(api: Api) -> None:
    """One terminal STATUS, each kind of event that the main job has, and a payload message in every one."""
    task_id = await api.finished()
    events = await api.events(task_id)
    assert statuses(events) == [(1, "QUEUED"), (1, "RUNNING"), (1, "SUCCEEDED")]
    kinds = Counter(event["event_type"] for event in events)
    assert kinds.keys() >= {
        "AGENT_START", "AGENT_COMPLETE", "ACTION_START", "ACTION_COMPLETE", "MESSAGE", "TOKEN", "LLM_CALL", "ARTIFACT",
        "LOG", "RESULT",
    }  # fmt: skip
    assert all(isinstance(event["payload"]["message"], str) for event in events)
    assert events[-1]["event_type"] == "STATUS"


async def test_the_state_after_a_good_run(api: Api) -> None:
    """The state of a finished task holds the result, usage that is the sum of its LLM calls, and full progress."""
    task_id = await api.finished()
    state = await api.state(task_id)
    calls = [event["payload"] for event in await api.events(task_id, types="LLM_CALL")]
    assert state["progress"] == 1 and state["demo"] is True and state["model"] == "demo"
    assert state["usage"]["prompt_tokens"] == sum(call["prompt_tokens"] for call in calls) > 0
    assert state["usage"]["llm_calls"] == len(calls)
    assert state["final_result"]["artifacts"]


async def test_replay_after_the_end(server: Server, api: Api) -> None:
    """A watcher that comes after the end sees the whole log, and then the end."""
    task_id = await api.finished()
    async with watch_task(server, task_id) as watcher:
        assert await watcher.to_close() == 1000
    assert watcher.events[task_id] == await api.events(task_id)
    assert [frame["op"] for frame in watcher.frames][-2:] == ["caught_up", "end"]


async def test_a_cursor_at_the_head(server: Server, api: Api) -> None:
    """A watcher that has everything is told only that it has, and that this is the end."""
    task_id = await api.finished()
    head = (await api.state(task_id))["head"]
    async with watch_task(server, task_id, head) as watcher:
        assert await watcher.to_close() == 1000
    assert [frame["op"] for frame in watcher.frames] == ["hello", "caught_up", "end"]
    assert watcher.frames[0]["head"] == watcher.frames[1]["event_id"] == head


async def test_switching_transports_in_mid_run(server: Server, api: Api) -> None:
    """One cursor, carried between /ws, the own entrance and REST after every few events, misses and repeats nothing."""
    task_id = await api.started()
    seen: list[int] = []
    turns = 0
    async with asyncio.timeout(DEADLINE):
        while not seen or seen[-1] != (await api.state(task_id))["head"] or not ends(await api.events(task_id)):
            cursor = seen[-1] if seen else 0
            match turns % 3:
                case 0:
                    async with watch(server) as watcher:
                        await watcher.subscribe(task_id, cursor)
                        await watcher.until("events")
                    seen += ids(watcher.events[task_id])
                case 1:
                    page = await api.page(task_id, since_event_id=cursor, limit=5, wait=1)
                    seen += ids(page["events"])
                case 2:
                    async with watch_task(server, task_id, cursor) as watcher:
                        await watcher.until("events")
                    seen += ids(watcher.events[task_id])
            turns += 1
    assert seen == list(range(1, len(seen) + 1))
    assert turns > 2


@pytest.mark.parametrize(
    "filter",
    [{"types": ["ARTIFACT", "STATUS"]}, {"agent_role": "Engineer"}, {"types": ["MESSAGE"], "agent_role": "Architect"}],
)
async def test_filters(server: Server, api: Api, filter: dict[str, Any]) -> None:
    """A filter shows the same events live, in a replay and over REST, and the end all the same."""
    task_id = await api.create()
    types = filter.get("types")
    query = filter | ({"types": ",".join(types)} if isinstance(types, list) else {})
    async with watch(server) as live, watch_task(server, task_id, **query) as own:
        await live.subscribe(task_id, **filter)
        await live.until("caught_up")
        await api.run(task_id)
        await asyncio.gather(live.until("end"), own.to_close())
    wanted = [
        event
        for event in await api.events(task_id)
        if event["event_type"] in filter.get("types", [event["event_type"]])
        and event["agent_role"] == filter.get("agent_role", event["agent_role"])
    ]
    assert wanted
    assert live.events[task_id] == own.events[task_id] == await api.events(task_id, **query) == wanted


async def test_all_viewers_leave(server: Server, api: Api) -> None:
    """A run whose viewers have all gone, one of them without a goodbye, goes on to its end."""
    task_id = await api.create()
    async with watch(server) as rude, watch_task(server, task_id) as polite:
        await rude.subscribe(task_id)
        await api.run(task_id)
        await polite.until_event("AGENT_START")
        rude.connection.transport.abort()
    assert (await api.until_status(task_id, "SUCCEEDED", "FAILED"))["status"] == "SUCCEEDED"


async def test_many_runs_at_once(server: Server) -> None:
    """Six tasks at once, four at a time, one connection watching all: every log is whole and its own."""
    async with client(server) as api, watch(server) as watcher:
        task_ids = [await api.create(idea) for idea in ("hangman", "2048", "snake", "todo list", "a quiz", "a timer")]
        for task_id in task_ids:
            await watcher.subscribe(task_id)
            await api.run(task_id)
        for _ in task_ids:
            assert (await watcher.until("end"))["status"] == "SUCCEEDED"
        for task_id in task_ids:
            assert watcher.events[task_id] == await api.events(task_id)


async def test_the_list_hears_of_every_change(server: Server, api: Api) -> None:
    """A watcher of all tasks is told of a new one, of its end and of its deletion."""
    async with watch(server) as watcher:
        await watcher.send("subscribe_tasks")
        await watcher.send("ping")
        await watcher.until("pong")
        task_id = await api.create()
        assert (await watcher.until("state"))["state"]["status"] == "PENDING"
        await api.run(task_id)
        await watcher.until("state", lambda frame: frame["state"]["status"] == "SUCCEEDED")
        assert (await api.http.delete(f"/api/tasks/{task_id}")).status_code == 204
        assert await watcher.until("state") == {"op": "state", "task_id": task_id, "state": None}


async def test_unsubscribe(server: Server, api: Api) -> None:
    """After unsubscribe nothing more of the task comes."""
    task_id = await api.create()
    async with watch(server) as watcher:
        await watcher.subscribe(task_id)
        await watcher.until("caught_up")
        await watcher.send("unsubscribe", task_id=task_id)
        await watcher.send("ping")
        await watcher.until("pong")
        await api.run(task_id)
        await api.follow(task_id)
        await watcher.send("ping")
        assert (await watcher.receive())["op"] == "pong"


async def test_subscribing_again_moves_the_cursor(server: Server, api: Api) -> None:
    """A second subscribe of the same task replaces the first."""
    task_id = await api.finished()
    async with watch(server) as watcher:
        await watcher.subscribe(task_id)
        await watcher.until("end")
        before = len(watcher.events[task_id])
        await watcher.subscribe(task_id, before - 1)
        await watcher.until("end")
    assert ids(watcher.events[task_id])[before:] == [before]
