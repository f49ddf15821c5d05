"""A run that has finished has SUCCEEDED, whatever happens to its server before it could say so."""

import json
from pathlib import Path

from runner.base import Filter
from runner.events import EventType
from runner.states import Status
from runner.supervisor import Supervisor
from runner.task import NewTask
from tests.children import ToldChild, ToldForks, leave_behind, told_supervisor
from tests.support import Json, ends, until


async def _begun(supervisor: Supervisor, forks: ToldForks) -> tuple[str, ToldChild]:
    """A task that is being run, and its child."""
    task = await supervisor.create_task(NewTask(input_prompt="x"))
    await supervisor.start_task(task.id)
    return task.id, await forks.child()


async def _log(supervisor: Supervisor, task_id: str) -> list[Json]:
    page = await supervisor.get_task_events(task_id, after=0, limit=10**5, size=10**9, filter=Filter())
    return [json.loads(event) for event in page.events]


async def test_a_finished_run_while_the_server_ends(tmp_path: Path) -> None:
    """RESULT and exit code 0 that come while the server shuts down are success."""
    async with told_supervisor(tmp_path) as (supervisor, forks):
        task_id, child = await _begun(supervisor, forks)
        await until(lambda: supervisor.get_task_state(task_id), lambda task: task.status is Status.RUNNING)
        child.finish()
        await supervisor.aclose()
        assert ends(await _log(supervisor, task_id)) == [(1, "SUCCEEDED")]


async def test_a_finished_run_of_a_killed_server(tmp_path: Path) -> None:
    """A server killed between RESULT and the terminal STATUS: the next one says SUCCEEDED, once, with the result."""
    async with told_supervisor(tmp_path) as (supervisor, forks):
        task_id, child = await _begun(supervisor, forks)
        child.emit(EventType.RESULT, {"message": "done", "final_result": {"artifacts": []}})
        await until(lambda: supervisor.get_task_state(task_id), lambda task: task.final_result is not None)
        leave_behind(tmp_path, tmp_path / "next")
        child.exit(0)
    async with told_supervisor(tmp_path / "next") as (supervisor, _):
        await supervisor.recover()
        assert ends(await _log(supervisor, task_id)) == [(1, "SUCCEEDED")]
        assert (await supervisor.get_task_state(task_id)).final_result == {"artifacts": []}
