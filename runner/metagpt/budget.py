"""The budgets of a task, in dollars and in tokens.

Once one is reached, nothing more is asked of the model before a person has raised it.

They are looked at when a call has ended, whichever role made it, and before every call. The answer of the call that has
reached a budget is paid for, and so it is used: only the next call waits.
"""

import asyncio
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from runner.attempt import BudgetRaised
from runner.metagpt.failures import RunFailed
from runner.metagpt.run import Run
from runner.speech import STOP
from runner.usage import Usage

RAISE = "raise"
MOST = 10**12  # of either; more is a slip of the keyboard

# "12.50", "$1,000", "120,000 tokens"; not "12,5", which may be meant as 12.5.
NUMBER = re.compile(r"\$?\s*((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)\s*(?:dollars|tokens)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind:
    """unit: of a number that a person answers with. whole: whether it has no fraction."""

    option: Literal["budget_usd", "budget_tokens"]
    unit: str
    whole: bool
    spent: Callable[[Usage], float]
    shown: Callable[[float], str]


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4g}"


KINDS = (
    Kind("budget_usd", "dollars", False, lambda usage: usage.cost_usd, _dollars),
    Kind("budget_tokens", "tokens", True, lambda usage: usage.tokens, lambda amount: f"{amount:,.0f} tokens"),
)


class Budget:
    """model: the name of one that has no price; None if it has."""

    def __init__(self, run: Run, *, unpriced: str | None) -> None:
        self._run = run
        self._unpriced = unpriced
        options = run.spec.options
        self._limits: dict[str, float | None] = {
            "budget_usd": options.budget_usd,
            "budget_tokens": options.budget_tokens,
        }
        self._asking = asyncio.Lock()  # a person is asked once, whichever roles wait for the answer
        self._told: set[Kind] = set()  # of which it was said that they are used up
        self._failure: RunFailed | None = None

    async def allow(self) -> None:
        """Return once another call may be made, and those before it are in the log. Raises `Unanswered`.

        Nothing is awaited between the look at the budgets and the return: another role could use them up meanwhile.
        """
        self._warn_of_no_price()
        async with self._asking:
            if self._failure is not None:
                raise self._failure
            try:
                # Were a call to overtake them, the death of the server would have them paid for again.
                await self._run.channel.sync()
                while (reached := self._reached()) is not None:
                    await self._ask(*reached)
                    await self._run.channel.sync()
            except RunFailed as failure:
                self._failure = failure  # for the other roles, which would ask again before they are cancelled
                raise

    def look(self) -> None:
        """Say so if the call that has just ended has reached a budget."""
        reached = self._reached()
        if reached is not None and reached[0] not in self._told:
            kind, spent, limit = reached
            self._told.add(kind)
            self._run.log(
                "WARNING", f"{_used_up(kind, spent, limit)} A person is asked before the model is called again."
            )

    def _warn_of_no_price(self) -> None:
        budget = self._limits["budget_usd"]
        if budget is not None and self._unpriced is not None:
            self._run.log(
                "WARNING",
                f"No price is known for the model {self._unpriced}: its calls do not count towards the budget of "
                f"{_dollars(budget)}. Give its price with --prices, or set budget_tokens.",
            )
            self._unpriced = None

    def _reached(self) -> tuple[Kind, float, float] | None:
        """A budget that is used up: its kind, what was spent, and the limit."""
        for kind in KINDS:
            spent, limit = kind.spent(self._run.usage), self._limits[kind.option]
            if limit is not None and spent >= limit:
                return kind, spent, limit
        return None

    async def _ask(self, kind: Kind, spent: float, limit: float) -> None:
        # With the limit: the answers of an earlier attempt hold for the question that they were given to, and no other.
        about = f"{kind.option} {limit:.12g}"
        raised = _above(spent, limit)
        used = _used_up(kind, spent, limit)
        ways = (
            f'Answer "{RAISE}" to go on until {kind.shown(raised)} are used, "{STOP}" to end the run, or a number, the '
            f"new budget in {kind.unit}."
        )
        question = f"{used} {ways}"
        while True:
            answer = await self._run.questions.ask(about, question, (RAISE, STOP))
            wanted = raised if answer == RAISE else _number(kind, answer)
            if wanted is not None and spent < wanted <= MOST:
                return self._raise(kind, wanted)
            question = (
                f'"{answer[:100]}" is no possible answer. {used} {ways} A number must be above what is used up, and at '
                f"most {MOST:,}."
            )

    def _raise(self, kind: Kind, to: float) -> None:
        self._limits[kind.option] = to
        self._told.discard(kind)
        self._run.channel.note(BudgetRaised(option=kind.option, to=to))
        self._run.log("INFO", f"The budget was raised to {kind.shown(to)}.")


def _used_up(kind: Kind, spent: float, limit: float) -> str:
    return f"{kind.shown(spent)} of the budget of {kind.shown(limit)} are used up."


def _above(spent: float, limit: float) -> float:
    """The same amount again on top of the limit, as often as it takes to be above what was spent."""
    raised = limit * (math.floor(spent / limit) + 1)
    return float(f"{raised:.12g}")  # 3 x 0.005 is 0.015


def _number(kind: Kind, answer: str) -> float | None:
    found = NUMBER.fullmatch(answer)
    if found is None:
        return None
    number = float(found[1].replace(",", ""))
    return None if kind.whole and not number.is_integer() else number
