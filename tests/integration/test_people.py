"""People in a run: their answers and their messages, over REST and over WebSocket."""

import asyncio
from pathlib import Path

import pytest

from tests.support import Api, Json, Server, client, ends, open_request, statuses, until, watch, watch_task

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


async def test_stop_as_an_answer(server: Server, api: Api) -> None:
    """The choice `stop` is a stop: it is answered when nothing of the run is left, and nothing has failed."""
    task_id, request_id = await _asked(api)
    given = {"request_id": request_id, "answer": " Stop"}
    response = await api.http.post(f"/api/tasks/{task_id}/input", json=given)
    assert (response.status_code, response.json()["status"]) == (200, "CANCELLED")
    assert not server.descendants
    assert [status for _, status in statuses(await api.events(task_id))][-2:] == ["STOPPING", "CANCELLED"]
    assert await api.events(task_id, types="ERROR") == []


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
    assert "Engineer" in str((await _said(api, task_id, words))["send_to"])
    await api.stop(task_id)


async def _said(api: Api, task_id: str, words: str) -> Json:
    """The message with these words, once it is in the team's queue."""

    async def found() -> list[Json]:
        messages = [event["payload"] for event in await api.events(task_id, types="MESSAGE")]
        return [message for message in messages if message["content"] == words]

    return (await until(found))[0]


async def _refused(api: Api, task_id: str, **message: str) -> tuple[int, str, str]:
    """Status, code and detail of the answer to a message that is not taken."""
    response = await api.http.post(f"/api/tasks/{task_id}/messages", json={"content": "Hello"} | message)
    return response.status_code, response.json()["code"], response.json()["detail"]


async def test_a_message_to_a_team_at_work(slow_api: Api) -> None:
    """A message reaches a team that is RUNNING, too."""
    task_id = await slow_api.started()
    await slow_api.until_event(task_id, "ACTION_START")
    response = await slow_api.http.post(f"/api/tasks/{task_id}/messages", json={"content": "Make it blue."})
    assert (response.status_code, response.json()["status"]) == (202, "accepted")
    await _said(slow_api, task_id, "Make it blue.")
    await slow_api.stop(task_id)


async def test_a_message_to_nobody(tmp_path: Path) -> None:
    """A task that has no team at work refuses a message with 409, and says what it does instead."""
    with Server(tmp_path / "data", DEMO_PACE=100, CONCURRENCY=1, STOP_GRACE=5) as server:
        async with client(server) as api:
            first, queued, pending = await api.started(), await api.started(), await api.create()
            for task_id, status in ((pending, "PENDING"), (queued, "QUEUED")):
                refusal = await _refused(api, task_id)
                assert refusal[:2] == (409, "wrong_status") and status in refusal[2]
            await api.until_event(first, "ACTION_START")
            (child,) = server.children
            child.suspend()
            async with open_request(server, "POST", f"/api/tasks/{first}/stop"):
                await api.until_status(first, "STOPPING")
                refusal = await _refused(api, first)
                assert refusal[:2] == (409, "wrong_status") and "STOPPING" in refusal[2]
                child.resume()
            await api.until_status(first, "CANCELLED")
            refusal = await _refused(api, first)
            assert refusal[:2] == (409, "wrong_status") and "CANCELLED" in refusal[2]
            await api.stop(queued)


async def test_a_message_that_comes_early(slow_server: Server, slow_api: Api) -> None:
    """While the process of a run is being made, a message is taken; the team hears its requirement first."""
    await until(lambda: slow_api.http.get("/readyz"), lambda response: response.status_code == 200)
    slow_server.fork_server.suspend()
    try:
        task_id = await slow_api.started()
        message = {"content": "Make it blue."}
        assert (await slow_api.http.post(f"/api/tasks/{task_id}/messages", json=message)).status_code == 202
    finally:
        slow_server.fork_server.resume()
    await slow_api.until_event(task_id, "ACTION_START")
    told = [event["payload"] for event in await slow_api.events(task_id, types="MESSAGE")]
    assert [(message["sent_from"], message["content"]) for message in told[:2]] == [
        ("Human", "Make it blue."),
        ("Human", "hangman"),
    ]
    (first,) = [e["payload"]["action"] for e in await slow_api.events(task_id, types="ACTION_START")]
    assert first == "PrepareDocuments"
    await slow_api.stop(task_id)


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED"])
async def test_a_message_to_a_team_that_has_ended(api: Api, status: str) -> None:
    """The end of a run, whichever it was, is the end of talking to its team."""
    limits = {} if status == "SUCCEEDED" else {"n_round": 1}
    task_id = await api.started(options=limits)
    await api.until_status(task_id, status)
    refusal = await _refused(api, task_id)
    assert refusal[:2] == (409, "wrong_status") and status in refusal[2]


async def test_a_message_to_a_role_that_is_not_there(api: Api) -> None:
    """A message to a role of another team is refused, with the names of those who are there."""
    task_id = await api.started(options=REVIEW)
    await api.until_status(task_id, "WAITING")
    status, code, detail = await _refused(api, task_id, send_to="QaEngineer")
    assert (status, code) == (422, "not_in_team")
    assert "ProductManager, Architect, ProjectManager, Engineer" in detail
    assert (await _refused(api, "nothing", send_to="QaEngineer"))[:2] == (404, "task_not_found")
    await api.stop(task_id)


async def _asked(api: Api) -> tuple[str, str]:
    """A task that waits for a person, and the id of its question."""
    task_id = await api.started(options=REVIEW)
    return task_id, (await api.until_status(task_id, "WAITING"))["waiting"]["request_id"]


