"""Questions to a person. The supervisor shows them, waits, and sends the answer as a command.

A question that was answered in an earlier attempt is not asked again; one that was still open keeps its request id and
its deadline, and its answer may come before the team has come to ask it again. The answer that ends the run does not
come here: it is a stop, which the supervisor sees to.
"""

import asyncio
from collections.abc import Sequence

from runner.attempt import Answer, OpenQuestion, answered_key
from runner.events import EventType, hence, until
from runner.metagpt.channel import ROLE, Channel
from runner.metagpt.failures import Unanswered
from runner.metagpt.recall import Recall
from runner.speech import STOP, plain


class Questions:
    """reopened: a question of an earlier attempt that has no answer yet. timeout: seconds that a person has to answer
    each; None for no limit.
    """

    def __init__(
        self, channel: Channel, recall: Recall, *, attempt: int, reopened: OpenQuestion | None, timeout: float | None
    ) -> None:
        self._channel = channel
        self._recall = recall
        self._reopened = reopened  # until the team asks it again
        self._early: str | None = None  # the answer to it
        self._attempt = attempt
        self._timeout = timeout
        self._asked = 0
        self._open: dict[str, asyncio.Future[str]] = {}
        self._turn = asyncio.Lock()  # a person is asked one thing at a time

    async def ask(self, kind: str, question: str, choices: Sequence[str]) -> str:
        """The answer of a person: one of `choices`, or words. Raises `Unanswered`.

        kind: what the question is about; the questions of one kind that a role asks have an order.
        """
        async with self._turn:
            recorded = self._recorded(answered_key(_asking(), kind), choices)
            return recorded if recorded is not None else plain(await self._ask(kind, question, choices), choices)

    def _recorded(self, key: str, choices: Sequence[str]) -> str | None:
        """The answer of an earlier attempt, but for those that ended it."""
        while (recorded := self._recall.take(key)) is not None:
            if (answer := plain(recorded, choices)) != STOP:
                return answer
        return None

    async def _ask(self, kind: str, question: str, choices: Sequence[str]) -> str:
        request_id = self._request_id(kind)
        deadline = None if self._timeout is None else hence(seconds=self._timeout)
        if self._reopened is not None and request_id == self._reopened.request_id:
            deadline = self._reopened.deadline
            self._reopened = None
            if self._early is not None:
                return self._early
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._open[request_id] = answer
        self._channel.emit(
            EventType.INPUT_REQUEST,
            {
                "message": question,
                "request_id": request_id,
                "kind": kind,
                "question": question,
                "choices": list(choices),
                "deadline": deadline,
                "role": ROLE.get(),
            },
        )
        try:
            async with asyncio.timeout(None if deadline is None else until(deadline)):
                return await answer
        except TimeoutError:
            raise Unanswered(question, self._timeout or 0.0) from None
        finally:
            del self._open[request_id]

    def answer(self, command: Answer) -> None:
        """A person's answer has come; one to a question that is no longer open is dropped."""
        asked = self._open.get(command.request_id)
        if asked is not None and not asked.done():
            asked.set_result(command.answer)
        elif self._reopened is not None and command.request_id == self._reopened.request_id:
            self._early = command.answer

    def _request_id(self, kind: str) -> str:
        """The id of the question that the role asks now: if it is the one of an earlier attempt, the one of then."""
        if self._reopened is not None and (self._reopened.role, self._reopened.kind) == (_asking(), kind):
            return self._reopened.request_id
        self._asked += 1
        return f"input-{self._attempt}-{self._asked}"


def _asking() -> str:
    return ROLE.get() or ""
