"""Runs against an OpenAI-compatible endpoint, configured as a person would."""

import asyncio
import io
import re
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from runner.metagpt.demo.answers import answer as demo_answer
from tests.openai_server import API_KEY, MODEL, Hang, OpenAiServer, Refuse, unused_url
from tests.support import Api, Server, client, ends


@pytest.fixture(scope="module")
def endpoint() -> Iterator[OpenAiServer]:
    with OpenAiServer() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def real_server(endpoint: OpenAiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that uses the endpoint."""
    data = tmp_path_factory.mktemp("real") / "data"
    with Server(data, LLM_BASE_URL=endpoint.url, LLM_API_KEY=API_KEY, LLM_MODEL=MODEL) as server:
        yield server


@pytest_asyncio.fixture
async def real_api(real_server: Server) -> AsyncIterator[Api]:
    async with client(real_server) as api:
        yield api


async def test_a_whole_run(endpoint: OpenAiServer, real_api: Api) -> None:
    """The team works with the endpoint: the right key and model, streamed, with the usage that the endpoint counts."""
    endpoint.requests.clear()
    task_id = await real_api.finished()
    state = await real_api.state(task_id)
    assert {request.authorization for request in endpoint.requests} == {f"Bearer {API_KEY}"}
    assert {request.body["model"] for request in endpoint.requests} == {MODEL}
    assert all(request.body["stream_options"] == {"include_usage": True} for request in endpoint.requests)
    asked = sum(len(str(m["content"]).split()) for r in endpoint.requests for m in r.body["messages"])
    assert state["usage"]["prompt_tokens"] == asked
    assert state["usage"]["llm_calls"] == len(endpoint.requests)
    assert state["usage"]["cost_usd"] > 0
    assert (state["model"], state["demo"]) == (MODEL, False)


def _holding(folder: Path, words: bytes) -> list[Path]:
    """The files in a folder that hold these words."""
    return [file for file in folder.rglob("*") if file.is_file() and words in file.read_bytes()]


def _leaking(prompt: str, system: str) -> str:
    """A model that tells the key wherever it can."""
    text = demo_answer(prompt, system).replace("```python\n", f"```python\n# {API_KEY}\n")
    return text.replace('"Implementation approach": "', f'"Implementation approach": "{API_KEY} ')


async def test_the_key_leaves_by_no_exit(real_api: Api, endpoint: OpenAiServer) -> None:
    """Whatever is asked of the server, about runs whose model and endpoint tell the key, does not hold it."""
    endpoint.answer = _leaking
    try:
        told = await real_api.finished("snake")
    finally:
        endpoint.answer = demo_answer
    endpoint.script.append(Refuse(400, f"Nobody may call this with {API_KEY}."))
    failed = await real_api.started()
    await real_api.until_status(failed, "FAILED")
    files = (await real_api.http.get(f"/api/tasks/{told}/artifacts")).json()["artifacts"]
    paths = [path for path, operations in real_api.description.document["paths"].items() if "get" in operations]
    urls = [
        *(path.replace("{task_id}", task_id) for path in paths if "{path}" not in path for task_id in (told, failed)),
        *(f"/api/tasks/{told}/artifacts/{file['path']}" for file in files),
    ]
    answers = {url: (await real_api.http.get(url)).content for url in [*urls, f"/api/tasks/{told}/search?q=key"]}
    assert any(b"[redacted]" in answer for url, answer in answers.items() if url.endswith(".py"))
    with zipfile.ZipFile(io.BytesIO(answers[f"/api/tasks/{told}/artifacts.zip"])) as packed:
        answers |= {name: packed.read(name) for name in packed.namelist()}
    assert [url for url, answer in answers.items() if API_KEY.encode() in answer] == []


async def test_the_key_is_nowhere(real_server: Server, real_api: Api, endpoint: OpenAiServer) -> None:
    """Not in the log, not even when the endpoint repeats it, nor in the database, the workspace or any output."""
    endpoint.script.append(Refuse(400, f"Nobody may call this with {API_KEY}."))
    failed = await real_api.started()
    await real_api.until_status(failed, "FAILED")
    await real_api.finished("snake")
    assert await asyncio.to_thread(_holding, real_server.data, API_KEY.encode()) == []
    assert API_KEY not in real_server.log


async def test_a_refused_key(real_api: Api, endpoint: OpenAiServer) -> None:
    """A 401 ends the run in words that a person understands, without another try."""
    endpoint.requests.clear()
    endpoint.script.append(Refuse(401, "Incorrect API key provided.", "invalid_api_key"))
    task_id = await real_api.started()
    state = await real_api.until_status(task_id, "FAILED")
    assert len(endpoint.requests) == 1
    assert re.search(r"\bkey\b", state["reason"])
    error = (await real_api.events(task_id, types="ERROR"))[-1]
    assert error["payload"]["fatal"] is True and error["payload"]["message"] == state["reason"]
    assert ends(await real_api.events(task_id)) == [(1, "FAILED")]


async def test_running_again_when_the_key_is_right(real_api: Api, endpoint: OpenAiServer) -> None:
    """After the key was mended, the same task runs again, and its usage is that of both attempts."""
    endpoint.script.append(Refuse(401))
    task_id = await real_api.started()
    await real_api.until_status(task_id, "FAILED")
    await real_api.run(task_id)
    await real_api.until_succeeded(task_id)
    events = await real_api.events(task_id)
    assert ends(events) == [(1, "FAILED"), (2, "SUCCEEDED")]


async def test_stopping_an_endpoint_that_hangs(real_api: Api, endpoint: OpenAiServer) -> None:
    """A run that waits for an endpoint that does not answer can be stopped, gracefully."""
    endpoint.script.append(Hang())
    task_id = await real_api.started()
    await real_api.until_event(task_id, "ACTION_START")
    assert (await real_api.stop(task_id))["how"] == "graceful"
    endpoint.script.clear()


async def test_an_endpoint_that_is_not_there(tmp_path: Path) -> None:
    """A run whose endpoint nobody listens at fails, and names the address."""
    url = unused_url()
    with Server(tmp_path / "data", LLM_BASE_URL=url, LLM_MODEL=MODEL) as server:
        async with client(server) as api:
            task_id = await api.started()
            state = await api.until_status(task_id, "FAILED")
            assert url.removeprefix("http://").removesuffix("/v1") in state["reason"]


async def test_metagpts_own_config(endpoint: OpenAiServer, tmp_path: Path) -> None:
    """Where the user has a ~/.metagpt/config2.yaml, the runs use it."""
    home = tmp_path / "home"
    (home / ".metagpt").mkdir(parents=True)
    fields = "\n".join(f"  {name}: {value}" for name, value in endpoint.config().items())
    (home / ".metagpt" / "config2.yaml").write_text(f"llm:\n{fields}\n")
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            endpoint.requests.clear()
            assert (await api.state(await api.finished()))["model"] == MODEL
    assert endpoint.requests
