"""`/metrics`: what it says while something happens, and afterwards."""

import asyncio
from pathlib import Path

import psutil
from websockets.asyncio.client import connect

from runner.states import Status
from tests.scrapes import Scrape, scrape
from tests.support import Api, Server, until, watch, watch_task
from tests.world import World, running


async def test_a_run(slow_server: Server, slow_api: Api) -> None:
    """While a task runs there are its resources, tokens and cost; when it has ended, only that it was stopped."""
    before = await scrape(slow_api.http)
    task_id = await slow_api.started()
    resources = (await slow_api.until_event(task_id, "RESOURCE"))["payload"]
    during = await scrape(slow_api.http)
    stopped = await slow_api.stop(task_id)
    after = await scrape(slow_api.http)

    about = during.of_task(task_id)
    assert set(about) == {
        "metagpt_live_task_cpu_seconds_total",
        "metagpt_live_task_resident_memory_bytes",
        "metagpt_live_task_tokens_total.prompt",
        "metagpt_live_task_tokens_total.completion",
        "metagpt_live_task_cost_usd_total",
    }
    assert about["metagpt_live_task_cpu_seconds_total"] > 0
    assert about["metagpt_live_task_resident_memory_bytes"] >= resources["rss_bytes"] / 2
    assert during.value("metagpt_live_running_attempts") == 1
    assert during.value("metagpt_live_tasks", status="RUNNING") == 1
    assert after.of_task(task_id) == {}
    assert after.value("metagpt_live_running_attempts") == 0
    assert _grown(before, after, "metagpt_live_tasks", status="CANCELLED") == 1
    assert _grown(before, after, "metagpt_live_stops_total", how=stopped["how"]) == 1
    head = (await slow_api.state(task_id))["head"]
    assert _grown(before, after, "metagpt_live_events_total") == head
    commits = _grown(before, after, "metagpt_live_commit_seconds_count")
    assert 1 < commits <= head
    assert _grown(before, after, "metagpt_live_commit_seconds_bucket", le="+Inf") == commits
    assert _grown(before, after, "metagpt_live_commit_seconds_sum") > 0
    memory = psutil.Process(slow_server.process.pid).memory_info().rss
    assert memory / 2 < after.value("process_resident_memory_bytes") < memory * 2


async def test_a_queue(slow_api: Api) -> None:
    """Tasks that find no place are in the queue."""
    tasks = [await slow_api.started() for _ in range(6)]
    scraped = await scrape(slow_api.http)
    assert scraped.value("metagpt_live_concurrency") == 4
    assert scraped.value("metagpt_live_running_attempts") == 4
    assert scraped.value("metagpt_live_queue_depth") == scraped.value("metagpt_live_tasks", status="QUEUED") == 2
    for task_id in reversed(tasks):
        await slow_api.stop(task_id)
    assert (await scrape(slow_api.http)).value("metagpt_live_queue_depth") == 0


async def test_watchers(server: Server, api: Api) -> None:
    """Connections and their subscriptions are counted while they are there, whatever becomes of what they watch."""
    task_id = await api.create()
    async with watch_task(server, task_id) as one, watch(server) as many:
        await one.until("caught_up")
        for watched in (task_id, await api.create()):
            await many.subscribe(watched)
            await many.until("caught_up")
        scraped = await until(lambda: scrape(api.http), lambda found: _subscriptions(found) == (3, 0))
        assert scraped.value("metagpt_live_websocket_connections") == 2
        await api.http.delete(f"/api/tasks/{task_id}")
        await many.until("error")
        await until(lambda: scrape(api.http), lambda found: _subscriptions(found) == (1, 0))
    scraped = await until(lambda: scrape(api.http), lambda found: _subscriptions(found) == (0, 0))
    assert scraped.value("metagpt_live_websocket_connections") == 0


async def test_a_poll_that_waits(api: Api) -> None:
    """A long poll is counted as long as it waits."""
    task_id = await api.create()
    poll = asyncio.create_task(api.page(task_id, wait=30))
    await until(lambda: scrape(api.http), lambda found: found.value("metagpt_live_waiting_polls") == 1)
    await api.run(task_id)
    await poll
    assert (await scrape(api.http)).value("metagpt_live_waiting_polls") == 0


async def test_a_slow_consumer(tmp_path: Path) -> None:
    """A connection at the head that takes no more is held back, and lags; once it reads again, it is live again."""
    async with running(World(tmp_path)) as world:
        url = f"http://{world.address}/metrics"
        path = f"/api/tasks/{world.log.task.id}/events"
        async with connect(f"ws://{world.address}{path}", max_queue=1, max_size=None) as connection:
            await until(lambda: scrape(world.http, url), lambda found: _subscriptions(found) == (1, 0))
            while (held := await scrape(world.http, url)).value("metagpt_live_slow_consumers_total") == 0:
                await world.append(world.log, 100, 1000)
            await world.append(world.log, 10, 10)
            lagging = await scrape(world.http, url)
            assert held.value("metagpt_live_slow_consumers_total") == 1
            assert _subscriptions(lagging) == (0, 1)
            assert 10 <= lagging.value("metagpt_live_largest_lag_events") <= len(world.log.drafts)
            await world.append(world.log, 1, 10, status=Status.SUCCEEDED)
            async for _ in connection:
                pass
        after = await until(lambda: scrape(world.http, url), lambda found: _subscriptions(found) == (0, 0))
        assert after.value("metagpt_live_largest_lag_events") == 0
        assert after.value("metagpt_live_slow_consumers_total") == 1


async def test_scrapes_at_the_same_time(api: Api) -> None:
    """Many may ask at once."""
    scrapes = await asyncio.gather(*(scrape(api.http) for _ in range(20)))
    assert len({frozenset(found.families) for found in scrapes}) == 1


def _subscriptions(scraped: Scrape) -> tuple[float, float]:
    """How many are live, and how many are lagging."""
    live, lagging = (scraped.value("metagpt_live_subscriptions", state=state) for state in ("live", "lagging"))
    return live, lagging


def _grown(before: Scrape, after: Scrape, name: str, **labels: str) -> float:
    return after.value(name, **labels) - before.value(name, **labels)
