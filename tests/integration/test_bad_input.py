"""Bad input: the table of what is refused, how, and that it changes nothing."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from server.settings import BODY_LIMIT
from tests.support import Api, Json


async def _snapshot(api: Api) -> Any:
    return (await api.http.get("/api/tasks", params={"limit": 200})).json()


def _problem(response: httpx.Response, status: int, code: str, field: str | None = None) -> Json:
    """The problem of an answer, after a check of its status, its code and the field that it names."""
    problem: Json = response.json()
    assert (response.status_code, problem["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    named = [error["field"] for error in problem.get("errors", [])]
    assert named == ([] if field is None else [field])
    if field is not None:
        assert field in problem["detail"]
    return problem


# Body, field at fault, and what its message must say is allowed.
BAD_TASKS: list[tuple[Any, str | None, str]] = [
    ({}, "input_prompt", "text from 1 to 100,000 characters"),
    ({"input_prompt": ""}, "input_prompt", "text from 1 to 100,000 characters"),
    ({"input_prompt": " \n\t\u3000"}, "input_prompt", "more than white space"),
    ({"input_prompt": 7}, "input_prompt", "text"),
    ({"input_prompt": None}, "input_prompt", "text"),
    ({"input_prompt": ["a"]}, "input_prompt", "text"),
    ({"input_prompt": {"text": "a"}}, "input_prompt", "text"),
    ({"input_prompt": "x" * 100_001}, "input_prompt", "100,000"),
    ({"input_prompt": "x", "prompt": "y"}, "prompt", "input_prompt"),
    ({"input_prompt": "x", "title": ""}, "title", "from 1 to 200 characters"),
    ({"input_prompt": "x", "title": "  "}, "title", "more than white space"),
    ({"input_prompt": "x", "title": "t" * 201}, "title", "200"),
    ({"input_prompt": "x", "title": 1}, "title", "text"),
    ({"input_prompt": "x", "priority": 6}, "priority", "from -5 to 5"),
    ({"input_prompt": "x", "priority": -6}, "priority", "from -5 to 5"),
    ({"input_prompt": "x", "priority": 1.5}, "priority", "whole number"),
    ({"input_prompt": "x", "priority": "1"}, "priority", "whole number"),
    ({"input_prompt": "x", "priority": True}, "priority", "whole number"),
    ({"input_prompt": "x", "options": []}, "options", "object"),
    ({"input_prompt": "x", "options": None}, "options", "object"),
    ({"input_prompt": "x", "options": {"rounds": 3}}, "options.rounds", "n_round"),
    ({"input_prompt": "x", "options": {"n_round": 0}}, "options.n_round", "from 1 to 100"),
    ({"input_prompt": "x", "options": {"n_round": 101}}, "options.n_round", "from 1 to 100"),
    ({"input_prompt": "x", "options": {"n_round": "3"}}, "options.n_round", "whole number"),
    ({"input_prompt": "x", "options": {"code_review": "yes"}}, "options.code_review", "true or false"),
    ({"input_prompt": "x", "options": {"run_tests": 1}}, "options.run_tests", "true or false"),
    ({"input_prompt": "x", "options": {"budget_usd": 0}}, "options.budget_usd", "above 0"),
    ({"input_prompt": "x", "options": {"budget_usd": -1}}, "options.budget_usd", "or null"),
    ({"input_prompt": "x", "options": {"budget_tokens": 0}}, "options.budget_tokens", "from 1 to"),
    ({"input_prompt": "x", "options": {"budget_tokens": 0.5}}, "options.budget_tokens", "whole number"),
    ({"input_prompt": "x", "options": {"llm_timeout_s": 0}}, "options.llm_timeout_s", "or null"),
    ({"input_prompt": "x", "options": {"answer_timeout_s": 10**9}}, "options.answer_timeout_s", "to 2,592,000"),
    ({"input_prompt": "x", "options": {"timeout_s": 604_801}}, "options.timeout_s", "604,800"),
    ({"input_prompt": "x", "options": {"timeout_s": "1h"}}, "options.timeout_s", "number"),
    ({"input_prompt": "x", "options": {"review": "Engineer"}}, "options.review", "list"),
    ({"input_prompt": "x", "options": {"review": ["Boss"]}}, "options.review[0]", "ProductManager"),
    ({"input_prompt": "x", "options": {"review": ["Engineer"] * 6}}, "options.review", "to 5 entries"),
    ([], None, "an object"),
    ("x", None, "an object"),
]


@pytest.mark.parametrize(("body", "field", "allowed"), BAD_TASKS, ids=lambda value: str(value)[:40])
async def test_a_bad_task(api: Api, body: Any, field: str | None, allowed: str) -> None:
    """A task that is not well-formed is refused with the field at fault and what is allowed; none is made."""
    before = await _snapshot(api)
    problem = _problem(await api.http.post("/api/tasks", json=body), 422, "invalid", field)
    assert allowed in problem["detail"]
    assert await _snapshot(api) == before


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "bad_json"),
        (b'{"input_prompt": "x"} {}', "application/json", 400, "bad_json"),
        (b"\xff\xfe", "application/json", 400, "bad_json"),
        (b'{"input_prompt": "\xff"}', "application/json", 400, "bad_json"),
        (b'{"input_prompt": "\\ud800"}', "application/json", 400, "bad_json"),
        (b'{"input_prompt": NaN}', "application/json", 400, "bad_json"),
        (b'{"priority": ' + b"9" * 5000 + b"}", "application/json", 400, "bad_json"),
        (b"[" * 200_000, "application/json", 400, "bad_json"),
        (b'{"a":' * 100_000, "application/json", 400, "bad_json"),
        (b'{"input_prompt": "x"}', "text/plain", 415, "wrong_content_type"),
        (b"input_prompt=x", "application/x-www-form-urlencoded", 415, "wrong_content_type"),
        (b'{"input_prompt": "x"}', "", 415, "wrong_content_type"),
        (b'{"input_prompt": "' + b"x" * BODY_LIMIT + b'"}', "application/json", 413, "body_too_large"),
        (b"x" * (BODY_LIMIT + 1), "text/plain", 413, "body_too_large"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_bad_body(api: Api, content: bytes, media_type: str, status: int, code: str) -> None:
    """What is not JSON, not said to be JSON, or too large, is refused; no task is made."""
    before = await _snapshot(api)
    headers = {"content-type": media_type} if media_type else {}
    _problem(await api.http.post("/api/tasks", content=content, headers=headers), status, code)
    assert await _snapshot(api) == before


async def test_a_body_of_unknown_length(api: Api) -> None:
    """A body that says no length is refused like any that is too large, and nothing of it is kept."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield b"x" * 65536

    response = await api.http.post("/api/tasks", content=chunks(), headers={"content-type": "application/json"})
    _problem(response, 413, "body_too_large")


