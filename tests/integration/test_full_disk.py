"""A disk that is full for a while: the server stays, says so, and loses nothing."""

import asyncio
import resource
from pathlib import Path

import psutil

from tests.support import Server, client, ends, gone, ids, until

FULL = 1024  # bytes; as if there were no room: nothing can be written beyond this place in a file


async def test_a_disk_that_is_full_for_a_while(tmp_path: Path) -> None:
    """A run waits until its events can be written, and goes on to its end; what is there can be read meanwhile."""
    with Server(tmp_path / "data", DEMO_PACE=0.3) as server:
        async with client(server) as api:
            task_id = await api.started()
            await api.until_event(task_id, "TOKEN")
            process = psutil.Process(server.process.pid)
            process.rlimit(psutil.RLIMIT_FSIZE, (FULL, resource.RLIM_INFINITY))
            await until(lambda: "commits failed" in server.log)
            shown = await api.events(task_id)
            assert (await api.state(task_id))["status"] == "RUNNING"
            process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
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
            process = psutil.Process(server.process.pid)
            process.rlimit(psutil.RLIMIT_FSIZE, (FULL, resource.RLIM_INFINITY))
            await until(lambda: "commits failed" in server.log)
            stopping = asyncio.create_task(api.stop(task_id))
            await gone(server.children)
            process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            assert (await stopping)["status"] == "CANCELLED"
            assert ends(await api.events(task_id)) == [(1, "CANCELLED")]
