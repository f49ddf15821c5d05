"""Runs against an OpenAI-compatible endpoint, well-behaved and not."""

import time
from hashlib import sha256
from pathlib import Path

import pytest

from runner.attempt import Answer, Llm, Price
from runner.metagpt.demo.answers import answer as demo_answer
from runner.usage import Tally, Usage
from tests.integration.adapter.conftest import Start
from tests.openai_server import API_KEY, MODEL, Break, Hang, OpenAiServer, Refuse, Reply, Stall, unused_url

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_usage_and_cost_come_from_the_endpoint(start: Start, server: OpenAiServer) -> None:
    """Tokens are the endpoint's own count, asked for with every stream, and the cost is the model's price for them."""
    attempt = await start(llm=Llm(config=server.config()))
    assert await attempt.end() == 0
    assert all(request.body["stream_options"] == {"include_usage": True} for request in server.requests)
    calls = attempt.payloads("LLM_CALL")
    for call, request in zip(calls, server.requests, strict=True):
        assert call["prompt_tokens"] == sum(len(m["content"].split()) for m in request.body["messages"])
        assert call["cost_usd"] == pytest.approx((call["prompt_tokens"] * 5 + call["completion_tokens"] * 15) / 1e6)
        assert (call["model"], call["error"], call["estimated"], call["demo"]) == (MODEL, None, False, False)
    usage = attempt.result["usage"]
    assert usage["prompt_tokens"] == sum(call["prompt_tokens"] for call in calls)
    assert usage["cost_usd"] == pytest.approx(sum(call["cost_usd"] for call in calls))


async def test_usage_is_estimated_where_none_is_sent(start: Start) -> None:
    """An endpoint that sends no usage gets an estimate, marked as one."""
    with OpenAiServer(usage=False) as server:
        attempt = await start(llm=Llm(config=server.config()))
        assert await attempt.end() == 0
    assert all(call["estimated"] and call["prompt_tokens"] > 100 for call in attempt.payloads("LLM_CALL"))
    assert attempt.result["usage"]["cost_usd"] > 0


async def test_an_endpoint_without_stream_options_is_learned(start: Start) -> None:
    """Parameters that an endpoint refuses are left out, from the second request on."""
    with OpenAiServer(refuses=["stream_options", "max_tokens"]) as server:
        attempt = await start(llm=Llm(config=server.config()))
        assert await attempt.end() == 0
    last = server.requests[-1].body
    assert "stream_options" not in last and "max_tokens" not in last and last["max_completion_tokens"] == 4096
    assert sum(call["error"] is not None for call in attempt.payloads("LLM_CALL")) == 2


async def test_answers_in_one_piece(start: Start, server: OpenAiServer) -> None:
    """Without streaming, the answer is one token, and usage still counts."""
    attempt = await start(llm=Llm(config=server.config(stream=False)))
    assert await attempt.end() == 0
    assert "stream_options" not in server.requests[0].body
    assert attempt.counts["TOKEN"] == attempt.counts["LLM_CALL"]
    assert not any(call["estimated"] for call in attempt.payloads("LLM_CALL"))


async def test_a_model_without_a_price_costs_null(start: Start, server: OpenAiServer) -> None:
    """The cost of an unknown model is null, not zero, wherever it is told; the log warns of the budget, once."""
    attempt = await start(llm=Llm(config=server.config(model="home-made")))
    assert await attempt.end() == 0
    calls = attempt.payloads("LLM_CALL")
    assert {call["cost_usd"] for call in calls} == {None}
    assert all(call["message"].endswith("No price is known for this model.") for call in calls)
    assert attempt.result["usage"]["unpriced_calls"] == len(calls)
    warnings = [log["message"] for log in attempt.payloads("LOG") if log["level"] == "WARNING"]
    assert warnings == [
        "No price is known for the model home-made: its calls do not count towards the budget of $10.00. Give its "
        "price with --prices, or set budget_tokens."
    ]


@pytest.mark.parametrize("model", ["home-made", "router/maker/home-made", "gpt-4o"])
async def test_a_price_of_the_users_own(start: Start, server: OpenAiServer, model: str) -> None:
    """A price that the user gives counts, before MetaGPT's own and also where a router names the model."""
    price = Price(input=1000, output=2000)
    llm = Llm(config=server.config(model=model), prices={"home-made": price, "gpt-4o": price})
    attempt = await start(llm=llm)
    assert await attempt.end() == 0
    for call in attempt.payloads("LLM_CALL"):
        assert call["cost_usd"] == pytest.approx(call["prompt_tokens"] / 1000 + call["completion_tokens"] / 500)
    assert attempt.result["usage"]["unpriced_calls"] == 0