UNKNOWN = "0123456789abcdef"


@pytest.mark.parametrize("task_id", [UNKNOWN, "x", "%00", "%ff", "é", "a" * 5000, "' OR 1=1 --", ";"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/run", None),
        ("POST", "/stop", None),
        ("GET", "/state", None),
        ("GET", "/events", None),
        ("POST", "/messages", {"content": "hello"}),
        ("POST", "/input", {"request_id": "input-1-1", "answer": "approve"}),
    ],
)
async def test_an_unknown_task(api: Api, method: str, path: str, body: Any, task_id: str) -> None:
    """Whatever is asked of a task that does not exist: 404."""
    _problem(await api.http.request(method, f"/api/tasks/{task_id}{path}", json=body), 404, "task_not_found")


async def test_waiting_for_an_unknown_task(api: Api) -> None:
    """A long poll of a task that does not exist does not wait."""
    _problem(await api.http.get(f"/api/tasks/{UNKNOWN}/events?wait=30", timeout=5), 404, "task_not_found")


# Query of the events, field at fault, and what must be said to be allowed.
BAD_EVENT_QUERIES = [
    ("since_event_id=-1", "since_event_id", "from 0"),
    ("since_event_id=abc", "since_event_id", "whole number"),
    ("since_event_id=", "since_event_id", "whole number"),
    ("since_event_id=1.5", "since_event_id", "whole number"),
    ("since_event_id=99999999999999999999999", "since_event_id", "whole number"),
    ("since_event_id=9223372036854775808", "since_event_id", "to 9,007,199,254,740,992"),
    ("since_event_id=true", "since_event_id", "whole number"),
    ("limit=0", "limit", "from 1 to 5,000"),
    ("limit=5001", "limit", "from 1 to 5,000"),
    ("limit=ten", "limit", "whole number"),
    ("types=STATUS,NOISE", "types[1]", "AGENT_START"),
    ("types=status", "types[0]", "STATUS"),
    ("wait=-1", "wait", "from 0 to 30"),
    ("wait=31", "wait", "from 0 to 30"),
    ("wait=nan", "wait", "from 0 to 30"),
    ("wait=inf", "wait", "from 0 to 30"),
    ("since=3", "since", "since_event_id"),
    ("agent_role=" + "x" * 201, "agent_role", "200"),
]


@pytest.mark.parametrize(("query", "field", "allowed"), BAD_EVENT_QUERIES, ids=lambda value: value[:40])
async def test_a_bad_query_of_events(api: Api, query: str, field: str, allowed: str) -> None:
    """A query of events that makes no sense is refused with the field and what is allowed."""
    task_id = await api.create()
    problem = _problem(await api.http.get(f"/api/tasks/{task_id}/events?{query}"), 422, "invalid", field)
    assert allowed in problem["detail"]


