"""The checker's rules about money: no budget is exceeded, and nothing is paid for twice."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tests.chaos.database import Event, Json, Row

PAID = ("prompt_tokens", "completion_tokens", "cost_usd")  # of a call of the model
MOMENT = timedelta(milliseconds=20)  # from when the duration of a call is taken to when its event is stamped


def is_paid(event: Event) -> bool:
    return event.type == "LLM_CALL" and not event.payload.get("replayed")


def over_budget(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """Once a budget is reached, no call of the model begins before a person has raised it.

    The call that has reached it may have taken more than was left, and so may one that went on beside it.
    """
    if row.first > 1:
        return
    for option, figures in (("budget_usd", ("cost_usd",)), ("budget_tokens", ("prompt_tokens", "completion_tokens"))):
        yield from (f"{option}: {what}" for what in _over(option, figures, row.options.get(option), log))


def _over(option: str, figures: Sequence[str], limit: float | None, log: Sequence[Event]) -> Iterator[str]:
    spent = 0.0
    reached: datetime | None = None
    kinds: dict[str, str] = {}  # of questions, by their id
    for event in log:
        if event.type == "INPUT_REQUEST":
            kinds[str(event.payload.get("request_id"))] = str(event.payload.get("kind"))
        elif event.type == "INPUT_RESPONSE" and limit is not None:
            kind = kinds.get(str(event.payload.get("request_id")), "")
            if kind.partition(" ")[0] == option:
                limit = _raised(limit, spent, str(event.payload.get("answer")))
                reached = reached if spent >= limit else None
        elif is_paid(event):
            ended = datetime.fromisoformat(event.fields["timestamp"])
            begun = ended - timedelta(milliseconds=event.payload.get("duration_ms") or 0)
            if reached is not None and begun - MOMENT >= reached:
                yield f"{spent:g} of {limit:g} were used when the call of event {event.id} began"
            spent += sum(event.payload.get(figure) or 0 for figure in figures)
            if limit is not None and spent >= limit and reached is None:
                reached = ended


def _raised(limit: float, spent: float, answer: str) -> float:
    """The budget after an answer: that much again, as often as it takes, or the number that was given."""
    if answer.strip().casefold() == "raise":
        return limit * (spent // limit + 1)
    return max(limit, float(answer)) if answer.isdigit() else limit


def paid_twice(row: Row, log: Sequence[Event]) -> Iterator[str]:
    """What earlier attempts have paid for is told again before the same is asked anew.

    What may be why a turn or an attempt has failed by itself may be asked once more; and all, by who begins anew.
    """
    if row.first > 1:
        return
    paid: Counter[str] = Counter()  # in earlier attempts
    paid_now: Counter[str] = Counter()
    told: Counter[str] = Counter()  # in this attempt
    for event in log:
        payload = event.payload
        if event.type == "STATUS" and payload.get("status") == "QUEUED":
            paid += paid_now
            paid_now, told = Counter(), Counter()
        if _forgets(event):
            paid.clear()
            paid_now.clear()
        elif event.type == "LLM_CALL":
            call = _call(event)
            if payload.get("replayed"):
                told[call] += 1
            elif payload.get("error") is None:
                if told[call] < paid[call]:
                    yield f"the call of event {event.id} was paid for in an earlier attempt"
                paid_now[call] += 1


def _forgets(event: Event) -> bool:
    payload: Json = event.payload
    match event.type:
        case "STATUS":
            return payload.get("from") == "start"
        case "AGENT_COMPLETE":
            return bool(payload.get("failed"))
        case "ERROR":
            return bool(payload.get("fatal"))
    return False


def _call(event: Event) -> str:
    """What was asked of which model."""
    return f"{event.payload.get('model')} {event.payload.get('prompt_sha256')}"
