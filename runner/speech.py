"""What a person says to a team: how the log tells it, and how it is read there again.

It is in the log before the team hears of it, so that a process that is lost takes nothing of it with it. Secrets in it
are not: the team hears them, a later attempt does not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.attempt import ROLES, Say
from runner.events import short

PERSON = "Human"  # the sender of a person's messages, as MetaGPT calls it
PERSON_SAYS = "HumanMessage"  # the `cause_by` of them
EVERYONE = "<all>"

# What the roles are called in a sentence.
NAMES = {
    "ProductManager": "product manager",
    "Architect": "architect",
    "ProjectManager": "project manager",
    "Engineer": "engineer",
    "QaEngineer": "QA engineer",
}

STOP = "stop"  # the choice that ends a run

_SHOWN = 300  # characters of a message


def plain(answer: str, choices: Sequence[str]) -> str:
    """The choice that is meant, however it was typed; else the words, without space around them."""
    words = answer.strip()
    return words.lower() if words.lower() in choices else words


def told(say: Say) -> dict[str, Any]:
    """The payload of the MESSAGE event."""
    send_to = [say.send_to or EVERYONE]
    return {
        "message": in_words(send_to, say.content),
        "id": say.id,
        "content": say.content,
        "cause_by": PERSON_SAYS,
        "sent_from": PERSON,
        "send_to": send_to,
    }


def said(payload: Mapping[str, Any]) -> Say:
    """What was said, from the payload of the MESSAGE event."""
    send_to = next((role for role in ROLES if role in payload.get("send_to", ())), None)
    return Say(id=payload.get("id", ""), content=payload.get("content", ""), send_to=send_to)


def unanswered(question: str, limit: float) -> str:
    """Why a run ends whose question has found no answer. limit: seconds that there were for it."""
    return f"Nobody answered within {_span(limit)} (answer_timeout_s). The question was: {question}"


def in_words(send_to: Sequence[str], content: str) -> str:
    """A person's message as the log shows it."""
    whom = "everyone" if EVERYONE in send_to else " and ".join(f"the {NAMES.get(name, name)}" for name in send_to)
    return f"A person tells {whom}: {short(content, _SHOWN)}"


def _span(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
