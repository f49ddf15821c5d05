import asyncio
import hashlib
import io
import threading
import zipfile
from pathlib import Path

import pytest

from runner.attempt import Llm
from runner.folder import DATABASE
from runner.limits import RunLimits
from runner.states import TERMINAL, Status
from runner.store import SqliteStore
from runner.supervisor import Supervisor
from runner.task import NewTask, Task
from runner.wiring import open_supervisor
from tests.support import Api, Server, client, until


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
    """What holds a model's words is there to be kept: a browser neither shows it, nor guesses its type, nor runs it."""
    task_id = await api.finished()
    path = next(path for path in await _artifacts(api, task_id) if path.endswith("/main.py"))
    files = {
        f"artifacts/{path}": ("text/x-python; charset=utf-8", "main.py"),
        f"artifacts/{path}/diff?from=1&to=1": ("text/x-diff; charset=utf-8", "main.py-1-1.diff"),
        "artifacts.zip": ("application/zip", f"{task_id}.zip"),
        "export.jsonl": ("application/jsonl", f"{task_id}.jsonl"),
        "export.html": ("text/html; charset=utf-8", f"{task_id}.html"),
    }
    for file, (media_type, name) in files.items():
        headers = (await api.http.get(f"/api/tasks/{task_id}/{file}")).headers
        assert headers["content-type"] == media_type
        assert headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}"
        assert headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in headers.get_list("content-security-policy"), file


async def test_a_part_of_a_file(api: Api) -> None:
    """A file is asked for in parts, or not at all if it is known; a part that it does not have is refused."""
    task_id = await api.finished()
    path = next(path for path in await _artifacts(api, task_id) if path.endswith("/main.py"))
    url = f"/api/tasks/{task_id}/artifacts/{path}"
    whole = await api.http.get(url)
    tag = whole.headers["etag"]
    assert tag == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    part = await api.http.get(url, headers={"Range": "bytes=5-", "If-Range": tag})
    assert (part.status_code, part.content) == (206, whole.content[5:])
    assert (await api.http.get(url, headers={"If-None-Match": tag})).status_code == 304
    beyond = await api.http.get(url, headers={"Range": f"bytes={len(whole.content)}-"})
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"


async def test_versions(api: Api) -> None:
    """A file that was written twice has two versions: who wrote them, the bytes of each, and what has changed."""
    task_id = await api.started(options={"review": ["ProductManager"]})
    for words in ("Make it about birds.", "approve"):
        asked = (await api.until_status(task_id, "WAITING"))["waiting"]["request_id"]
        given = {"request_id": asked, "answer": words}
        assert (await api.http.post(f"/api/tasks/{task_id}/input", json=given)).status_code == 200
    await api.until_succeeded(task_id)
    files = (await api.http.get(f"/api/tasks/{task_id}/artifacts")).json()["artifacts"]
    file = next(file for file in files if "/docs/prd/" in file["path"])
    told = [e for e in await api.events(task_id, types="ARTIFACT") if e["payload"]["path"] == file["path"]]
    assert [(v["version"], v["sha256"], v["event_id"], v["agent_role"], v["action"]) for v in file["versions"]] == [
        (n, event["payload"]["sha256"], event["event_id"], "ProductManager", "WritePRD")
        for n, event in enumerate(told, 1)
    ]
    url = f"/api/tasks/{task_id}/artifacts/{file['path']}"
    texts = [(await api.http.get(url, params={"version": version})).content for version in (1, 2)]
    assert [hashlib.sha256(text).hexdigest() for text in texts] == [v["sha256"] for v in file["versions"]]
    assert (await api.http.get(url)).content == texts[1]
    changes = (await api.http.get(f"{url}/diff")).text
    assert changes.startswith(f"--- a/{file['path']}\tversion 1\n+++ b/{file['path']}\tversion 2\n@@ -")
    back = (await api.http.get(f"{url}/diff", params={"from": 2, "to": 1})).text
    assert back.count("\n-") == changes.count("\n-") == 1
    assert (await api.http.get(f"{url}/diff", params={"from": 2, "to": 2})).text == ""
    for query, code in (({"from": 3}, "artifact_not_found"), ({"to": 0}, "invalid"), ({"version": 1}, "invalid")):
        assert (await api.http.get(f"{url}/diff", params=query)).json()["code"] == code


async def test_the_files_of_a_deleted_task(api: Api, server: Server) -> None:
    """With a task all versions of its files are deleted."""
    task_id = await api.finished()
    folder = server.data / "tasks" / task_id
    assert any((folder / "blobs").iterdir())
    assert (await api.http.delete(f"/api/tasks/{task_id}")).status_code == 204
    assert not folder.exists()


async def test_a_deletion_that_is_cut_short(tmp_path: Path) -> None:
    """A server that died when a task was deleted, and its files were not yet, leaves it to the next one."""
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            task_id, other = await api.finished(), await api.finished()
    store = await SqliteStore.open(tmp_path / "data" / DATABASE)
    await store.delete_task(task_id)
    await store.aclose()
    folders = tmp_path / "data" / "tasks"
    with Server(tmp_path / "data"):
        await until(lambda: [folder.name for folder in folders.iterdir()] == [other])


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
    """A version that there is not is refused rather than answered with another."""
    task_id = await api.finished()
    path = next(iter(await _artifacts(api, task_id)))
    response = await api.http.get(f"/api/tasks/{task_id}/artifacts/{path}", params={"version": 9})
    assert (response.status_code, response.json()["code"]) == (404, "artifact_not_found")


async def test_artifacts_of_no_task(api: Api) -> None:
    """The files of an unknown task are a 404 that says so."""
    response = await api.http.get("/api/tasks/none/artifacts")
    assert (response.status_code, response.json()["code"]) == (404, "task_not_found")


async def test_zips_that_take_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many zips are being made, however slowly: no run waits for them to have its own files kept."""
    done = threading.Event()
    monkeypatch.setattr("runner.artifacts.archive", lambda blobs, files: done.wait())
    async with open_supervisor(tmp_path, llm=Llm(demo_pace=0), concurrency=1, limits=RunLimits(grace=1)) as supervisor:
        first = await _run_to_its_end(supervisor)
        zips = [asyncio.create_task(supervisor.open_archive(first.id)) for _ in range(64)]
        try:
            second = await _run_to_its_end(supervisor)
        finally:
            done.set()
        await asyncio.gather(*zips)
    assert (first.status, second.status) == (Status.SUCCEEDED, Status.SUCCEEDED)


async def _run_to_its_end(supervisor: Supervisor) -> Task:
    task = await supervisor.create_task(NewTask(input_prompt="hangman"))
    await supervisor.start_task(task.id)
    return await until(lambda: supervisor.get_task_state(task.id), lambda task: task.status in TERMINAL)
