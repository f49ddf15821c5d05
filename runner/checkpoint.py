"""What a task's log knows of its earlier attempts, so that the next one need not pay for it again.

An attempt that continues lets the team work from the beginning, in an empty workspace, but what the log holds is not
asked for again: answers of the model, what tests printed, answers and messages of persons. A team's work follows from
these, so in a moment it stands where the last attempt stood. A prompt that has become another is simply a new call.

What may be why an attempt has failed does not count, or the same failure would follow for ever. That is what an action
was answered that failed after its last call had succeeded, or that ended well right before its turn failed; and, where
nothing of that kind is found and an attempt has failed without asking for anything new, the newest that it was told.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from runner.attempt import Checkpoint, OpenQuestion, Say, answered_key, model_key, output_key
from runner.base import Filter, Store
from runner.blobs import Blobs
from runner.events import EventType
from runner.excerpts import whole
from runner.reading import decoded, pages
from runner.speech import PERSON_SAYS, said
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
            EventType.ERROR,
        }
    )
)
_UNANSWERED = "Unanswered"  # the error of a run that a person has ended by no word: what was replayed is not why


async def read_checkpoint(store: Store, blobs: Blobs, task_id: str, *, asked: str | None) -> Checkpoint:
    """All that the log of a task holds for its next attempt; nothing if a part of the log is gone.

    asked: the id of the question that was open when the attempt began; it is open no more if the log has its answer.
    """
    reader = _Reader()
    async for page in pages(store, task_id, _READ):
        if page.gap is not None:
            return Checkpoint()
        for excerpt in decoded(page):
            event = await whole(excerpt, blobs)
            reader.take(event.event_type, event.agent_role or "", event.payload)
    return reader.checkpoint(asked)


class _Finding:
    """What something was answered. Each is itself: the same may be found twice."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: str) -> None:
        self.key = key
        self.value = value


class _Work:
    """What a role has found out, or was told again.

    running: in the action that has not ended. last: in the one that has ended last, which a turn that fails takes back.
    answered: whether the last thing that the running action has asked the model was answered.
    """

    def __init__(self) -> None:
        self.running: list[_Finding] = []
        self.last: list[_Finding] = []
        self.answered = False


class _Reader:
    """Takes the events of a log in order; what an event of an older version does not say is not made much of."""

    def __init__(self) -> None:
        self._begin()

    def checkpoint(self, asked: str | None) -> Checkpoint:
        self._end_attempt()
        recorded = {key: [finding.value for finding in found] for key, found in self._recorded.items() if found}
        return Checkpoint(recorded=recorded, said=self._said, question=self._open.get(asked or ""))

    def take(self, event_type: EventType, role: str, payload: dict[str, Any]) -> None:
        work = self._works.setdefault(role, _Work())
        match event_type:
            case EventType.STATUS if payload.get("status") == Status.QUEUED:
                self._end_attempt()
                if payload.get("from") == "start":
                    self._begin()
            case EventType.TOKEN:
                self._texts[payload.get("call", "")] = self._texts.get(payload.get("call", ""), "") + payload.get(
                    "delta", ""
                )
            case EventType.LLM_CALL:
                self._take_call(work, payload)
            case EventType.ACTION_START:
                work.running, work.answered = [], False
            case EventType.ACTION_COMPLETE:
                self._take_action(work, role, payload)
            case EventType.AGENT_COMPLETE:
                (self._drop if payload.get("failed") else self._keep)(work.last)
                work.last = []
            case EventType.MESSAGE if payload.get("cause_by") == PERSON_SAYS:
                self._said.append(said(payload))
            case EventType.INPUT_REQUEST:
                self._take_question(work, role, payload)
            case EventType.INPUT_RESPONSE if payload.get("request_id") in self._open:
                asked = self._open.pop(payload.get("request_id", ""))
                self._keep([_Finding(answered_key(asked.role, asked.kind), payload.get("answer", ""))])
            case EventType.ERROR if payload.get("fatal") and payload.get("error_type") != _UNANSWERED:
                self._failed = True

    def _begin(self) -> None:
        self._recorded: dict[str, list[_Finding]] = {}
        self._said: list[Say] = []
        self._open: dict[str, OpenQuestion] = {}  # without an answer, by request
        self._begin_attempt()

    def _begin_attempt(self) -> None:
        self._works: dict[str, _Work] = {}
        self._texts: dict[str, str] = {}  # of the model's calls, by call
        self._told: dict[str, Iterator[_Finding]] = {}  # what the attempt may still be told again, by key
        self._newest: _Finding | None = None  # of what it was told again
        self._asked_anew = False
        self._dropped = False
        self._failed = False  # by its own fault

    def _end_attempt(self) -> None:
        for work in self._works.values():
            self._keep([*work.last, *work.running])
        if self._failed and self._newest is not None and not (self._asked_anew or self._dropped):
            self._drop([self._newest])
        self._begin_attempt()

    def _take_call(self, work: _Work, payload: dict[str, Any]) -> None:
        text = self._texts.pop(payload.get("call", ""), "")
        key = model_key(
            payload.get("model", ""), demo=payload.get("demo", False), prompt_sha256=payload.get("prompt_sha256", "")
        )
        work.answered = payload.get("error") is None
        if payload.get("replayed"):
            told = next(self._told.setdefault(key, iter(list(self._recorded.get(key, [])))), None)
            if told is not None:
                self._newest = told
                work.running.append(told)
            return
        self._asked_anew = True
        answer = text[: payload.get("answer_chars", 0)]  # MetaGPT ends a stream with a newline that is not the answer's
        is_whole = sha256(answer.encode()).hexdigest() == payload.get("answer_sha256")  # else a secret was taken out
        if work.answered and is_whole:
            work.running.append(_Finding(key, answer))

    def _take_action(self, work: _Work, role: str, payload: dict[str, Any]) -> None:
        self._keep(work.last)
        found = work.running
        output = payload.get("output")
        if output is not None:
            self._asked_anew = True
            found = [_Finding(output_key(role, payload.get("file", "")), output), *found]
        work.running = []
        work.last = found
        if payload.get("failed") and not work.answered:  # not its answers are why
            self._keep(found)
            work.last = []

    def _take_question(self, work: _Work, role: str, payload: dict[str, Any]) -> None:
        asked = OpenQuestion(
            request_id=payload.get("request_id", ""),
            role=role,
            kind=payload.get("kind", ""),
            deadline=payload.get("deadline"),
        )
        self._open[asked.request_id] = asked
        self._asked_anew = True
        self._keep([*work.last, *work.running])  # with all that the team has come to ask
        work.last, work.answered = [], False

    def _keep(self, found: Iterable[_Finding]) -> None:
        for finding in found:
            known = self._recorded.setdefault(finding.key, [])
            if finding not in known:
                known.append(finding)

    def _drop(self, found: Iterable[_Finding]) -> None:
        for finding in found:
            if finding in (known := self._recorded.get(finding.key, [])):
                known.remove(finding)
                self._dropped = True
