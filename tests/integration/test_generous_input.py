"""Requests that look odd, and are right."""

import json

from tests.support import Api


async def test_a_run_with_an_empty_json_body(api: Api) -> None:
    """A client that says JSON and sends nothing runs a task like one that says nothing."""
    task_id = await api.create()
    response = await api.http.post(
        f"/api/tasks/{task_id}/run", content=b"", headers={"content-type": "application/json"}
    )
    assert response.status_code == 202, response.text
    await api.until_succeeded(task_id)


async def test_the_longest_prompt_escaped(api: Api) -> None:
    """A prompt of the most characters there may be, each escaped as two surrogates, is taken and given back."""
    prompt = "😀" * 100_000
    body = json.dumps({"input_prompt": prompt}).encode()
    assert len(body) > 1_200_000
    response = await api.http.post("/api/tasks", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 201, response.text[:300]
    assert response.json()["input_prompt"] == prompt
