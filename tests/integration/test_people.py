"""People in a run: their answers and their messages."""

import asyncio

from tests.support import Api, Server, ends, statuses, watch_task

REVIEW = {"review": ["ProductManager"]}


async def test_an_approval(server: Server, api: Api) -> None:
    """A reviewed run waits, shows what it asks everywhere, and goes on once a person has approved."""
    task_id = await api.create(options=REVIEW)
    async with watch_task(server, task_id) as watcher:
        await api.run(task_id)
        asked = (await watcher.until_event("INPUT_REQUEST"))["payload"]
        state = await api.until_status(task_id, "WAITING")
        assert state["waiting"]["request_id"] == asked["request_id"]
        assert state["waiting"]["choices"] == asked["choices"]
        answer = {"request_id": asked["request_id"], "answer": "approve"}
        response = await api.http.post(f"/api/tasks/{task_id}/input", json=answer)
        assert (response.status_code, response.json()["waiting"]) == (200, None)
        assert await watcher.to_close() == 1000
    events = watcher.events[task_id]
    assert [status for _, status in statuses(events)] == ["QUEUED", "RUNNING", "WAITING", "RUNNING", "SUCCEEDED"]
    assert [event["event_type"] for event in events].count("INPUT_RESPONSE") == 1


async def test_a_second_answer(api: Api) -> None:
    """Of several answers, also at the same time, one counts; the others are told so."""
    task_id = await api.started(options=REVIEW)
    request_id = (await api.until_event(task_id, "INPUT_REQUEST"))["payload"]["request_id"]
    answer = {"request_id": request_id, "answer": "approve"}
    responses = await asyncio.gather(*(api.http.post(f"/api/tasks/{task_id}/input", json=answer) for _ in range(5)))
    assert sorted(response.status_code for response in responses) == [200, 409, 409, 409, 409]
    assert {r.json()["code"] for r in responses if r.status_code == 409} == {"already_answered"}
    await api.until_succeeded(task_id)


async def test_words_for_an_answer(api: Api) -> None:
    """Words in place of a choice make the role do its work again, and ask again."""
    task_id = await api.started(options=REVIEW)
    first = (await api.until_event(task_id, "INPUT_REQUEST"))["payload"]["request_id"]
    path = f"/api/tasks/{task_id}/input"
    words = {"request_id": first, "answer": "Make it about 😀 birds.\x00"}
    assert (await api.http.post(path, json=words)).status_code == 200
    state = await api.until_status(task_id, "WAITING")
    assert state["waiting"]["request_id"] != first
    again = {"request_id": state["waiting"]["request_id"], "answer": "approve"}
    assert (await api.http.post(path, json=again)).status_code == 200
    await api.until_succeeded(task_id)


async def test_an_answer_to_another_question(api: Api) -> None:
    """An answer to a question that was never asked changes nothing."""
    task_id = await api.started(options=REVIEW)
    await api.until_status(task_id, "WAITING")
    before = await api.state(task_id)
    wrong = {"request_id": "input-7-7", "answer": "approve"}
    response = await api.http.post(f"/api/tasks/{task_id}/input", json=wrong)
    assert (response.status_code, response.json()["code"]) == (409, "already_answered")
    assert await api.state(task_id) == before
    await api.stop(task_id)
    assert ends(await api.events(task_id)) == [(1, "CANCELLED")]


async def test_a_message_to_the_team(api: Api) -> None:
    """What a person says enters the team's queue, word for word, and the log."""
    task_id = await api.started(options=REVIEW)
    await api.until_status(task_id, "WAITING")
    words = "Please 😀 make it <b>blue</b>.\x00"
    response = await api.http.post(f"/api/tasks/{task_id}/messages", json={"content": words, "send_to": "Engineer"})
    assert response.status_code == 202
    while True:
        messages = [event["payload"] for event in await api.events(task_id, types="MESSAGE")]
        if said := [message for message in messages if message["content"] == words]:
            break
    assert "Engineer" in str(said[0]["send_to"])
    await api.stop(task_id)
