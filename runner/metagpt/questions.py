"""Questions to a person. The supervisor shows them, waits, and sends the answer as a command."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from runner.attempt import Answer
from runner.events import EventType
from runner.metagpt.channel import ROLE, Channel


class Questions:
    def __init__(self, channel: Channel, attempt: int) -> None:
        self._channel = channel
        self._attempt = attempt
        self._asked = 0
        self._open: dict[str, asyncio.Future[str]] = {}
        self._turn = asyncio.Lock()  # a person is asked one thing at a time

    async def ask(self, question: str, choices: Sequence[str], deadline: datetime | None = None) -> str:
        """The answer of a person: one of `choices`, or words. Raises `TimeoutError` once `deadline` has passed."""
        async with self._turn:
            return await self._ask(question, choices, deadline)

    async def _ask(self, question: str, choices: Sequence[str], deadline: datetime | None) -> str:
        self._asked += 1
        request_id = f"input-{self._attempt}-{self._asked}"
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._open[request_id] = answer
        self._channel.emit(
            EventType.INPUT_REQUEST,
            {
                "message": question,
                "request_id": request_id,
                "question": question,
                "choices": list(choices),
                "deadline": deadline and deadline.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "role": ROLE.get(),
            },
        )
        left = None if deadline is None else (deadline - datetime.now(UTC)).total_seconds()
        try:
            async with asyncio.timeout(left):
                return await answer
        finally:
            del self._open[request_id]

    def answer(self, command: Answer) -> None:
        """A person's answer has come; one to a question that is no longer open is dropped."""
        asked = self._open.get(command.request_id)
        if asked is not None and not asked.done():
            asked.set_result(command.answer)
