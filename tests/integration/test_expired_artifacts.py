from hashlib import sha256
from pathlib import Path

from tests.support import Json, Server, client, until

MOMENT = 1e-9  # days


async def test_files_outlive_the_events(tmp_path: Path) -> None:
    """After retention has deleted a log, the files of its run are listed and served as they were at its end."""
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
            left = (await api.http.get(f"/api/tasks/{task_id}/artifacts")).json()
            assert [_as_it_is(file) for file in left["artifacts"]] == [_as_it_is(file) for file in listed["artifacts"]]
            for file in left["artifacts"]:
                response = await api.http.get(f"/api/tasks/{task_id}/artifacts/{file['path']}")
                assert sha256(response.content).hexdigest() == file["sha256"]


def _as_it_is(file: Json) -> Json:
    """A file without its history, which the events told."""
    return {name: value for name, value in file.items() if name != "versions"}
