"""What people say over a WebSocket: answers and messages, carried out one after another, each with a reply."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from runner.base import Runner
from runner.errors import RunnerError
from server import protocol
from server.bounds import ASKS
from server.problems import code_of

_log = logging.getLogger(__name__)


class Asks:
    """The asks of one connection, in the order in which they came. reply: takes what is to be sent.

    What was asked is carried out, also when the connection ends meanwhile.
    """

    def __init__(self, runner: Runner, reply: Callable[[protocol.ServerFrame], None]) -> None:
        self._runner = runner
        self._reply = reply
        self._waiting: deque[protocol.Ask] = deque()
        self._worker: asyncio.Task[None] | None = None

    def put(self, ask: protocol.Ask) -> None:
        if len(self._waiting) >= ASKS:
            message = f"{ASKS} answers and messages of this connection wait already; send this one again later."
            self._reply(protocol.Error(code="too_many_requests", message=message, task_id=ask.task_id))
            return
        self._waiting.append(ask)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._waiting:
            self._reply(await self._outcome(self._waiting.popleft()))
        self._worker = None

    async def _outcome(self, ask: protocol.Ask) -> protocol.ServerFrame:
        try:
            return await self._carry_out(ask)
        except RunnerError as error:
            _, code = code_of(error)
            return protocol.Error(code=code, message=str(error), task_id=ask.task_id)
        except Exception:  # whoever asked must not wait for a reply that will not come
            _log.exception("a %s of a WebSocket client failed", type(ask).__name__)
            message = "Something went wrong in the server; its log says what."
            return protocol.Error(code="internal_error", message=message, task_id=ask.task_id)

    async def _carry_out(self, ask: protocol.Ask) -> protocol.Accepted:
        match ask:
            case protocol.Input():
                await self._runner.answer(ask.task_id, ask.request_id, ask.answer)
                return protocol.Accepted(task_id=ask.task_id, request_id=ask.request_id)
            case protocol.Message():
                await self._runner.say(ask.task_id, ask.content, ask.send_to)
                return protocol.Accepted(task_id=ask.task_id)
