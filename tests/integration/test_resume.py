"""Going on with a task: what its log holds is neither paid for nor asked again."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from runner.ledger import LOSSES
from runner.metagpt.demo.answers import answer as demo_answer
from tests.openai_server import Answered, Hang, OpenAiServer, Refuse
from tests.support import Api, Json, Server, client, ends, gone, statuses, until

REVIEWED = {"review": ["ProductManager"]}
WHOLE = {"code_review": True, "run_tests": True}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, OpenAiServer]]:
    """A server that outlives its tests, and its model."""
    with OpenAiServer() as endpoint, Server(tmp_path_factory.mktemp("shared") / "data", **model_of(endpoint)) as server:
        yield server, endpoint


@pytest.fixture
def endpoint(shared: tuple[Server, OpenAiServer]) -> OpenAiServer:
    """The model of the shared server, which answers everything."""
    _, endpoint = shared
    endpoint.requests.clear()
    endpoint.script.clear()
    endpoint.answer = demo_answer
    return endpoint


@pytest_asyncio.fixture
async def api(shared: tuple[Server, OpenAiServer]) -> AsyncIterator[Api]:
    server, _ = shared
    async with client(server) as api:
        yield api


def model_of(endpoint: OpenAiServer) -> dict[str, str]:
    """Settings of a server whose model is the endpoint."""
    return {"LLM_BASE_URL": endpoint.url, "LLM_API_KEY": "k", "LLM_MODEL": "gpt-4o"}


@asynccontextmanager
async def serving(folder: Path, endpoint: OpenAiServer, **settings: object) -> AsyncIterator[tuple[Server, Api]]:
    """A server whose model is the endpoint."""
    with Server(folder / "data", **model_of(endpoint), **settings) as server:
        async with client(server) as api:
            yield server, api


async def calls_of(api: Api, endpoint: OpenAiServer, **options: Any) -> int:
    """How often a whole run asks the model."""
    endpoint.requests.clear()
    await api.finished(options=options)
    count = len(endpoint.requests)
    endpoint.requests.clear()
    return count


async def failed_at(api: Api, endpoint: OpenAiServer, call: int, **options: Any) -> str:
    """A task whose first attempt has failed at a call of the model."""
    endpoint.script = [*[Answered()] * (call - 1), Refuse(401)]
    task_id = await api.started(options=options)
    await api.until_status(task_id, "FAILED")
    return task_id


async def until_at_work(api: Api, task_id: str, attempt: int) -> None:
    """Wait until an action has begun in an attempt."""

    async def begun() -> bool:
        events = await api.events(task_id, types="STATUS,ACTION_START")
        return events[-1]["event_type"] == "ACTION_START" and statuses(events)[-1] == (attempt, "RUNNING")

    await until(begun)


async def question(api: Api, task_id: str) -> Json:
    """The question that a task waits for an answer to."""
    state = await api.until_status(task_id, "WAITING")
    waiting: Json = state["waiting"]
    return waiting


async def answer(api: Api, task_id: str, request_id: str, words: str) -> int:
    """Answer a question; the status of the response."""
    given = {"request_id": request_id, "answer": words}
    return (await api.http.post(f"/api/tasks/{task_id}/input", json=given)).status_code


@pytest.mark.parametrize("options", [{}, WHOLE], ids=["code", "code, reviews and tests"])
async def test_going_on_pays_for_the_rest(api: Api, endpoint: OpenAiServer, options: Json) -> None:
    """A run that fails and goes on asks the model, over both attempts, what one whole run asks, and the failed call."""
    whole = await calls_of(api, endpoint, **options)
    for call in (2, whole // 2, whole):
        endpoint.requests.clear()
        task_id = await failed_at(api, endpoint, call, **options)
        assert len(endpoint.requests) == call
        await api.run(task_id)
        await api.until_succeeded(task_id)
        assert len(endpoint.requests) == whole + 1
        assert (await api.state(task_id))["usage"]["llm_calls"] == whole + 1


def strict(prompt: str, system: str) -> str:
    """A model whose reviews refuse code that was not written twice."""
    text = demo_answer(prompt, system)
    if "Return all completed codes" in prompt:
        return text.replace("```python\n", "```python\n# Written again.\n", 1)
    return text if "# Written again." in prompt else text.replace("LGTM", "LBTM")


async def test_going_on_in_the_middle_of_an_action(api: Api, endpoint: OpenAiServer) -> None:
    """A review that has refused a file, and the file written anew, are not paid for again when the next call fails."""
    endpoint.answer = strict
    whole = await calls_of(api, endpoint, code_review=True)
    # Three documents, the code, its review, and the code again: the second review; the next.
    for call in (7, 8):
        endpoint.requests.clear()
        task_id = await failed_at(api, endpoint, call, code_review=True)
        await api.run(task_id)
        await api.until_succeeded(task_id)
        assert len(endpoint.requests) == whole + 1


async def test_going_on_with_a_continued_task(api: Api, endpoint: OpenAiServer) -> None:
    """A task that continues another goes on from the same copy, and asks the model what one whole run asks."""
    source = await api.finished("hangman")
    endpoint.requests.clear()
    await api.finished("Count the wins of the player", continues=source)
    whole = len(endpoint.requests)
    endpoint.requests.clear()
    endpoint.script = [*[Answered()] * (whole // 2), Refuse(401)]
    task_id = await api.started("Count the wins of the player", continues=source)
    await api.until_status(task_id, "FAILED")
    await api.run(task_id)
    await api.until_succeeded(task_id)
    assert len(endpoint.requests) == whole + 1


async def test_going_on_twice(api: Api, endpoint: OpenAiServer) -> None:
    """The third attempt knows what both before it have found out."""
    whole = await calls_of(api, endpoint)
    task_id = await failed_at(api, endpoint, 2)
    endpoint.script = [Answered(), Answered(), Refuse(401)]
    await api.run(task_id)
    await api.until_status(task_id, "FAILED")
    await api.run(task_id)
    await api.until_succeeded(task_id)
    assert len(endpoint.requests) == whole + 2
    assert ends(await api.events(task_id)) == [(1, "FAILED"), (2, "FAILED"), (3, "SUCCEEDED")]


async def test_the_same_files_come_out(api: Api, endpoint: OpenAiServer) -> None:
    """What is replayed makes the same files as what was asked."""
    whole = await api.finished()
    resumed = await failed_at(api, endpoint, 5)
    await api.run(resumed)
    await api.until_succeeded(resumed)
    files = [
        {a["path"]: a["sha256"] for a in (await api.state(t))["final_result"]["artifacts"]} for t in (whole, resumed)
    ]
    assert files[0] == files[1]


async def test_beginning_anew(api: Api, endpoint: OpenAiServer) -> None:
    """With from: start nothing of the last attempt is used; and what is used later is not of before that either."""
    whole = await calls_of(api, endpoint)
    task_id = await failed_at(api, endpoint, whole)
    endpoint.requests.clear()
    endpoint.script = [Answered(), Refuse(401)]
    response = await api.http.post(f"/api/tasks/{task_id}/run", json={"from": "start"})
    assert response.status_code == 202
    await api.until_status(task_id, "FAILED")
    await api.run(task_id)
    await api.until_succeeded(task_id)
    assert len(endpoint.requests) == whole + 1


async def test_another_model(tmp_path: Path) -> None:
    """What the demo model has made up is not taken for the answer of a real one."""
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            task_id = await api.started(options=REVIEWED)
            await question(api, task_id)
            await api.stop(task_id)
    with OpenAiServer() as endpoint:
        async with serving(tmp_path, endpoint) as (_, api):
            await api.run(task_id)
            await question(api, task_id)
            assert len(endpoint.requests) == 1


async def test_a_malformed_answer_is_not_kept(api: Api, endpoint: OpenAiServer) -> None:
    """An answer that made an action fail is asked for again: or no attempt would ever come further."""
    endpoint.answer = lambda prompt, system: "no JSON at all"
    task_id = await api.started()
    await api.until_status(task_id, "FAILED")
    endpoint.answer = demo_answer
    await api.run(task_id)
    await api.until_succeeded(task_id)


async def test_going_on_after_the_death_of_the_server(tmp_path: Path) -> None:
    """After `kill -9` of the server a run goes on by itself; no finished call is paid for twice."""
    with OpenAiServer() as endpoint:
        async with serving(tmp_path, endpoint) as (server, api):
            whole = await calls_of(api, endpoint)
            endpoint.script = [Answered(), Answered(), Hang()]
            task_id = await api.started()
            await until(lambda: len(endpoint.requests), lambda count: count == 3)
            server.kill()
        async with serving(tmp_path, endpoint) as (_, api):
            await api.until_succeeded(task_id)
            assert len(endpoint.requests) == whole + 1
            found = statuses(await api.events(task_id))
            assert found == [
                *[(1, "QUEUED"), (1, "RUNNING"), (1, "FAILED")],
                *[(2, "QUEUED"), (2, "RUNNING"), (2, "SUCCEEDED")],
            ]


async def test_a_process_that_is_lost_again_and_again(tmp_path: Path) -> None:
    """A run goes on after its process was killed, but not for ever."""
    with Server(tmp_path / "data", DEMO_PACE=100) as server:
        async with client(server) as api:
            task_id = await api.started()
            for attempt in range(1, LOSSES + 1):
                await until_at_work(api, task_id, attempt)
                (child,) = server.children
                child.kill()
                await gone([child])
            state = await api.until_status(task_id, "FAILED")
            assert f"{LOSSES} times" in state["reason"] and "SIGKILL" in state["reason"]
            assert ends(await api.events(task_id)) == [(n, "FAILED") for n in range(1, LOSSES + 1)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_a_question_survives_the_server(tmp_path: Path, number: signal.Signals) -> None:
    """A question that was open when the server ended is open again as it was, and the work is not done again."""
    with OpenAiServer() as endpoint:
        async with serving(tmp_path, endpoint) as (server, api):
            task_id = await api.started(options=REVIEWED)
            shown = await question(api, task_id)
            request_id = shown["request_id"]
            asked = len(endpoint.requests)
            server.process.send_signal(number)
            await asyncio.to_thread(server.process.wait)
        async with serving(tmp_path, endpoint) as (_, api):
            assert await question(api, task_id) == shown
            assert len(endpoint.requests) == asked
            assert await answer(api, task_id, request_id, "approve") == 200
            assert await answer(api, task_id, request_id, "approve") == 409
            await api.until_succeeded(task_id)


async def test_questions_that_survive_the_server_hold_nobody_up(tmp_path: Path) -> None:
    """With one place, tasks that were asking when the server was killed ask again, all of them, and others run."""
    for _ in range(2):
        with Server(tmp_path / "data", CONCURRENCY=1) as server:
            async with client(server) as api:
                asking = [row["id"] for row in (await api.http.get("/api/tasks?status=QUEUED")).json()["tasks"]]
                for task_id in asking or [await api.started(options=REVIEWED) for _ in range(3)]:
                    await question(api, task_id)
                await api.finished()
                server.kill()


async def test_an_answer_while_the_task_is_queued(tmp_path: Path) -> None:
    """A question can be answered while its task waits for a place to go on; then it is not asked again."""
    with OpenAiServer() as endpoint:
        async with serving(tmp_path, endpoint) as (server, api):
            asking = await api.started(options=REVIEWED)
            request_id = (await question(api, asking))["request_id"]
            endpoint.script = [Hang(), Hang()]
            hanging = await api.started("snake", priority=5)
            await until(lambda: len(endpoint.requests), lambda count: count == 2)
            server.kill()
        async with serving(tmp_path, endpoint, CONCURRENCY=1) as (_, api):
            await until(lambda: len(endpoint.requests), lambda count: count == 3)
            assert [(await api.state(task))["status"] for task in (hanging, asking)] == ["RUNNING", "QUEUED"]
            assert await answer(api, asking, request_id, "approve") == 200
            assert await answer(api, asking, request_id, "approve") == 409
            await api.stop(hanging)
            await api.until_succeeded(asking)
            assert len(await api.events(asking, types="INPUT_RESPONSE")) == 1
            assert len(await api.events(asking, types="INPUT_REQUEST")) == 1


async def test_an_answer_that_ended_the_run(api: Api, endpoint: OpenAiServer) -> None:
    """Whoever answered a review with `stop`, and runs the task again, is asked again about the same work."""
    task_id = await api.started(options=REVIEWED)
    first = (await question(api, task_id))["request_id"]
    await answer(api, task_id, first, "stop\n")
    assert (await api.state(task_id))["status"] == "CANCELLED"
    asked = len(endpoint.requests)
    await api.run(task_id)
    again = (await question(api, task_id))["request_id"]
    assert again != first
    assert len(endpoint.requests) == asked
    await answer(api, task_id, again, "approve")
    await api.until_succeeded(task_id)


async def test_going_on_after_a_revision(api: Api, endpoint: OpenAiServer) -> None:
    """Work that a person had done again is neither asked for, nor reviewed again, when a later call fails."""
    whole = await calls_of(api, endpoint)
    task_id = await api.started(options=REVIEWED)
    await answer(api, task_id, (await question(api, task_id))["request_id"], "Make it about birds.")
    again = (await question(api, task_id))["request_id"]
    endpoint.script = [Refuse(401)]
    await answer(api, task_id, again, "approve")
    await api.until_status(task_id, "FAILED")
    await api.run(task_id)
    await api.until_succeeded(task_id)
    assert len(endpoint.requests) == whole + 2  # the revision, and the call that failed
    assert len(await api.events(task_id, types="INPUT_REQUEST")) == 2


async def test_what_a_person_said_is_not_forgotten(api: Api, endpoint: OpenAiServer) -> None:
    """A message of the first attempt is in the prompts of the second, and told once."""
    task_id = await api.started(options=REVIEWED)
    request_id = (await question(api, task_id))["request_id"]
    said = await api.http.post(f"/api/tasks/{task_id}/messages", json={"content": "Use only capitals."})
    assert said.status_code == 202
    endpoint.script = [Refuse(401)]
    await answer(api, task_id, request_id, "approve")
    await api.until_status(task_id, "FAILED")
    endpoint.requests.clear()
    await api.run(task_id)
    await api.until_succeeded(task_id)
    assert endpoint.requests and all("Use only capitals." in request.prompt for request in endpoint.requests)
    files = (await api.state(task_id))["final_result"]["artifacts"]
    (requirement,) = [a["path"] for a in files if a["path"].endswith("docs/requirement.txt")]
    assert (await api.http.get(f"/api/tasks/{task_id}/artifacts/{requirement}")).text == "hangman"
    told = [e["payload"] for e in await api.events(task_id, types="MESSAGE")]
    assert [p["sent_from"] for p in told if p["content"] == "Use only capitals."] == ["Human"]