async def test_a_cursor_ahead_of_the_log(api: Api) -> None:
    """A cursor beyond the head is refused at once, also with a wait: it belongs to another log."""
    task_id = await api.create()
    for query in ("since_event_id=1", "since_event_id=9007199254740992", "since_event_id=1&wait=30"):
        _problem(await api.http.get(f"/api/tasks/{task_id}/events?{query}", timeout=5), 422, "cursor_ahead")


@pytest.mark.parametrize(
    ("query", "field", "allowed"),
    [
        ("limit=0", "limit", "from 1 to 200"),
        ("limit=201", "limit", "from 1 to 200"),
        ("status=DONE", "status[0]", "SUCCEEDED"),
        ("cursor=x", "cursor", "whole number"),
        ("cursor=-1", "cursor", "from 0"),
        ("cursor=99999999999999999999999", "cursor", "whole number"),
        ("cursor=9223372036854775808", "cursor", "whole number"),
        ("page=2", "page", "cursor"),
        ("q=" + "x" * 201, "q", "200"),
    ],
    ids=lambda value: value[:40],
)
async def test_a_bad_query_of_tasks(api: Api, query: str, field: str, allowed: str) -> None:
    """A query of tasks that makes no sense is refused with the field and what is allowed."""
    problem = _problem(await api.http.get(f"/api/tasks?{query}"), 422, "invalid", field)
    assert allowed in problem["detail"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("messages", {}, "content"),
        ("messages", {"content": ""}, "content"),
        ("messages", {"content": "x" * 20_001}, "content"),
        ("messages", {"content": "x", "send_to": "Boss"}, "send_to"),
        ("messages", {"content": "x", "to": "Engineer"}, "to"),
        ("input", {"answer": "approve"}, "request_id"),
        ("input", {"request_id": "input-1-1"}, "answer"),
        ("input", {"request_id": "input-1-1", "answer": ""}, "answer"),
        ("input", {"request_id": 1, "answer": "approve"}, "request_id"),
        ("run", {"force": True}, "force"),
        ("stop", {"force": True}, "force"),
    ],
    ids=str,
)
async def test_a_bad_command(api: Api, path: str, body: Json, field: str) -> None:
    """A command to a task that is not well-formed is refused with the field, and leaves the task as it was."""
    task_id = await api.create()
    before = await api.state(task_id)
    _problem(await api.http.post(f"/api/tasks/{task_id}/{path}", json=body), 422, "invalid", field)
    assert await api.state(task_id) == before


async def test_commands_that_need_a_running_team(api: Api) -> None:
    """A message or an answer for a task that is not running: 409."""
    task_id = await api.create()
    _problem(await api.http.post(f"/api/tasks/{task_id}/messages", json={"content": "x"}), 409, "wrong_status")
    answer = {"request_id": "input-1-1", "answer": "approve"}
    response = await api.http.post(f"/api/tasks/{task_id}/input", json=answer)
    assert response.status_code == 409


async def test_nothing_there(api: Api) -> None:
    """An address that does not exist is a problem, not a page."""
    for path in ("/api", "/api/nothing", "/api/tasks/x/y/z", "/static/nothing.js", "/static/../pyproject.toml"):
        _problem(await api.http.get(path), 404, "not_found")


async def test_a_wrong_method(api: Api) -> None:
    """A method that an address does not know is told of those that it does."""
    response = await api.http.put("/api/tasks")
    _problem(response, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(response.headers["allow"].replace(" ", "").split(","))


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_bad_idempotency_key(api: Api, key: str) -> None:
    """A key that is empty or too long is refused."""
    before = await _snapshot(api)
    headers = {"Idempotency-Key": key}
    response = await api.http.post("/api/tasks", json={"input_prompt": "x"}, headers=headers)
    _problem(response, 422, "invalid", "Idempotency-Key")
    assert await _snapshot(api) == before


async def test_the_largest_prompt(api: Api) -> None:
    """A prompt at the limit, none of it ASCII, is taken and given back unchanged."""
    prompt = "あ😀" * 50_000
    task_id = await api.create(prompt)
    assert (await api.http.get(f"/api/tasks/{task_id}")).json()["input_prompt"] == prompt


async def test_strange_characters(api: Api) -> None:
    """NUL, quotes, markup and right-to-left marks in a prompt come back as they were given."""
    prompt = "a\x00b\"'\\</script>\u202e\u2028;DROP TABLE tasks;--"
    task_id = await api.create(prompt, title=prompt)
    task = (await api.http.get(f"/api/tasks/{task_id}")).json()
    assert (task["input_prompt"], task["title"]) == (prompt, prompt)


async def test_a_body_in_another_writing(api: Api) -> None:
    """A content type with parameters and capitals is JSON all the same."""
    content = json.dumps({"input_prompt": "x"}).encode()
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert (await api.http.post("/api/tasks", content=content, headers=headers)).status_code == 201
