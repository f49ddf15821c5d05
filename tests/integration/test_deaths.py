"""What dies: children, the fork server, the server itself."""

import asyncio
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from runner.metagpt.demo.answers import answer as demo_answer
from tests.openai_server import OpenAiServer
from tests.support import (
    METAGPT_LIVE,
    Api,
    Server,
    client,
    ends,
    environment,
    gone,
    ids,
    open_request,
    statuses,
    until,
    watch_task,
)


async def _until_attempt(api: Api, task_id: str, attempt: int) -> None:
    await until(lambda: api.state(task_id), lambda state: (state["attempt"], state["status"]) == (attempt, "RUNNING"))


async def test_a_killed_child(slow_server: Server, slow_api: Api) -> None:
    """`kill -9` of a run's process ends the attempt once, with an ERROR that says what happened; the next goes on."""
    task_id = await slow_api.started()
    await slow_api.until_event(task_id, "ACTION_START")
    (child,) = slow_server.children
    child.kill()
    await _until_attempt(slow_api, task_id, 2)
    events = await slow_api.events(task_id)
    (error,) = [event["payload"] for event in events if event["event_type"] == "ERROR"]
    assert "SIGKILL" in error["message"] and error["fatal"] is False
    assert ids(events) == list(range(1, len(events) + 1))
    assert ends(events) == [(1, "FAILED")]
    await slow_api.stop(task_id)
    assert ends(await slow_api.events(task_id)) == [(1, "FAILED"), (2, "CANCELLED")]


async def test_a_killed_fork_server(slow_server: Server, slow_api: Api) -> None:
    """With the fork server its attempts are lost, once each; they go on with a new one."""
    tasks = [await slow_api.started("hangman"), await slow_api.started("snake")]
    for task_id in tasks:
        await slow_api.until_event(task_id, "ACTION_START")
    forks, children = slow_server.fork_server, slow_server.descendants
    forks.kill()
    for task_id in tasks:
        await _until_attempt(slow_api, task_id, 2)
        (error,) = await slow_api.events(task_id, types="ERROR")
        assert "fork server" in error["payload"]["message"]
        assert ends(await slow_api.events(task_id)) == [(1, "FAILED")]
    await gone(children)
    for task_id in tasks:
        await slow_api.stop(task_id)


async def test_a_fork_server_killed_as_it_forks(slow_server: Server, slow_api: Api) -> None:
    """A run whose process was only just to be made goes on with the next fork server."""
    await until(lambda: slow_api.http.get("/readyz"), lambda response: response.status_code == 200)
    forks = slow_server.fork_server
    forks.send_signal(signal.SIGSTOP)
    task_id = await slow_api.started()
    await until(lambda: slow_api.state(task_id), lambda state: state["status"] == "RUNNING")
    forks.send_signal(signal.SIGKILL)
    # If it had not been asked for the process yet, nothing is lost with it.
    state = await until(lambda: slow_api.state(task_id), lambda state: state["current_agent"] is not None)
    assert ends(await slow_api.events(task_id)) == [(1, "FAILED")] * (state["attempt"] - 1)
    await slow_api.stop(task_id)


async def test_readiness_without_a_fork_server(slow_server: Server, slow_api: Api) -> None:
    """/readyz says 503 while there is no fork server, and 200 again when there is."""

    async def readiness() -> int:
        return (await slow_api.http.get("/readyz")).status_code

    await until(readiness, lambda status: status == 200)
    slow_server.fork_server.kill()
    await until(readiness, lambda status: status == 503)
    await until(readiness, lambda status: status == 200)


async def test_a_killed_server(tmp_path: Path) -> None:
    """`kill -9` of the server: no child survives; after a restart every event that was shown is still there, the
    attempt has exactly one terminal STATUS, it goes on, and the queued task runs."""
    with Server(tmp_path / "data", DEMO_PACE=1, CONCURRENCY=1) as server:
        async with client(server) as api:
            running, queued = await api.started("hangman"), await api.started("snake")
            async with watch_task(server, running) as watcher:
                await watcher.until_event("TOKEN")
                forks, children = server.fork_server, server.descendants
                assert children
                server.kill()
                await watcher.to_close()
            shown = watcher.events[running]
        await gone([forks, *children])
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            await api.until_succeeded(running)
            await api.until_succeeded(queued)
            events = await api.events(running)
            assert events[: len(shown)] == shown
            assert ids(events) == list(range(1, len(events) + 1))
            assert ends(events) == [(1, "FAILED"), (2, "SUCCEEDED")]


