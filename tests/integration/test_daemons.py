"""Programs that leave the run that started them: nothing of them is left when it has ended."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from runner.metagpt.demo.answers import answer as demo_answer
from tests.openai_server import OpenAiServer
from tests.support import Api, Server, alive, client, ends, gone, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")

# What a test of the QA engineer does here: start a daemon with a session of its own, and maybe with no environment.
DAEMON = """```python
import os, sys, time
from pathlib import Path

tell = "import os, pathlib, time; p = pathlib.Path('daemon'); "
tell += "p.with_suffix('.new').write_text(str(os.getpid())); p.with_suffix('.new').rename(p); time.sleep(300)"
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(nowhere, fd)
        os.execve(sys.executable, [sys.executable, "-c", tell], {environment})
    os._exit(0)
while not Path("daemon").exists():
    time.sleep(0.01)
time.sleep({lasts})
```"""

# And here: one process after another, each in a session of its own, none of which lives for longer than a moment.
HOPPER = """```python
import os, time
if os.fork() == 0:
    os.closerange(0, 3)
    hops = 0
    while True:
        os.setsid()
        hops += 1
        if hops == 200:
            open("begun", "w").close()
        if os.fork():
            os._exit(0)
time.sleep(300)
```"""


class Stage:
    """A run whose tests have just started a daemon."""

    def __init__(self, server: Server, api: Api, task_id: str, daemon: psutil.Process) -> None:
        self.server = server
        self.api = api
        self.task_id = task_id
        self.daemon = daemon


@contextlib.asynccontextmanager
async def qa_writes(tmp_path: Path, script: str) -> AsyncIterator[tuple[Server, Api, str]]:
    """A run whose QA engineer writes this."""

    def answer(prompt: str, system: str) -> str:
        return script if "QA engineer" in prompt else demo_answer(prompt, system)

    with OpenAiServer(answer=answer) as endpoint:
        settings = {"LLM_BASE_URL": endpoint.url, "LLM_API_KEY": "k", "LLM_MODEL": "gpt-4o"}
        with Server(tmp_path / "data", **settings) as server:
            async with client(server) as api:
                yield server, api, await api.started(options={"run_tests": True})


@contextlib.asynccontextmanager
async def stage(tmp_path: Path, *, environment: str = "os.environ", lasts: float = 300) -> AsyncIterator[Stage]:
    script = DAEMON.format(environment=environment, lasts=lasts)
    async with qa_writes(tmp_path, script) as (server, api, task_id):
        path = await until(lambda: written(tmp_path, "daemon"))
        assert path is not None
        yield Stage(server, api, task_id, psutil.Process(int(path.read_text())))


def written(folder: Path, name: str) -> Path | None:
    """The file of this name in a project of the server whose data are in the folder, once it is there."""
    return next(folder.glob(f"data/tasks/*/workspace/*/{name}"), None)


async def _until_attempt_ended(run: Stage) -> None:
    events = await until(lambda: run.api.events(run.task_id), ends)
    assert ends(events) == [(1, "FAILED")]


@pytest.mark.parametrize("environment", ["os.environ", "{}"])
async def test_a_stop(tmp_path: Path, environment: str) -> None:
    """When stop answers, the daemon is gone."""
    async with stage(tmp_path, environment=environment) as run:
        processes = run.server.descendants
        assert run.daemon in processes
        stopped = await run.api.stop(run.task_id)
        assert not any(alive(process) for process in processes)
        assert (stopped["status"], stopped["how"]) == ("CANCELLED", "graceful")
        assert ends(await run.api.events(run.task_id)) == [(1, "CANCELLED")]


@pytest.mark.parametrize("environment", ["os.environ", "{}"])
async def test_a_killed_child(tmp_path: Path, environment: str) -> None:
    """When an attempt whose process was killed counts as ended, the daemon is gone."""
    async with stage(tmp_path, environment=environment) as run:
        run.server.children[0].kill()
        await _until_attempt_ended(run)
        assert not alive(run.daemon)
        await run.api.stop(run.task_id)


async def test_the_end_of_the_run(tmp_path: Path) -> None:
    """When the team has finished, the daemon of its tests is gone."""
    script = DAEMON.format(environment="{}", lasts=0)
    async with qa_writes(tmp_path, script) as (_, api, task_id):
        await api.until_succeeded(task_id)
        path = written(tmp_path, "daemon")
        assert path is not None and not psutil.pid_exists(int(path.read_text()))


@pytest.mark.parametrize("environment", ["os.environ", "{}"])
async def test_a_killed_fork_server(tmp_path: Path, environment: str) -> None:
    """When an attempt that was lost with the fork server counts as ended, the daemon is gone."""
    async with stage(tmp_path, environment=environment) as run:
        run.server.fork_server.kill()
        await _until_attempt_ended(run)
        assert not alive(run.daemon)
        (error,) = await run.api.events(run.task_id, types="ERROR")
        assert "fork server" in error["payload"]["message"]
        await run.api.stop(run.task_id)


@pytest.mark.parametrize("environment", ["os.environ", "{}"])
async def test_a_killed_server(tmp_path: Path, environment: str) -> None:
    """The daemon does not outlive a server that was killed."""
    async with stage(tmp_path, environment=environment) as run:
        run.server.kill()
        await gone([run.daemon])


@pytest.mark.parametrize("environment", ["os.environ", "{}"])
async def test_a_server_killed_with_its_fork_server(tmp_path: Path, environment: str) -> None:
    """When both were killed, the daemon is gone once the server serves again, and other servers' programs are not."""
    async with stage(tmp_path, environment=environment) as run:
        forks, children = run.server.fork_server, run.server.children
        forks.suspend()  # or it would see the end of the server first
        run.server.kill()
        forks.kill()
        await gone([forks, *children])
        assert alive(run.daemon)
        with Server(tmp_path / "other"):
            assert alive(run.daemon)
        with Server(tmp_path / "data") as server:
            assert not alive(run.daemon)
            async with client(server) as api:
                assert ends(await api.events(run.task_id))[0] == (1, "FAILED")


async def test_a_stop_of_what_forks_for_ever(tmp_path: Path) -> None:
    """Processes that are gone before they can be looked at are ended all the same, and do not pile up meanwhile."""
    async with qa_writes(tmp_path, HOPPER) as (server, api, task_id):
        await until(lambda: written(tmp_path, "begun"))
        assert len(server.children[0].children()) < 100
        assert (await api.stop(task_id))["status"] == "CANCELLED"
        assert server.descendants == []
