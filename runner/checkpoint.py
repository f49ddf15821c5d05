"""What a task's log knows of its earlier attempts, so that the next one need not pay for it again.

An attempt that continues lets the team work from the beginning, in an empty workspace, but what the log holds is not
asked for again: answers of the model, what tests printed, answers and messages of persons. A team's work follows from
these, so in a moment it stands where the last attempt stood. A prompt that has become another is simply a new call.

An answer counts once the action that asked for it has ended well. What that action gave does not count if the turn
failed right after it: or the same failure would follow for ever.
"""

from typing import Any, get_args

import msgspec

from runner.attempt import PERSON_SAYS, Checkpoint, OpenQuestion, Role, Say, answered_key, model_key, output_key
from runner.base import Filter, Store
from runner.events import Event, EventType
from runner.states import Status

_READ = Filter(
    frozenset(
        {
            EventType.STATUS,
            EventType.AGENT_COMPLETE,
            EventType.ACTION_START,
            EventType.ACTION_COMPLETE,
            EventType.TOKEN,
            EventType.LLM_CALL,
            EventType.MESSAGE,
            EventType.INPUT_REQUEST,
            EventType.INPUT_RESPONSE,
        }
    )
)
_PAGE = 1000  # events
_PAGE_BYTES = 4 * 1024 * 1024

_Found = tuple[str, str]  # a key, and a value for its list


async def read_checkpoint(store: Store, task_id: str, *, asked: str | None) -> Checkpoint:
    """All that the log of a task holds for its next attempt; nothing if a part of the log is gone.

    asked: the id of the question that was open when the attempt began; it is open no more if the log has its answer.
    """
    reader = _Reader()
    cursor, head = 0, 1
    while cursor < head:
        page = await store.read_events(task_id, after=cursor, limit=_PAGE, size=_PAGE_BYTES, filter=_READ)
        if page.gap is not None:
            return Checkpoint()
        cursor, head = page.cursor, page.head
        for encoded in page.events:
            event = msgspec.json.decode(encoded, type=Event)
            reader.take(event.event_type, event.agent_role or "", event.payload)
    return reader.checkpoint(asked)


class _Work:
    """What a role has found out.

    running: in the action that has not ended. last: in the one that has ended last, which a turn that fails takes back.
    """

    def __init__(self) -> None:
        self.running: list[_Found] = []
        self.last: list[_Found] = []


class _Reader:
    """Takes the events of a log in order."""

    def __init__(self) -> None:
        self._begin()

    def checkpoint(self, asked: str | None) -> Checkpoint:
        self._end_attempt()
        return Checkpoint(recorded=self._recorded, said=self._said, question=self._open.get(asked or ""))

    def take(self, event_type: EventType, role: str, payload: dict[str, Any]) -> None:
        work = self._works.setdefault(role, _Work())
        match event_type:
            case EventType.STATUS if payload["status"] == Status.QUEUED:
                self._end_attempt()
                if payload.get("from") == "start":
                    self._begin()
            case EventType.TOKEN:
                self._texts[payload["call"]] = self._texts.get(payload["call"], "") + payload["delta"]
            case EventType.LLM_CALL:
                self._take_call(work, payload)
            case EventType.ACTION_START:
                work.running = []
            case EventType.ACTION_COMPLETE:
                self._take_action(work, role, payload)
            case EventType.AGENT_COMPLETE:
                if not payload["failed"]:
                    self._keep(work.last)
                work.last = []
            case EventType.MESSAGE if payload["cause_by"] == PERSON_SAYS and not payload.get("replayed"):
                self._said.append(Say(content=payload["content"], send_to=_addressee(payload["send_to"])))
            case EventType.INPUT_REQUEST:
                asked = OpenQuestion(request_id=payload["request_id"], role=role, kind=payload["kind"])
                self._open[asked.request_id] = asked
            case EventType.INPUT_RESPONSE if payload["request_id"] in self._open:
                asked = self._open.pop(payload["request_id"])
                self._keep([*work.last, (answered_key(asked.role, asked.kind), payload["answer"])])
                work.last = []

    def _begin(self) -> None:
        self._recorded: dict[str, list[str]] = {}
        self._said: list[Say] = []
        self._works: dict[str, _Work] = {}
        self._texts: dict[str, str] = {}  # of the model's calls, by call
        self._open: dict[str, OpenQuestion] = {}  # without an answer, by request

    def _end_attempt(self) -> None:
        for work in self._works.values():
            self._keep(work.last)
        self._works = {}
        self._texts = {}

    def _take_call(self, work: _Work, payload: dict[str, Any]) -> None:
        text = self._texts.pop(payload["call"], "")
        length = payload["answer_chars"]
        # MetaGPT ends a stream with a newline that is not the answer's. Any other length: a secret was taken out.
        is_whole = text[length:] in ("", "\n") and len(text) >= length
        if payload["error"] is None and not payload.get("replayed") and is_whole:
            work.running.append((model_key(payload["prompt_sha256"]), text[:length]))

    def _take_action(self, work: _Work, role: str, payload: dict[str, Any]) -> None:
        self._keep(work.last)
        work.last = []
        if not payload["failed"]:
            output = None if payload.get("replayed") else payload.get("output")
            found = [] if output is None else [(output_key(role, payload["file"]), output)]
            work.last = [*found, *work.running]
        work.running = []

    def _keep(self, found: list[_Found]) -> None:
        for key, value in found:
            self._recorded.setdefault(key, []).append(value)


def _addressee(send_to: list[str]) -> Role | None:
    """Whom a message was for; None for all."""
    return next((role for role in get_args(Role) if role in send_to), None)