async def test_usage_by_role(start: Start, server: OpenAiServer) -> None:
    """The result has what every role has used, in this attempt and in those before it."""
    before = Usage(
        llm_calls=2, cost_usd=0.5, by_role={"Engineer": Tally(llm_calls=1, cost_usd=0.5), "Boss": Tally(llm_calls=1)}
    )
    attempt = await start(llm=Llm(config=server.config()), used=before)
    assert await attempt.end() == 0
    usage = attempt.result["usage"]
    calls = list(zip(attempt.roles("LLM_CALL"), attempt.payloads("LLM_CALL"), strict=True))
    assert set(usage["by_role"]) == {"Boss", "ProductManager", "Architect", "ProjectManager", "Engineer"}
    for role, share in usage["by_role"].items():
        made = [call for by, call in calls if by == role]
        earlier = before.by_role.get(role, Tally())
        assert share["llm_calls"] == len(made) + earlier.llm_calls
        assert share["prompt_tokens"] == sum(call["prompt_tokens"] for call in made)
        assert share["cost_usd"] == pytest.approx(sum(call["cost_usd"] for call in made) + earlier.cost_usd)
    for field in ("llm_calls", "prompt_tokens", "completion_tokens", "cost_usd"):
        assert usage[field] == pytest.approx(sum(share[field] for share in usage["by_role"].values()))
    assert attempt.payloads("LLM_CALL")[0]["call"] == "call-3"


async def test_nothing_is_asked_of_the_model_once_the_budget_is_used_up(start: Start, server: OpenAiServer) -> None:
    """A person is asked before the next call, and there is none if nobody answers."""
    attempt = await start(llm=Llm(config=server.config()), budget_usd=0.005, answer_timeout_s=0.5)
    await attempt.until("INPUT_REQUEST")
    asked = len(server.requests)
    spent = sum(call["cost_usd"] for call in attempt.payloads("LLM_CALL"))
    assert spent >= 0.005 and 0 < asked < 5
    assert await attempt.end() == 1
    assert (len(server.requests), attempt.fatal["error_type"]) == (asked, "Unanswered")


async def test_a_raised_budget(start: Start, server: OpenAiServer) -> None:
    """After a raise the team works on to its end, with all that it had done."""
    attempt = await start(llm=Llm(config=server.config()), budget_usd=0.005)
    question = await attempt.until("INPUT_REQUEST")
    await attempt.child.send(Answer(request_id=question["request_id"], answer="100"))
    assert await attempt.end() == 0
    assert attempt.counts["INPUT_REQUEST"] == 1
    assert {"op": "budget raised", "option": "budget_usd", "to": 100.0} in attempt.notes


async def test_what_earlier_attempts_have_used_counts(start: Start, server: OpenAiServer) -> None:
    """A budget that was used up before this attempt began is asked about before its first call."""
    attempt = await start(llm=Llm(config=server.config()), used=Usage(llm_calls=9, cost_usd=3), budget_usd=2.0)
    await attempt.until("INPUT_REQUEST")
    assert server.requests == []


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (Refuse(401), "The LLM endpoint {url} refused the API key (401). Check METAGPT_LIVE_LLM_API_KEY."),
        (Refuse(403), "The LLM endpoint {url} does not allow this API key to use gpt-4o (403): refused by the script."),
        (
            Refuse(404),
            "The LLM endpoint {url} does not know the model gpt-4o (404). Check METAGPT_LIVE_LLM_MODEL and "
            "METAGPT_LIVE_LLM_BASE_URL.",
        ),
        (
            Refuse(429, "You exceeded your quota.", code="insufficient_quota"),
            "The account at {url} has no quota left (429): You exceeded your quota.",
        ),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Refuse) else "",
)
async def test_hopeless_refusals_fail_at_once(
    start: Start, server: OpenAiServer, refusal: Refuse, message: str
) -> None:
    """What no retry can cure ends the run after one request, in words that name the cure."""
    server.script.append(refusal)
    attempt = await start(llm=Llm(config=server.config()))
    assert await attempt.end() == 1
    assert len(server.requests) == 1
    assert attempt.fatal["message"] == message.format(url=server.url)
    assert attempt.payloads("LLM_CALL")[0]["error"] == attempt.fatal["message"]


