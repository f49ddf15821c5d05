"""Search over REST: what is found where, and that nothing a person types is an error."""

import pytest

from tests.support import Api, Json


async def test_the_events_of_a_task(api: Api) -> None:
    """A search gives id, type, role and snippet of the events that have the words, page by page, the last first."""
    task_id = await api.finished("A game of hangman")
    every = {event["event_id"]: event for event in await api.events(task_id)}
    found: list[Json] = []
    query: dict[str, str | int] = {"q": "hangman", "limit": 3}
    while True:
        response = await api.http.get(f"/api/tasks/{task_id}/search", params=query)
        page = response.json()
        assert page["through"] == max(every)
        found += page["results"]
        if page["next_before"] is None:
            break
        query["before"] = page["next_before"]
    ids = [result["event_id"] for result in found]
    assert len(ids) > 6 and ids == sorted(set(ids), reverse=True)
    assert {"MESSAGE", "ARTIFACT"} <= {result["event_type"] for result in found}
    assert every[ids[-1]]["payload"]["content"] == "A game of hangman"
    for result in found:
        event = every[result["event_id"]]
        assert [result[name] for name in ("event_type", "agent_role", "timestamp")] == [
            event[name] for name in ("event_type", "agent_role", "timestamp")
        ]
        assert all(part.lower() == "hangman" for part in result["snippet"][1::2])
        assert len(result["snippet"]) > 1


async def test_tasks(api: Api) -> None:
    """The list has snippets of what is looked for, and none where nothing is."""
    task_id = await api.create("Teach <b>otters</b> to juggle", title="A circus")
    page = (await api.http.get("/api/tasks", params={"q": "otter"})).json()
    assert [(row["id"], row["snippet"]) for row in page["tasks"]] == [
        (task_id, ["Teach <b>", "otters", "</b> to juggle"])
    ]
    rows = (await api.http.get("/api/tasks")).json()["tasks"]
    assert {row["snippet"] for row in rows} == {None}


@pytest.mark.parametrize("query", ['"', "a AND", "NEAR(x", "title:*", "\0", "'; DROP TABLE tasks; --", "𒀀\u202e"])
async def test_nothing_that_is_typed_is_an_error(api: Api, query: str) -> None:
    """Operators, quotes and control characters are looked for as they stand."""
    task_id = await api.create()
    for path in ("/api/tasks", f"/api/tasks/{task_id}/search"):
        assert (await api.http.get(path, params={"q": query})).status_code == 200


@pytest.mark.parametrize("query", [{}, {"q": " "}, {"q": "x" * 201}, {"q": "x", "limit": 101}, {"q": "x", "before": 0}])
async def test_a_bad_search(api: Api, query: dict[str, str]) -> None:
    """A search for nothing, or beyond the limits, is refused by name."""
    response = await api.http.get(f"/api/tasks/{await api.create()}/search", params=query)
    assert (response.status_code, response.json()["code"]) == (422, "invalid")
    assert response.json()["errors"][0]["field"] in ("q", "limit", "before")
