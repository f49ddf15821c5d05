"""What a run tells its watchers: the event types and the shape of one event.

An event is born in the child process (or in the supervisor) as a `Draft`. The recorder gives it its `event_id` when it
is committed, and from then on it is one line of JSON that never changes.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

CUT = "…"  # at the end of a text that was cut

_decode_raw = msgspec.json.Decoder(list[msgspec.Raw]).decode


class EventType(StrEnum):
    STATUS = "STATUS"
    AGENT_START = "AGENT_START"
    AGENT_COMPLETE = "AGENT_COMPLETE"
    ACTION_START = "ACTION_START"
    ACTION_COMPLETE = "ACTION_COMPLETE"
    MESSAGE = "MESSAGE"
    TOKEN = "TOKEN"
    LLM_CALL = "LLM_CALL"
    ARTIFACT = "ARTIFACT"
    LOG = "LOG"
    RESOURCE = "RESOURCE"
    INPUT_REQUEST = "INPUT_REQUEST"
    INPUT_RESPONSE = "INPUT_RESPONSE"
    ERROR = "ERROR"
    RESULT = "RESULT"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One committed event, as every transport shows it.

    event_id: 1, 2, 3, ... per task, for good. timestamp: RFC 3339 UTC, when it happened (not when it was committed).
    agent_role: the class name of the role it is about, or null. payload: always has a human-readable `message`.
    """

    event_id: int
    task_id: str
    timestamp: str
    agent_role: str | None
    event_type: EventType
    payload: dict[str, Any]


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event without its place in the log. Its JSON is one line of the pipe and, later, the tail of the event's."""

    timestamp: str
    agent_role: str | None
    event_type: EventType
    payload: Mapping[str, Any]


def split(joined: bytes) -> list[bytes]:
    """Encoded events that were joined by commas, each by itself."""
    return [bytes(event) for event in _decode_raw(b"[%b]" % joined)]


def now() -> str:
    """The time in RFC 3339 UTC, to the microsecond."""
    return _rfc3339(datetime.now(UTC))


def ago(*, days: float) -> str:
    """A time before now, in the same form."""
    return _rfc3339(datetime.now(UTC) - timedelta(days=days))


def hence(*, seconds: float) -> str:
    """A time after now, in the same form."""
    return _rfc3339(datetime.now(UTC) + timedelta(seconds=seconds))


def until(time: str) -> float:
    """Seconds from now to a time in this form; below zero when it has passed."""
    return (datetime.fromisoformat(time) - datetime.now(UTC)).total_seconds()


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def draft(event_type: EventType, payload: Mapping[str, Any], *, agent_role: str | None = None) -> Draft:
    """A draft of an event that happens now."""
    return Draft(timestamp=now(), agent_role=agent_role, event_type=event_type, payload=payload)


def short(text: str, limit: int) -> str:
    """`text` cut to `limit` characters, visibly."""
    return text if len(text) <= limit else text[: limit - 1] + CUT
