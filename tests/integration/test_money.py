"""What a run uses, what it may use, and who is asked when that is used up."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.openai_server import API_KEY, OpenAiServer
from tests.support import Api, Json, Server, client, ends, statuses, until

FIGURES = ("llm_calls", "prompt_tokens", "completion_tokens", "cost_usd", "unpriced_calls")


def _sums(calls: list[Json]) -> Json:
    """What these LLM_CALL events add up to."""
    payloads = [call["payload"] for call in calls]
    return {
        "llm_calls": len(payloads),
        "prompt_tokens": sum(payload["prompt_tokens"] for payload in payloads),
        "completion_tokens": sum(payload["completion_tokens"] for payload in payloads),
        "cost_usd": pytest.approx(sum(payload["cost_usd"] or 0 for payload in payloads)),
        "unpriced_calls": sum(payload["cost_usd"] is None for payload in payloads),
    }


async def _answer(api: Api, task_id: str, answer: str) -> Json:
    """Answer what the task asks; the question."""
    waiting: Json = (await api.until_status(task_id, "WAITING"))["waiting"]
    given = {"request_id": waiting["request_id"], "answer": answer}
    response = await api.http.post(f"/api/tasks/{task_id}/input", json=given)
    assert response.status_code == 200, response.text
    return waiting


async def test_a_budget_is_raised(api: Api) -> None:
    """A run whose budget is used up waits for a person, goes on after a raise, and tells what it was raised to."""
    task_id = await api.started(options={"budget_tokens": 500})
    first = await _answer(api, task_id, "many")
    assert "of the budget of 500 tokens" in first["question"]
    assert first["deadline"] is not None
    again = await _answer(api, task_id, "1000000")
    assert again["question"].startswith('"many" is no possible answer.')
    await api.until_succeeded(task_id)
    assert (await api.state(task_id))["raised"] == {"budget_usd": None, "budget_tokens": 1_000_000}
    told = [status for _, status in statuses(await api.events(task_id))]
    assert told == ["QUEUED", "RUNNING", "WAITING", "RUNNING", "WAITING", "RUNNING", "SUCCEEDED"]


async def test_a_budget_is_not_raised(api: Api) -> None:
    """A person can stop the run there, and it says so."""
    task_id = await api.started(options={"budget_tokens": 500})
    await _answer(api, task_id, "stop")
    state = await api.state(task_id)
    assert state["reason"].startswith('A person answered "stop"') and "budget of 500 tokens" in state["reason"]
    assert ends(await api.events(task_id)) == [(1, "CANCELLED")]


async def test_nobody_answers(api: Api) -> None:
    """A question that nobody has answered in time ends the run, with a reason that says so."""
    task_id = await api.started(options={"budget_tokens": 500, "answer_timeout_s": 0.2})
    state = await api.until_status(task_id, "FAILED")
    assert state["reason"].startswith("Nobody answered within 0.2 s")
    assert state["waiting"] is None


async def test_a_raise_holds_for_later_attempts(api: Api) -> None:
    """A budget that a person has raised is not asked about again by the next attempt."""
    task_id = await api.started(options={"budget_tokens": 500, "n_round": 2})
    await _answer(api, task_id, "1000000")
    await api.until_status(task_id, "FAILED")
    await api.run(task_id)
    await until(lambda: api.state(task_id), lambda state: state["attempt"] == 2 and state["status"] == "FAILED")
    assert [event["payload"]["request_id"] for event in await api.events(task_id, types="INPUT_REQUEST")] == [
        "input-1-1"
    ]


async def test_a_budget_after_a_crash(tmp_path: Path) -> None:
    """A question about a budget survives `kill -9`, and its answer holds; the next limit is asked about anew."""
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            task_id = await api.started(options={"budget_tokens": 500})
            first = (await api.until_status(task_id, "WAITING"))["waiting"]
        server.kill()
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            again = await _answer(api, task_id, "raise")
            assert (again["request_id"], again["question"]) == (first["request_id"], first["question"])
            next_limit = (await api.until_status(task_id, "WAITING"))["waiting"]
            assert next_limit["question"] != first["question"]
            raised = (await api.state(task_id))["raised"]["budget_tokens"]
        server.kill()
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            last = await _answer(api, task_id, "1000000")
            assert f"of the budget of {raised:,} tokens" in last["question"]
            await api.until_succeeded(task_id)
            state = await api.state(task_id)
            usage = state["usage"]
            assert state["final_result"]["usage"] == usage
            paid = [c for c in await api.events(task_id, types="LLM_CALL") if not c["payload"].get("replayed")]
            assert {figure: usage[figure] for figure in FIGURES} == _sums(paid)


async def test_usage_adds_up(tmp_path: Path) -> None:
    """What the result, the state and the calls say of usage is the same, per role too, and after a restart."""
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            task_id = await api.finished(options={"run_tests": True})
            calls = await api.events(task_id, types="LLM_CALL")
            state = await api.state(task_id)
    usage = state["usage"]
    assert state["final_result"]["usage"] == usage
    assert {figure: usage[figure] for figure in FIGURES} == _sums(calls)
    assert set(usage["by_role"]) == {"ProductManager", "Architect", "ProjectManager", "Engineer", "QaEngineer"}
    for role, share in usage["by_role"].items():
        assert share == _sums([call for call in calls if call["agent_role"] == role])
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            assert await api.state(task_id) == state


async def test_prices_from_a_file(tmp_path: Path) -> None:
    """A model that the user's file has a price for costs that."""
    prices = tmp_path / "prices.toml"
    prices.write_text("[home-made]\ninput = 1000\noutput = 1000\n")
    with OpenAiServer() as endpoint:
        settings = {"LLM_BASE_URL": endpoint.url, "LLM_API_KEY": API_KEY, "LLM_MODEL": "home-made"}
        with Server(tmp_path / "data", PRICES=prices, **settings) as server:
            async with client(server) as api:
                usage = (await api.state(await api.finished(options={"budget_usd": None})))["usage"]
    tokens = usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["cost_usd"] == pytest.approx(tokens / 1000)
    assert usage["unpriced_calls"] == 0


async def test_a_process_that_was_suspended(tmp_path: Path) -> None:
    """A run's process that does not turn any more is killed, and the run has failed and says so."""
    with Server(tmp_path / "data", DEMO_PACE=100, SILENCE_LIMIT=5) as server:
        async with client(server) as api:
            task_id = await api.started()
            await api.until_event(task_id, "TOKEN")
            (process,) = server.children
            process.send_signal(signal.SIGSTOP)
            state = await api.until_status(task_id, "FAILED")
            assert "no sign of life for 5 s" in state["reason"]
            await asyncio.to_thread(process.wait, 5)