async def test_a_server_killed_as_it_starts(tmp_path: Path) -> None:
    """A fork server that is still at its import, and so does not listen, does not outlive its server."""
    with Server(tmp_path / "data") as server:
        await until((tmp_path / "data" / "scratch").exists)
        forks = server.fork_server
        forks.send_signal(signal.SIGSTOP)
        async with client(server) as api:
            assert (await api.http.get("/readyz")).status_code == 503
        server.kill()
        await gone([forks])


async def test_a_server_killed_while_a_run_is_stopping(tmp_path: Path) -> None:
    """A stop that was under way when the server died is complete after the restart, which knows why it was."""
    with Server(tmp_path / "data", DEMO_PACE=100, STOP_GRACE=30) as server:
        async with client(server) as api:
            task_id = await api.started()
            await api.until_event(task_id, "ACTION_START")
            children = server.children
            children[0].send_signal(signal.SIGSTOP)
            async with watch_task(server, task_id) as watcher:
                await watcher.until("caught_up")
                async with open_request(server, "POST", f"/api/tasks/{task_id}/stop"):
                    await watcher.until_event("STATUS")
                    server.kill()
        await gone(children)
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            assert statuses(await api.events(task_id))[-2:] == [(1, "STOPPING"), (1, "CANCELLED")]
            assert (await api.state(task_id))["reason"] == "Stopped on request."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_end_of_the_server(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, or SIGTERM, ends the server, also with viewers and a child that is frozen for ever; the runs go on at the
    next start.
    """
    with Server(tmp_path / "data", DEMO_PACE=100) as server:
        async with client(server) as api:
            task_id, frozen = await api.started("hangman"), await api.started("snake")
            for task in (task_id, frozen):
                await api.until_event(task, "ACTION_START")
            forks, children = server.fork_server, server.children
            children[-1].send_signal(signal.SIGSTOP)
            async with watch_task(server, task_id) as watcher:
                await watcher.until("caught_up")
                server.process.send_signal(number)
                assert await watcher.to_close() == 1012
                await until(server.process.poll, lambda code: code is not None)
        await gone([forks, *children])
        assert server.process.returncode == 0
        assert server.log == ""
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            for task in (task_id, frozen):
                await api.until_succeeded(task)
                events = await api.events(task)
                assert ends(events) == [(1, "FAILED"), (2, "SUCCEEDED")]
                assert any("shut down" in event["payload"]["message"] for event in events)


async def test_ctrl_c_with_a_long_poll(tmp_path: Path) -> None:
    """The server's end does not wait for a long poll to end by itself."""
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            task_id = await api.create()
        async with open_request(server, "GET", f"/api/tasks/{task_id}/events?wait=30"):
            await until(lambda: _connections(server), lambda count: count > 0)
            server.process.send_signal(signal.SIGINT)
            await until(server.process.poll, lambda code: code is not None)  # it gives up before the poll does


def _connections(server: Server) -> int:
    return len([c for c in psutil.Process(server.process.pid).net_connections() if c.status == "ESTABLISHED"])


def test_ctrl_c_in_the_terminal(tmp_path: Path) -> None:
    """Ctrl-C during `metagpt-live run` stops the run: it says CANCELLED, and exits with 1."""
    with subprocess.Popen(
        [METAGPT_LIVE, "run", "hangman", "--data", tmp_path / "data"],
        env=environment(tmp_path, DEMO_PACE=100),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if "product manager begins" in line:
                break
        forks = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert "CANCELLED" in process.stdout.read()
        assert process.stderr.read() == ""
        assert process.wait(20) == 1
    asyncio.run(gone(forks))


LASTING_TEST = """```python
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
time.sleep(300)
```"""


def _write_a_test_that_lasts(prompt: str, system: str) -> str:
    return LASTING_TEST if "QA engineer" in prompt else demo_answer(prompt, system)


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


@pytest.mark.parametrize("victim", ["child", "fork server", "server"])
async def test_what_a_run_has_started_dies_with_it(tmp_path: Path, victim: str) -> None:
    """Programs that a run has started, and what they have started, do not outlive it, whoever is killed."""
    with OpenAiServer(answer=_write_a_test_that_lasts) as endpoint:
        settings = {"LLM_BASE_URL": endpoint.url, "LLM_API_KEY": "k", "LLM_MODEL": "gpt-4o"}
        with Server(tmp_path / "data", **settings) as server:
            async with client(server) as api:
                await api.started(options={"run_tests": True})

                def started() -> list[psutil.Process]:
                    return [process for process in server.descendants if "time.sleep(300)" in _words(process)]

                await until(lambda: next(iter(started()), None))
                processes = server.descendants
                assert len(processes) >= 3
                match victim:
                    case "child":
                        server.children[0].kill()
                    case "fork server":
                        server.fork_server.kill()
                    case "server":
                        server.kill()
                await gone(processes)
