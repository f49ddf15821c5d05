import io
import zipfile

from tests.support import Api, Server


async def _artifacts(api: Api, task_id: str) -> dict[str, int]:
    response = await api.http.get(f"/api/tasks/{task_id}/artifacts")
    return {artifact["path"]: artifact["size"] for artifact in response.json()["artifacts"]}


async def test_files_are_served_as_they_were_written(api: Api) -> None:
    """Every listed file can be fetched, in the size that the list says."""
    task_id = await api.finished()
    artifacts = await _artifacts(api, task_id)
    assert any(path.endswith("/main.py") for path in artifacts)
    for path, size in artifacts.items():
        response = await api.http.get(f"/api/tasks/{task_id}/artifacts/{path}")
        assert (response.status_code, len(response.content)) == (200, size)


async def test_a_download_does_not_run_in_our_origin(api: Api) -> None:
    """A file is plain text to be kept, whatever its name says."""
    task_id = await api.finished()
    path = next(path for path in await _artifacts(api, task_id) if path.endswith("/main.py"))
    headers = (await api.http.get(f"/api/tasks/{task_id}/artifacts/{path}")).headers
    assert headers["content-type"].startswith("text/plain")
    assert headers["content-disposition"].startswith("attachment")
    assert headers["x-content-type-options"] == "nosniff"


async def test_the_archive_holds_every_file(api: Api) -> None:
    """The zip has the files of the list, and nothing else."""
    task_id = await api.finished()
    response = await api.http.get(f"/api/tasks/{task_id}/artifacts.zip")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert sorted(archive.namelist()) == sorted(await _artifacts(api, task_id))


async def test_a_file_that_the_run_did_not_write_is_not_served(api: Api, server: Server) -> None:
    """What lies in the workspace but was not written by the team's actions is no artifact."""
    task_id = await api.finished()
    (server.data / "tasks" / task_id / "workspace" / "planted.txt").write_text("planted")
    response = await api.http.get(f"/api/tasks/{task_id}/artifacts/planted.txt")
    assert (response.status_code, response.json()["code"]) == (404, "artifact_not_found")


async def test_another_version_is_not_served(api: Api) -> None:
    """A version that is not the newest is refused rather than answered with the newest."""
    task_id = await api.finished()
    path = next(iter(await _artifacts(api, task_id)))
    response = await api.http.get(f"/api/tasks/{task_id}/artifacts/{path}", params={"version": 9})
    assert (response.status_code, response.json()["code"]) == (404, "artifact_not_found")


async def test_artifacts_of_no_task(api: Api) -> None:
    """The files of an unknown task are a 404 that says so."""
    response = await api.http.get("/api/tasks/none/artifacts")
    assert (response.status_code, response.json()["code"]) == (404, "task_not_found")
