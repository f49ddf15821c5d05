"""Events that are too large for the log.

The payload of such an event becomes a file of the task, and an ARTIFACT tells of it. The event itself carries an
excerpt, in which `whole` names the file. People are shown the excerpt, and a link; who needs all of a payload, such as
a later attempt, takes it from the file.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from typing import Any

import msgspec

from runner.blobs import Blobs
from runner.events import Draft, Event, EventType, short
from runner.files import Artifact
from runner.hearing import Heard, Line, decode_payload

FOLDER = ".payloads/"  # before the paths of payloads; nothing that a team writes is there

# Characters of each text, and members of each list: tried until the event is small enough.
_CUTS = ((20_000, 1000), (2000, 100), (300, 10), (100, 3))


class Excerpts:
    """blobs: where payloads are kept. limit: bytes of an event, as its process tells of it. keeping: threads to keep
    them in; None for the loop's own.
    """

    def __init__(self, blobs: Blobs, limit: int, keeping: Executor | None = None) -> None:
        self._blobs = blobs
        self._limit = limit
        self._keeping = keeping

    async def of(self, events: list[Heard]) -> list[Heard]:
        """The events as they go into the log; each with its payload as it was.

        Raises `FileNotKept`, and `msgspec.ValidationError` for an event that has no excerpt within the limit.
        """
        if all(len(line) <= self._limit for line, _ in events):
            return events
        loop = asyncio.get_running_loop()
        told: list[Heard] = []
        for line, event in events:
            if len(line) <= self._limit:
                told.append((line, event))
            else:
                told += await loop.run_in_executor(self._keeping, self._cut, event)
        return told

    def _cut(self, event: Line) -> list[Heard]:
        """The ARTIFACT that tells of the whole payload, which is kept then, and the event with an excerpt of it."""
        content = bytes(event.payload)
        digest = sha256(content).hexdigest()
        artifact = Artifact(path=f"{FOLDER}{digest}.json", version=1, size=len(content), sha256=digest)
        excerpt = self._excerpt(event, artifact)
        self._blobs.keep_content(artifact, content)
        return [_told(event, artifact), (excerpt, event)]

    def _excerpt(self, event: Line, artifact: Artifact) -> bytes:
        payload = decode_payload(event.payload)
        for characters, members in _CUTS:
            cut = {name: _shortened(value, characters, members) for name, value in payload.items()}
            line = _line(event, event.event_type, cut | {"whole": msgspec.to_builtins(artifact)})
            if len(line) <= self._limit:
                return line
        raise msgspec.ValidationError(
            f"The process sent an event of {artifact.size:,} bytes, which is not one of long texts and lists; "
            f"an event has at most {self._limit:,}."
        )


async def whole(event: Event, blobs: Blobs) -> Event:
    """The event with its whole payload; with the excerpt of it if the file is not kept any more."""
    if event.payload.get("whole") is None:
        return event
    artifact = msgspec.convert(event.payload["whole"], Artifact)
    with suppress(FileNotFoundError):
        content = await asyncio.to_thread(blobs.path(artifact.sha256).read_bytes)
        return msgspec.structs.replace(event, payload=decode_payload(content))
    return event


def _told(event: Line, artifact: Artifact) -> Heard:
    message = f"What {event.event_type} tells is too large for the log: {artifact.size:,} bytes, kept as a file."
    payload = {"message": message, **msgspec.to_builtins(artifact), "action": None}
    line = _line(event, EventType.ARTIFACT, payload)
    return line, Line(event.timestamp, event.agent_role, EventType.ARTIFACT, msgspec.Raw(msgspec.json.encode(payload)))


def _line(event: Line, event_type: EventType, payload: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(
        Draft(timestamp=event.timestamp, agent_role=event.agent_role, event_type=event_type, payload=payload)
    )


def _shortened(value: Any, characters: int, members: int) -> Any:
    if isinstance(value, str):
        return short(value, characters)
    if isinstance(value, Mapping):
        return {name: _shortened(item, characters, members) for name, item in islice(value.items(), members)}
    if isinstance(value, list):
        return [_shortened(item, characters, members) for item in value[:members]]
    return value
