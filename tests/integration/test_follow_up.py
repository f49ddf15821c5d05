"""Continuing a finished task with a new requirement."""

import os
from pathlib import Path

from tests.support import Api, Server, client, until


async def test_a_continued_task(api: Api) -> None:
    """The new team works in a copy of the project: the files of before are there, and those that it changed differ."""
    source = await api.finished("hangman")
    before = {a["path"]: a["sha256"] for a in (await api.state(source))["final_result"]["artifacts"]}
    task_id = await api.finished("Count the wins of the player", continues=source)
    result = (await api.state(task_id))["final_result"]
    after = {a["path"]: a["sha256"] for a in result["artifacts"]}
    code = [path for path in before if path.endswith(".py")]
    assert code and set(code) <= after.keys()
    assert before != after
    assert {e["payload"]["action"] for e in await api.events(task_id, types="ACTION_START")} >= {
        "WriteCodePlanAndChange",
        "WriteCode",
    }
    assert {a["path"]: a["sha256"] for a in (await api.state(source))["final_result"]["artifacts"]} == before


async def test_a_continued_task_does_not_need_the_other_any_more(api: Api) -> None:
    """The copy is made at once: the task of before may be deleted."""
    source = await api.finished("snake")
    task_id = await api.create("Make it faster", continues=source)
    assert (await api.http.delete(f"/api/tasks/{source}")).status_code == 204
    await api.run(task_id)
    await api.until_succeeded(task_id)


async def test_a_key_of_a_task_that_continues(api: Api) -> None:
    """A repeated request answers with the same task, also when what it continues was deleted meanwhile."""
    source = await api.finished("snake")
    body, headers = {"input_prompt": "Make it faster", "continues": source}, {"Idempotency-Key": "k"}
    first = await api.http.post("/api/tasks", json=body, headers=headers)
    assert (await api.http.delete(f"/api/tasks/{source}")).status_code == 204
    again = await api.http.post("/api/tasks", json=body, headers=headers)
    assert again.status_code == first.status_code == 201
    assert again.json()["id"] == first.json()["id"]


async def test_who_has_made_the_files_of_before(api: Api) -> None:
    """The files of the project that is continued are told of, but not as the work of the new team."""
    source = await api.finished("snake")
    before = {a["path"] for a in (await api.state(source))["final_result"]["artifacts"]}
    task_id = await api.finished("Make it faster", continues=source)
    told = [e["payload"] for e in await api.events(task_id, types="ARTIFACT")]
    copied = {p["path"] for p in told if p["message"].endswith("is in the project.")}
    assert copied == before


async def test_folders_of_no_task(tmp_path: Path) -> None:
    """What a server that died while it made or deleted a task left in the data folder goes; a team's work does not."""
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            task_id = await api.finished("hangman")
    folders = tmp_path / "data" / "tasks"
    copied, deleted = folders / "nobody" / "base", folders / "deleted-nobody" / "workspace"
    work = folders / "of-a-lost-database" / "workspace"
    for folder in (copied, deleted, work):
        folder.mkdir(parents=True)
    with Server(tmp_path / "data") as server:
        await until(lambda: not copied.parent.exists() and not deleted.parent.exists())
        assert work.exists()
        async with client(server) as api:
            assert (await api.http.get(f"/api/tasks/{task_id}/artifacts.zip")).status_code == 200


async def test_files_that_cannot_be_copied(tmp_path: Path) -> None:
    """A project that cannot be copied is not continued: the reason is told, and nothing is left of the attempt."""
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            source = await api.finished("snake")
            project = (await api.state(source))["final_result"]["project"]
            folders = tmp_path / "data" / "tasks"
            os.mkfifo(folders / source / "workspace" / project / "pipe")
            response = await api.http.post("/api/tasks", json={"input_prompt": "More", "continues": source})
            assert (response.status_code, response.json()["code"]) == (409, "wrong_status")
            assert "pipe" in response.json()["detail"]
            assert [folder.name for folder in folders.iterdir()] == [source]


async def test_only_what_has_succeeded_can_be_continued(api: Api) -> None:
    """A task that is not done, and one that does not exist, are refused by name, and nothing is made."""
    pending = await api.create()
    count = len((await api.http.get("/api/tasks")).json()["tasks"])
    for source, status, code in ((pending, 409, "wrong_status"), ("nobody", 404, "task_not_found")):
        response = await api.http.post("/api/tasks", json={"input_prompt": "More", "continues": source})
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert source in response.json()["detail"]
    assert len((await api.http.get("/api/tasks")).json()["tasks"]) == count
