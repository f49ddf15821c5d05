"""A stop at every moment of a run's life: it answers, says how it went and how long it took, and nothing is left."""

import asyncio
import os
import shutil
from pathlib import Path

import psutil
import pytest

from tests.openai_server import Hang, OpenAiServer
from tests.support import Api, Json, Server, alive, client, ends, statuses, until

GRACE = 1500  # milliseconds: the default of --stop-grace
REVIEW = {"review": ["ProductManager"]}


def _assert_graceful(stopped: Json) -> None:
    assert (stopped["status"], stopped["how"]) == ("CANCELLED", "graceful")
    assert 0 < stopped["took_ms"] < GRACE


async def _only_child_is_of(server: Server, api: Api, task_id: str) -> None:
    """Once a later run is at work, whatever was to be forked before it has been forked, and has ended."""
    await api.until_event(task_id, "AGENT_START")
    await until(lambda: server.children, lambda children: len(children) == 1)
    await api.stop(task_id)


async def test_before_there_is_a_fork_server(tmp_path: Path) -> None:
    """A run that waits for a fork server which is still starting is stopped at once, and never has a process."""
    with Server(tmp_path / "data", DEMO_PACE=100) as server:
        await until(psutil.Process(server.process.pid).children)
        server.fork_server.suspend()
        async with client(server) as api:
            task_id = await api.started()
            await api.until_status(task_id, "RUNNING")
            _assert_graceful(await api.stop(task_id))
            server.fork_server.resume()
            await _only_child_is_of(server, api, await api.started())
            assert statuses(await api.events(task_id)) == [
                (1, "QUEUED"), (1, "RUNNING"), (1, "STOPPING"), (1, "CANCELLED"),
            ]  # fmt: skip


async def test_while_it_forks(slow_server: Server, slow_api: Api) -> None:
    """A stop does not wait for a process that is only being made; when it is there after all, it ends at once."""
    await until(lambda: slow_api.http.get("/readyz"), lambda response: response.status_code == 200)
    slow_server.fork_server.suspend()
    try:
        task_id = await slow_api.started()
        _assert_graceful(await slow_api.stop(task_id))
    finally:
        slow_server.fork_server.resume()
    await _only_child_is_of(slow_server, slow_api, await slow_api.started())
    assert ends(await slow_api.events(task_id)) == [(1, "CANCELLED")]


async def test_in_a_call_of_the_model(tmp_path: Path) -> None:
    """A run that waits for an endpoint that does not answer is stopped gracefully."""
    with OpenAiServer([Hang()]) as endpoint:
        settings = {"LLM_BASE_URL": endpoint.url, "LLM_API_KEY": "k", "LLM_MODEL": "gpt-4o"}
        with Server(tmp_path / "data", **settings) as server:
            async with client(server) as api:
                task_id = await api.started()
                await until(endpoint.asked.is_set)
                (child,) = server.children
                _assert_graceful(await api.stop(task_id))
                assert not alive(child)


async def test_in_a_blocked_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is blocked, by a git that does not end, is killed after the grace, and git with it."""
    git = shutil.which("git")
    blocks = tmp_path / "blocks"
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\nif [ -e "{blocks}" ]; then exec sleep 300; fi\nexec "{git}" "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            task_id = await api.started(options=REVIEW)
            waiting = (await api.until_status(task_id, "WAITING"))["waiting"]
            blocks.touch()
            answer = {"request_id": waiting["request_id"], "answer": "approve"}
            assert (await api.http.post(f"/api/tasks/{task_id}/input", json=answer)).status_code == 200
            await until(lambda: [process for process in server.descendants if _is_sleep(process)])
            processes = server.descendants
            stopped = await api.stop(task_id)
            assert not any(alive(process) for process in processes)
            assert (stopped["status"], stopped["how"]) == ("CANCELLED", "killed")
            assert GRACE <= stopped["took_ms"] < 2 * GRACE
            assert ends(await api.events(task_id)) == [(1, "CANCELLED")]


def _is_sleep(process: psutil.Process) -> bool:
    try:
        return process.name() == "sleep"
    except psutil.NoSuchProcess:
        return False


async def test_while_a_person_is_asked(server: Server, api: Api) -> None:
    """A run that waits for a person is stopped gracefully; its question cannot be answered any more."""
    task_id = await api.started(options=REVIEW)
    waiting = (await api.until_status(task_id, "WAITING"))["waiting"]
    children = server.children
    _assert_graceful(await api.stop(task_id))
    assert not any(alive(child) for child in children)
    answer = {"request_id": waiting["request_id"], "answer": "approve"}
    response = await api.http.post(f"/api/tasks/{task_id}/input", json=answer)
    assert response.status_code == 409
    assert (await api.state(task_id))["waiting"] is None


async def test_during_recovery(tmp_path: Path) -> None:
    """A stop that is the first thing a new server hears, after the old one was killed, is answered as any other."""
    with Server(tmp_path / "data", DEMO_PACE=100, CONCURRENCY=1) as server:
        async with client(server) as api:
            running, queued = await api.started(), await api.started()
            await api.until_event(running, "ACTION_START")
            server.kill()
    with Server(tmp_path / "data", DEMO_PACE=100, CONCURRENCY=1) as server:
        async with client(server) as api:
            for task_id in (running, queued):
                _assert_graceful(await api.stop(task_id))
            await _only_child_is_of(server, api, await api.started())
            for task_id in (running, queued):
                assert statuses(await api.events(task_id))[-1][1] == "CANCELLED"


async def test_as_the_server_ends(tmp_path: Path) -> None:
    """A server that ends in the middle of a long grace does not wait for it: the stop is answered, and complete."""
    with Server(tmp_path / "data", DEMO_PACE=100, STOP_GRACE=60) as server:
        async with client(server) as api:
            task_id = await api.started()
            await api.until_event(task_id, "ACTION_START")
            server.children[0].suspend()
            stop = asyncio.create_task(api.stop(task_id))
            await api.until_status(task_id, "STOPPING")
            server.process.terminate()
            stopped = await stop
            assert (stopped["status"], stopped["how"]) == ("CANCELLED", "killed")


async def test_again(slow_api: Api) -> None:
    """A second stop, of a task that was stopped, says how it stands, takes no time and leaves the log as it was."""
    task_id = await slow_api.started()
    await slow_api.until_event(task_id, "ACTION_START")
    await slow_api.stop(task_id)
    head = (await slow_api.state(task_id))["head"]
    stopped = await slow_api.stop(task_id)
    assert (stopped["status"], stopped["how"], stopped["took_ms"]) == ("CANCELLED", "graceful", 0)
    assert (await slow_api.state(task_id))["head"] == head
