"""Continuing a finished task with a new requirement."""

from tests.support import Api


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


async def test_only_what_has_succeeded_can_be_continued(api: Api) -> None:
    """A task that is not done, and one that does not exist, are refused by name, and nothing is made."""
    pending = await api.create()
    count = len((await api.http.get("/api/tasks")).json()["tasks"])
    for source, status, code in ((pending, 409, "wrong_status"), ("nobody", 404, "task_not_found")):
        response = await api.http.post("/api/tasks", json={"input_prompt": "More", "continues": source})
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert source in response.json()["detail"]
    assert len((await api.http.get("/api/tasks")).json()["tasks"]) == count