@pytest.mark.parametrize("trouble", [Refuse(429), Refuse(503), Break()], ids=["429", "503", "broken stream"])
async def test_passing_trouble_is_retried(start: Start, server: OpenAiServer, trouble: Refuse | Break) -> None:
    """Limits, server errors and broken connections are tried again, and the log tells of it."""
    server.script.append(trouble)
    attempt = await start(llm=Llm(config=server.config()))
    assert await attempt.end() == 0
    failed, answered = attempt.payloads("LLM_CALL")[:2]
    assert failed["error"] and not answered["error"] and failed["call"] != answered["call"]
    assert [log["message"] for log in attempt.payloads("LOG") if "Trying again in 0.5 s" in log["message"]]


async def test_retries_come_to_an_end(start: Start, server: OpenAiServer) -> None:
    """An endpoint that keeps failing gets four requests in all, however many layers of MetaGPT would try again."""
    server.script += [Refuse(500)] * 20
    attempt = await start(llm=Llm(config=server.config()))
    assert await attempt.end() == 1
    assert len(server.requests) == 4
    assert attempt.fatal["message"] == (
        f"The LLM endpoint {server.url} failed (500): refused by the script. Tried 4 times."
    )


async def test_nothing_at_the_address(start: Start) -> None:
    """A refused connection is named as one."""
    url = unused_url()
    attempt = await start(llm=Llm(config={"api_key": API_KEY, "base_url": url, "model": MODEL}))
    assert await attempt.end() == 1
    assert attempt.fatal["message"] == f"Nothing answers at {url} (connection refused). Tried 4 times."


async def test_a_silent_endpoint_times_out(start: Start, server: OpenAiServer) -> None:
    """A call is given up after the configured time, and tried again."""
    server.script.append(Hang())
    attempt = await start(llm=Llm(config=server.config(timeout=1)))
    failed = await attempt.until("LLM_CALL")
    assert failed["error"] == f"The LLM endpoint {server.url} did not answer within 1 s."
    assert await attempt.end() == 0


async def test_an_answer_that_stalls(start: Start, server: OpenAiServer) -> None:
    """An answer that does not come to its end is given up after `llm_timeout_s`; what came of it is counted."""
    server.script.append(Stall())
    attempt = await start(llm=Llm(config=server.config()), llm_timeout_s=1)
    failed = await attempt.until("LLM_CALL")
    assert failed["error"] == f"The LLM endpoint {server.url} did not answer within 1 s."
    assert failed["estimated"] and failed["prompt_tokens"] > 100 and failed["cost_usd"] > 0
    assert await attempt.end() == 0


async def test_an_endpoint_that_says_when_to_come_back(start: Start, server: OpenAiServer) -> None:
    """A longer wait that the endpoint asks for is kept, and told."""
    server.script.append(Refuse(429, headers={"Retry-After": "1.5"}))
    attempt = await start(llm=Llm(config=server.config()))
    await attempt.until("LOG", lambda payload: payload["message"].endswith("Trying again in 1.5 s."))
    began = time.monotonic()
    await attempt.until("LLM_CALL", lambda payload: not payload["error"])
    assert time.monotonic() - began > 1.4


async def test_malformed_answers_are_asked_for_again(start: Start, server: OpenAiServer) -> None:
    """An answer that is not in the form asked for is asked for again, three times at most."""
    server.script += [Reply("I would rather talk about the weather.")] * 3
    attempt = await start(llm=Llm(config=server.config()))
    assert await attempt.end() == 1
    assert len(server.requests) == 3
    assert attempt.fatal["error_type"] == "MalformedAnswer"
    assert attempt.fatal["message"].startswith("The model's answer was not in the form that was asked for, 3 times")


def _by_ending(folder: Path) -> dict[str, bytes]:
    """What is in all files below a folder, by the ends of their names."""
    found: dict[str, bytes] = {}
    for file in filter(Path.is_file, folder.rglob("*")):
        found[file.suffix] = found.get(file.suffix, b"") + file.read_bytes()
    return found


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]


