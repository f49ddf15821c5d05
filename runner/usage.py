"""What the calls of a model have used, in total and by role: the same sum in the child and in the task."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T", bound="Tally")


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What some calls used. cost_usd counts only calls whose model has a price; unpriced_calls: the others."""

    llm_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    unpriced_calls: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Usage(Tally, frozen=True, kw_only=True):
    """What the calls of all attempts used. by_role: the share of each role, by its class name."""

    by_role: dict[str, Tally] = {}


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has raised budgets to, in place of the options of the same names; null where they hold."""

    budget_usd: float | None = None
    budget_tokens: int | None = None


def add(usage: Usage, agent_role: str | None, call: Mapping[str, Any]) -> Usage:
    """The usage after a call, as the payload of its LLM_CALL tells it. What the call does not say counts as nothing."""
    usage = _added(usage, call)
    if agent_role is None:
        return usage
    share = _added(usage.by_role.get(agent_role, Tally()), call)
    return msgspec.structs.replace(usage, by_role=usage.by_role | {agent_role: share})


def _added(tally: _T, call: Mapping[str, Any]) -> _T:
    cost = call.get("cost_usd")
    return msgspec.structs.replace(
        tally,
        llm_calls=tally.llm_calls + 1,
        prompt_tokens=tally.prompt_tokens + int(call.get("prompt_tokens") or 0),
        completion_tokens=tally.completion_tokens + int(call.get("completion_tokens") or 0),
        cost_usd=round(tally.cost_usd + float(cost or 0.0), 9),
        unpriced_calls=tally.unpriced_calls + (cost is None),
    )
