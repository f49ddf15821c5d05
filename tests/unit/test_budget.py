"""The budgets of a run, and the person who is asked about them."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from runner.attempt import Answer, Checkpoint, Synced, answered_key
from runner.metagpt.budget import Budget
from runner.metagpt.channel import Channel
from runner.metagpt.failures import Unanswered
from runner.metagpt.run import Run
from runner.redact import Redactor
from runner.usage import Usage
from tests.attempts import spec
from tests.support import DEADLINE


class Desk:
    """A run that has used something, the person who is asked about it, and the log.

    takes: set while the log takes what comes; waited_for: set once it does not, and the run waits for that.
    """

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._theirs, self._ours = socket.socketpair()
        self._theirs.setblocking(False)
        self._channel = Channel(self._ours, Redactor([]), on_word=lambda word: None, on_gone=lambda: None)
        self.takes = asyncio.Event()
        self.takes.set()
        self.waited_for = asyncio.Event()
        self._lines: list[dict[str, Any]] = []
        self._questions: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    def budget(
        self, *, unpriced: str | None = None, used: Usage, checkpoint: Checkpoint | None = None, **options: Any
    ) -> Budget:
        told = spec(self._workspace, used=used, **options)
        told = msgspec.structs.replace(told, checkpoint=checkpoint or Checkpoint())
        self.run = Run(told, "game", self._channel)
        return Budget(self.run, unpriced=unpriced)

    async def asked(self) -> dict[str, Any]:
        """The payload of the next question."""
        async with asyncio.timeout(DEADLINE):
            return await self._questions.get()

    async def answer(self, *answers: str) -> list[str]:
        """Answer the next questions; the questions."""
        questions = []
        for answer in answers:
            asked = await self.asked()
            questions.append(asked["question"])
            self.run.questions.answer(Answer(request_id=asked["request_id"], answer=answer))
        return questions

    async def told(self) -> list[dict[str, Any]]:
        """All that the run has sent."""
        await self._channel.sync()
        return self._lines

    async def _read(self) -> None:
        loop, rest = asyncio.get_running_loop(), b""
        while received := await loop.sock_recv(self._theirs, 1 << 20):
            *whole, rest = (rest + received).split(b"\n")
            for line in map(json.loads, whole):
                if line.get("op") == "sync":
                    if not self.takes.is_set():
                        self.waited_for.set()
                    await self.takes.wait()
                    await loop.sock_sendall(self._theirs, msgspec.json.encode(Synced(number=line["number"])) + b"\n")
                    continue
                self._lines.append(line)
                if line.get("event_type") == "INPUT_REQUEST":
                    self._questions.put_nowait(line["payload"])

    def close(self) -> None:
        self._reading.cancel()
        self._channel.close()
        self._ours.close()
        self._theirs.close()


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def used(cost_usd: float = 0.0, tokens: int = 0) -> Usage:
    return Usage(llm_calls=1, prompt_tokens=tokens - tokens // 3, completion_tokens=tokens // 3, cost_usd=cost_usd)


async def test_below_the_budgets(desk: Desk) -> None:
    """As long as nothing is used up nobody is asked."""
    await desk.budget(used=used(0.99, 999), budget_usd=1.0, budget_tokens=1000).allow()
    assert await desk.told() == []


async def test_a_log_that_takes_nothing(desk: Desk) -> None:
    """No call is begun before those before it are in the log; nor is it let through a budget that another role has
    reached meanwhile.
    """
    budget = desk.budget(used=used(0, 999), budget_tokens=1000)
    desk.takes.clear()
    allowing = asyncio.create_task(budget.allow())
    async with asyncio.timeout(DEADLINE):
        await desk.waited_for.wait()
    assert not allowing.done()
    desk.run.usage = used(0, 1000)
    desk.takes.set()
    assert "1,000 tokens" in (await desk.asked())["question"]
    allowing.cancel()


async def test_without_budgets(desk: Desk) -> None:
    """Null is no limit."""
    await desk.budget(used=used(1e9, 10**12), budget_usd=None, budget_tokens=None).allow()
    assert await desk.told() == []


@pytest.mark.parametrize(
    ("usage", "options", "question"),
    [
        (
            used(0.0123),
            {"budget_usd": 0.005},
            '$0.0123 of the budget of $0.005 are used up. Answer "raise" to go on until $0.015 are used, "stop" to end '
            "the run, or a number, the new budget in dollars.",
        ),
        (
            used(1234.5),
            {"budget_usd": 1000},
            '$1,234.50 of the budget of $1,000.00 are used up. Answer "raise" to go on until $2,000.00 are used, '
            '"stop" to end the run, or a number, the new budget in dollars.',
        ),
        (
            used(0, 1000),
            {"budget_tokens": 1000},
            '1,000 tokens of the budget of 1,000 tokens are used up. Answer "raise" to go on until 2,000 tokens are '
            'used, "stop" to end the run, or a number, the new budget in tokens.',
        ),
    ],
)
async def test_the_question(desk: Desk, usage: Usage, options: dict[str, Any], question: str) -> None:
    """A person is told what was spent of what, and what each answer does."""
    allowing = asyncio.create_task(desk.budget(used=usage, **options).allow())
    asked = await desk.asked()
    assert asked["question"] == question
    assert asked["choices"] == ["raise", "stop"]
    allowing.cancel()


@pytest.mark.parametrize(
    ("answer", "to"),
    [("raise", 3.0), (" Raise ", 3.0), ("12.5", 12.5), ("$2.01", 2.01), ("1,000 dollars", 1000.0), ("7", 7.0)],
)
async def test_a_raise(desk: Desk, answer: str, to: float) -> None:
    """After a raise the call may be made; the supervisor is told the new limit, for later attempts."""
    allowing = asyncio.create_task(desk.budget(used=used(2.0), budget_usd=1.0).allow())
    await desk.answer(answer)
    await allowing
    lines = await desk.told()
    assert [line for line in lines if "op" in line] == [{"op": "budget raised", "option": "budget_usd", "to": to}]
    assert lines[-1]["payload"]["message"] == f"The budget was raised to ${to:,.2f}."


async def test_a_raise_holds_until_it_is_used_up(desk: Desk) -> None:
    """Nobody is asked again before the new limit is reached, and then from there."""
    budget = desk.budget(used=used(0, 150), budget_tokens=100)
    allowing = asyncio.create_task(budget.allow())
    await desk.answer("raise")
    await allowing
    desk.run.usage = used(0, 199)
    await budget.allow()
    desk.run.usage = used(0, 200)
    allowing = asyncio.create_task(budget.allow())
    (question,) = await desk.answer("1000")
    assert question.startswith("200 tokens of the budget of 200 tokens are used up.")
    await allowing


@pytest.mark.parametrize(
    "answer", ["more", "", "2", "1.99", "-5", "nan", "inf", "1e3", "12,5", "$", "raise it", "99999999999999"]
)
async def test_a_malformed_answer(desk: Desk, answer: str) -> None:
    """An answer that is not possible is asked for again, with what is."""
    allowing = asyncio.create_task(desk.budget(used=used(2.0), budget_usd=1.0).allow())
    _, again = await desk.answer(answer, "raise")
    assert again.startswith(f'"{answer}" is no possible answer. $2.00 of the budget of $1.00 are used up.')
    assert '"raise"' in again and "above what is used up" in again
    await allowing


async def test_half_a_token(desk: Desk) -> None:
    """A budget of tokens is a whole number."""
    allowing = asyncio.create_task(desk.budget(used=used(0, 10), budget_tokens=10).allow())
    assert len(await desk.answer("20.5", "120,000 tokens")) == 2
    await allowing


async def test_both_budgets(desk: Desk) -> None:
    """Each budget that is used up is asked about."""
    allowing = asyncio.create_task(desk.budget(used=used(2.0, 500), budget_usd=1.0, budget_tokens=500).allow())
    dollars, tokens = await desk.answer("raise", "raise")
    assert "dollars" in dollars and "tokens" in tokens
    await allowing


async def test_roles_at_the_same_time(desk: Desk) -> None:
    """A person is asked once, however many roles wait for the answer, and it holds for all of them."""
    budget = desk.budget(used=used(2.0), budget_usd=1.0)
    waiting = [asyncio.create_task(budget.allow()) for _ in range(5)]
    await desk.answer("raise")
    await asyncio.gather(*waiting)
    assert [line.get("event_type") for line in await desk.told()].count("INPUT_REQUEST") == 1


async def test_nobody_answers(desk: Desk) -> None:
    """Once the deadline has passed the run ends, for all roles, with a reason that says so."""
    budget = desk.budget(used=used(2.0), budget_usd=1.0, answer_timeout_s=0.01)
    errors = await asyncio.gather(*(budget.allow() for _ in range(2)), return_exceptions=True)
    assert {type(error) for error in errors} == {Unanswered}
    assert "$2.00 of the budget of $1.00 are used up" in str(errors[0])
    assert [line["event_type"] for line in await desk.told()] == ["INPUT_REQUEST"]


async def test_a_budget_that_is_reached(desk: Desk) -> None:
    """That a budget is used up is said when it is, once until it is raised, whether or not there is a next call."""
    budget = desk.budget(used=used(0.9), budget_usd=1.0)
    budget.look()
    assert await desk.told() == []
    desk.run.usage = used(1.1)
    budget.look()
    budget.look()
    (warning,) = await desk.told()
    assert warning["payload"]["message"].startswith("$1.10 of the budget of $1.00 are used up.")


async def test_an_answer_of_an_earlier_attempt(desk: Desk) -> None:
    """An answer that came when its attempt was lost holds for the limit that it was given to, and for no other."""
    recorded = {answered_key("", "budget_tokens 100"): ["raise"]}
    budget = desk.budget(used=used(0, 150), budget_tokens=100, checkpoint=Checkpoint(recorded=recorded))
    async with asyncio.timeout(DEADLINE):
        await budget.allow()
    assert [line for line in await desk.told() if line.get("event_type") == "INPUT_REQUEST"] == []
    budget = desk.budget(used=used(0, 250), budget_tokens=200, checkpoint=Checkpoint(recorded=recorded))
    allowing = asyncio.create_task(budget.allow())
    await desk.answer("raise")
    await allowing


async def test_a_model_without_a_price(desk: Desk) -> None:
    """A budget in dollars that cannot be kept is told once; one in tokens holds."""
    budget = desk.budget(unpriced="home-made", used=used(0, 10), budget_usd=1.0, budget_tokens=11)
    await budget.allow()
    await budget.allow()
    (warning,) = await desk.told()
    assert "No price is known for the model home-made" in warning["payload"]["message"]
    desk.run.usage = used(0, 11)
    allowing = asyncio.create_task(budget.allow())
    await desk.answer("raise")
    await allowing
