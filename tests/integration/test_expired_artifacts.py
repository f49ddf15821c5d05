import asyncio
from pathlib import Path

from tests.support import Json, Server, client, until

MOMENT = 1e-9  # days


async def test_files_outlive_the_events(tmp_path: Path) -> None:
    """After retention has deleted a log, the files of its run are listed and served as before."""
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            task_id = await api.finished()
            listed = (await api.http.get(f"/api/tasks/{task_id}/artifacts")).json()
    with Server(tmp_path / "data", KEEP_DAYS=MOMENT) as server:
        async with client(server) as api:

            async def page() -> Json:
                return await api.page(task_id)

            await until(page, lambda page: page["gap"] is not None)
            assert (await page())["events"] == []
            assert (await api.http.get(f"/api/tasks/{task_id}/artifacts")).json() == listed
            workspace = tmp_path / "data" / "tasks" / task_id / "workspace"
            for artifact in listed["artifacts"]:
                file = await asyncio.to_thread((workspace / artifact["path"]).read_bytes)
                response = await api.http.get(f"/api/tasks/{task_id}/artifacts/{artifact['path']}")
                assert response.content == file and len(file) == artifact["size"]