async def test_the_key_is_nowhere(start: Start, workspace: Path) -> None:
    """A model that knows the API key cannot have it written into a file or a name, or told, whole or cut."""

    def answer(prompt: str, system: str) -> str:
        text = demo_answer(prompt, system).replace("```python\n", f"```python\n# {API_KEY}\n", 1)
        text = text.replace('"main.py"', f'"{API_KEY}.py"')
        return text.replace("classDiagram\\n", f"classDiagram\\n%% {API_KEY}\\n").replace(
            '"Implementation approach": "', f'"Implementation approach": "{f"{API_KEY} " * 500}'
        )

    with OpenAiServer(answer=answer) as server:
        attempt = await start(llm=Llm(config=server.config()))
        assert await attempt.end() == 0
    written = _by_ending(workspace)
    beginning = API_KEY[:12]
    assert {ending for ending, content in written.items() if b"[redacted]" in content} >= {".py", ".mmd", ".json"}
    assert {ending for ending, content in written.items() if beginning.encode() in content} == set()
    assert not [name for name in _names(workspace) if beginning in name]
    assert beginning not in str(attempt.events)


async def test_a_key_in_an_answer_is_no_part_of_it(start: Start) -> None:
    """What the log has of an answer with the key in it is what the team worked with: a later attempt can take it."""

    def answer(prompt: str, system: str) -> str:
        return f"{demo_answer(prompt, system)}\n\n(The key is {API_KEY}.)"

    with OpenAiServer(answer=answer) as server:
        attempt = await start(llm=Llm(config=server.config()))
        assert await attempt.end() == 0
    told: dict[str, str] = {}
    for token in attempt.payloads("TOKEN"):
        told[token["call"]] = told.get(token["call"], "") + token["delta"]
    calls = attempt.payloads("LLM_CALL")
    answers = [told[call["call"]][: call["answer_chars"]] for call in calls]
    assert all("[redacted]" in answer for answer in answers)
    assert [sha256(answer.encode()).hexdigest() for answer in answers] == [call["answer_sha256"] for call in calls]


async def test_the_key_is_in_no_event(start: Start, server: OpenAiServer) -> None:
    """The API key reaches the endpoint, and no event, even if the endpoint repeats it."""
    server.script.append(Refuse(400, f"bad request, Authorization: Bearer {API_KEY}"))
    attempt = await start(llm=Llm(config=server.config()))
    assert await attempt.end() == 1
    assert server.requests[0].authorization == f"Bearer {API_KEY}"
    assert API_KEY not in str(attempt.events)
    assert "[redacted]" in attempt.fatal["message"]


@pytest.mark.parametrize(
    ("field", "value"), [("api_type", "no-such-provider"), ("api_key", 987654321987654321), ("proxy", [API_KEY * 5])]
)
async def test_a_wrong_configuration_is_an_error_without_the_key(
    start: Start, server: OpenAiServer, field: str, value: object
) -> None:
    """A configuration that MetaGPT refuses ends the run with an error that names the field, and shows no key of it."""
    attempt = await start(llm=Llm(config=server.config(**{field: value})))
    assert await attempt.end() == 1
    assert attempt.fatal["message"].startswith(f"MetaGPT refuses the configuration of the model: {field}: ")
    assert not [part for part in (API_KEY[:12], "987654321") if part in str(attempt.events)]


async def test_a_provider_that_is_not_installed_is_named(start: Start, server: OpenAiServer) -> None:
    """A provider whose package is missing ends the run with a message that says so."""
    attempt = await start(llm=Llm(config=server.config(api_type="ollama")))
    assert await attempt.end() == 1
    assert attempt.fatal["message"] == "The provider 'ollama' needs a package that is not installed."


async def test_when_one_role_fails_the_others_end(start: Start, server: OpenAiServer) -> None:
    """After a failure nothing more is asked of the model, and every turn that was open is closed."""
    attempt = await start(llm=Llm(config=server.config()), run_tests=True)
    await attempt.until("ACTION_COMPLETE", lambda payload: payload["action"] == "WriteTasks")
    server.script += [Refuse(401)]
    assert await attempt.end() == 1
    assert attempt.counts["AGENT_START"] == attempt.counts["AGENT_COMPLETE"]
    assert attempt.counts["ACTION_START"] == attempt.counts["ACTION_COMPLETE"]
    assert attempt.counts["ERROR"] == 1
