"""Runs in which a person approves a role's work before the team goes on."""

import pytest

from runner.attempt import Answer, Llm
from tests.attempts import Attempt, Payload
from tests.integration.adapter.conftest import Start
from tests.openai_server import OpenAiServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

WISH = "It must also work without a keyboard."


async def reply(attempt: Attempt, answer: str) -> Payload:
    """Answer the next question; the question."""
    question = await attempt.until("INPUT_REQUEST")
    await attempt.child.send(Answer(request_id=question["request_id"], answer=answer))
    return question


async def test_approved_work_goes_on(start: Start) -> None:
    """The team sees a role's work only after a person approved it; the question says what there is to approve."""
    attempt = await start(review=["Architect"])
    question = await attempt.until("INPUT_REQUEST")
    assert question["role"] == "Architect"
    assert question["choices"] == ["approve", "revise", "stop"]
    assert question["deadline"].endswith("Z")
    assert "docs/system_design" in question["question"]
    assert "WriteDesign" not in [message["cause_by"] for message in attempt.payloads("MESSAGE")]
    await attempt.child.send(Answer(request_id=question["request_id"], answer="approve"))
    assert await attempt.end() == 0
    assert "WriteDesign" in [message["cause_by"] for message in attempt.payloads("MESSAGE")]


@pytest.mark.parametrize("role", ["ProductManager", "Architect", "ProjectManager", "Engineer", "QaEngineer"])
async def test_revised_work_is_done_again(start: Start, server: OpenAiServer, role: str) -> None:
    """Words in place of a choice make the same role do the work again, told of them and of what it did before."""
    attempt = await start(llm=Llm(config=server.config()), review=[role], run_tests=True)
    first = await reply(attempt, WISH)
    asked_before = len(server.requests)
    second = await attempt.until("INPUT_REQUEST")
    assert first["request_id"] != second["request_id"]
    revised = server.requests[asked_before:]  # before the team goes on, and asks for other work
    await attempt.child.send(Answer(request_id=second["request_id"], answer="approve"))
    assert revised and all(WISH in request.prompt for request in revised)
    assert all("Your previous work was not accepted" in request.prompt for request in revised)
    versions = {artifact["path"]: artifact["version"] for artifact in attempt.payloads("ARTIFACT")}
    assert max(versions.values()) <= 2
    while question := await attempt.next("INPUT_REQUEST"):  # the QA engineer is asked after every turn
        await attempt.child.send(Answer(request_id=question["request_id"], answer="approve"))
    assert await attempt.end() == 0
    turns = [payload["turn"] for payload in attempt.payloads("AGENT_START") if payload["turn"].startswith(role)]
    assert turns[:2] == [f"{role}-1", f"{role}-2"]


async def test_a_revision_is_a_second_version(start: Start) -> None:
    """Work that was done again replaces the first as a new version of the same file."""
    attempt = await start(review=["ProductManager"])
    await reply(attempt, WISH)
    await reply(attempt, "approve")
    assert await attempt.end() == 0
    documents = [a for a in attempt.result["artifacts"] if "/docs/prd/" in a["path"]]
    assert [document["version"] for document in documents] == [2]
    causes = [message["cause_by"] for message in attempt.payloads("MESSAGE")]
    assert causes.count("WritePRD") == 1


async def test_an_answer_to_no_question_changes_nothing(start: Start) -> None:
    """An answer whose question is not open is dropped."""
    attempt = await start(review=["ProductManager"])
    question = await attempt.until("INPUT_REQUEST")
    await attempt.child.send(Answer(request_id="input-9-9", answer="stop"))
    await attempt.child.send(Answer(request_id=question["request_id"], answer="approve"))
    assert await attempt.end() == 0