async def test_an_answer_over_websocket(server: Server, api: Api) -> None:
    """An `input` frame answers a question: it is accepted, and the run goes on."""
    task_id, request_id = await _asked(api)
    async with watch_task(server, task_id) as watcher:
        await watcher.send("input", task_id=task_id, request_id=request_id, answer="approve")
        accepted = await watcher.until("accepted")
        assert accepted == {"op": "accepted", "task_id": task_id, "request_id": request_id}
        assert await watcher.to_close() == 1000
    assert watcher.frames[-1]["status"] == "SUCCEEDED"


async def test_two_clients_that_answer_at_once(server: Server, api: Api) -> None:
    """Of the answers of two WebSocket clients and of REST exactly one counts; the others are told so."""
    task_id, request_id = await _asked(api)
    fields = {"request_id": request_id, "answer": "approve"}
    async with watch(server) as one, watch(server) as other:
        await asyncio.gather(*(watcher.send("input", task_id=task_id, **fields) for watcher in (one, other)))
        rest = await api.http.post(f"/api/tasks/{task_id}/input", json=fields)
        outcomes = ["accepted" if rest.status_code == 200 else rest.json()["code"]]
        for watcher in (one, other):
            await watcher.until("hello")
            reply = await watcher.receive()
            assert reply["task_id"] == task_id
            outcomes.append("accepted" if reply["op"] == "accepted" else reply["code"])
    assert sorted(outcomes) == ["accepted", "already_answered", "already_answered"]
    await api.until_succeeded(task_id)
    assert len(await api.events(task_id, types="INPUT_RESPONSE")) == 1


async def test_an_answer_of_a_client_that_leaves(server: Server, api: Api) -> None:
    """An answer counts, also if its client closes the connection before it is accepted."""
    task_id, request_id = await _asked(api)
    async with watch(server) as watcher:
        await watcher.send("input", task_id=task_id, request_id=request_id, answer="approve")
    await api.until_succeeded(task_id)


async def test_a_message_over_websocket(server: Server, api: Api) -> None:
    """A `message` frame enters the team's queue, to all or to one, up to the length that REST takes; in their order."""
    task_id, _ = await _asked(api)
    said = ["😀" * 20_000, "second", "third"]
    async with watch(server) as watcher:
        for words in said:
            await watcher.send("message", task_id=task_id, content=words, send_to="Architect")
        for _ in said:
            assert await watcher.until("accepted") == {"op": "accepted", "task_id": task_id}
        await watcher.send("message", task_id=task_id, content="to all")
        await watcher.until("accepted")
    await _said(api, task_id, "to all")
    messages = [event["payload"]["content"] for event in await api.events(task_id, types="MESSAGE")]
    assert [words for words in messages if words in said] == said
    await api.stop(task_id)


async def test_what_is_refused_over_websocket(server: Server, api: Api) -> None:
    """An `input` or a `message` that cannot be is answered with an error of its task, and the connection stays."""
    pending = await api.create()
    asked, _ = await _asked(api)
    async with watch(server) as watcher:
        for op, task_id, fields, code in (
            ("input", "nothing", {"request_id": "r", "answer": "a"}, "task_not_found"),
            ("input", pending, {"request_id": "r", "answer": "a"}, "wrong_status"),
            ("input", asked, {"request_id": "input-7-7", "answer": "a"}, "already_answered"),
            ("message", "nothing", {"content": "Hello"}, "task_not_found"),
            ("message", pending, {"content": "Hello"}, "wrong_status"),
            ("message", asked, {"content": "Hello", "send_to": "QaEngineer"}, "not_in_team"),
        ):
            await watcher.send(op, task_id=task_id, **fields)
            error = await watcher.until("error")
            assert (error["code"], error["task_id"]) == (code, task_id)
            assert error["message"]
        for op, fields, named in (
            ("input", {"request_id": "r"}, "answer"),
            ("input", {"request_id": "r", "answer": ""}, "$.answer"),
            ("message", {"content": "x" * 20_001}, "$.content"),
            ("message", {"content": "x", "send_to": "Nobody"}, "$.send_to"),
        ):
            await watcher.send(op, task_id=asked, **fields)
            error = await watcher.until("error")
            assert error["code"] == "bad_frame" and named in error["message"]
        await watcher.send("ping")
        await watcher.until("pong")
    assert (await api.state(asked))["status"] == "WAITING"
    await api.stop(asked)


async def test_a_review_of_nobody(api: Api) -> None:
    """A review of a role that will not work is refused, and not forgotten."""
    body = {"input_prompt": "x", "options": {"review": ["QaEngineer"]}}
    response = await api.http.post("/api/tasks", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "not_in_team")
    body["options"]["run_tests"] = True  # type: ignore[index]
    assert (await api.http.post("/api/tasks", json=body)).status_code == 201


async def test_too_many_messages(slow_server: Server, slow_api: Api) -> None:
    """To a team that does not listen no more than a bounded number of messages waits; the connection goes on."""
    task_id = await slow_api.started()
    await slow_api.until_event(task_id, "ACTION_START")
    (child,) = slow_server.children
    child.suspend()
    async with watch(slow_server) as watcher:
        for _ in range(150):
            await watcher.send("message", task_id=task_id, content="x" * 20_000)
        error = await watcher.until("error")
        assert (error["code"], error["task_id"]) == ("too_many_requests", task_id)
        await watcher.send("ping")
        await watcher.until("pong")
    child.resume()
    await slow_api.stop(task_id)
