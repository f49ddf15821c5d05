"""What a child says, line by line: its events, and the notes that are none."""

from collections.abc import Iterable
from typing import Any

import msgspec

from runner.attempt import Note
from runner.errors import ChildLost
from runner.events import EventType
from runner.files import Artifact
from runner.payloads import PAYLOADS, partial
from runner.task import Question

# Only the supervisor may say these; from a child they would be lies about the task.
_SUPERVISORS_OWN = frozenset({EventType.STATUS, EventType.RESOURCE, EventType.INPUT_RESPONSE})

_NOTE_START = b'{"op":'  # an event starts with its timestamp


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the child: a `Draft` whose payload is decoded only where it matters."""

    timestamp: str
    agent_role: str | None
    event_type: EventType
    payload: msgspec.Raw


class _Made(msgspec.Struct, frozen=True):
    project: str | None = None
    artifacts: list[Artifact] = []


# An excerpt, which names the `whole`, is the supervisor's to make.
class _Artifact(Artifact, frozen=True, kw_only=True):
    message: str = ""
    whole: None = None


class _InputRequest(Question, frozen=True, kw_only=True):
    message: str = ""
    whole: None = None


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    """Of the payload of a RESULT, what leads to files."""

    final_result: _Made
    message: str = ""
    whole: None = None


Heard = tuple[bytes, Line]

# What is there is of the type that its readers rely on; of these three, nothing of it may be missing.
_STRICT = {
    EventType.ARTIFACT: _Artifact,
    EventType.INPUT_REQUEST: _InputRequest,
    EventType.RESULT: _Result,
}
_check_payload = {
    event_type: msgspec.json.Decoder(_STRICT.get(event_type) or partial(kind)).decode
    for event_type, kind in PAYLOADS.items()
}

decode_artifact = msgspec.json.Decoder(Artifact).decode
decode_result = msgspec.json.Decoder(_Result).decode
decode_payload = msgspec.json.Decoder(dict[str, Any]).decode
_decode_note = msgspec.json.Decoder(Note).decode
_decode_line = msgspec.json.Decoder(Line).decode


def is_note(line: bytes) -> bool:
    return line.startswith(_NOTE_START)


def heard_note(line: bytes) -> Note:
    """A line of a child as a note. Raises `ChildLost` for what is none."""
    try:
        note: Note = _decode_note(line)
    except msgspec.MsgspecError as error:
        raise _not_understood(error) from error
    return note


def heard(lines: Iterable[bytes]) -> list[Heard]:
    """The lines of a child as events. Raises `ChildLost` for what is none."""
    try:
        return [(line, _event(line)) for line in lines]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _not_understood(error) from error


def _event(line: bytes) -> Line:
    line.decode()  # what is not UTF-8 would break the commit of other tasks too
    event = _decode_line(line)
    if event.event_type in _SUPERVISORS_OWN:
        raise msgspec.ValidationError(f"It sent an event of type {event.event_type}")
    try:
        _check_payload[event.event_type](event.payload)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"{event.event_type}: {error}") from error
    return event


def _not_understood(error: Exception) -> ChildLost:
    return ChildLost(f"The process of this run wrote what is no event, and was ended: {error}.")
