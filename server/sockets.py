"""WebSocket sessions: one connection, many subscriptions.

While a subscription is live, the hub writes to the connection by itself. Otherwise the session's sender goes round the
lagging subscriptions and sends each what lies above its cursor, a frame at a time, paced by the connection, until all
stand at the head. A slow reader so holds one frame and its cursors, nothing more. The sender exists only while there
is something to send: an idle connection costs one waiting coroutine.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from runner.base import Runner
from runner.errors import CursorAhead, DatabaseDamaged, RunnerError, TaskNotFound
from server import protocol
from server.asks import Asks
from server.auth import NotAuthenticated, Pass
from server.bounds import REPLIES
from server.clients import Pace
from server.gate import Gate, forbidden
from server.hub import Hub
from server.listing import Reader
from server.problems import code_of
from server.protocol import BadFrame, CloseCode, Frame
from server.stream import EXTENSION, AsgiStream, DirectStream
from server.subscription import Subscription

AUTH_TIMEOUT = 10.0  # seconds that a client has to say who it is
_STATES = 64  # of tasks that changed, sent before other work in the loop gets its turn

_log = logging.getLogger(__name__)


class Session:
    """One WebSocket connection. passed: as whom it comes; None if its first frame is to say so, with a token."""

    __slots__ = (
        "_asks",
        "_closes_after",
        "_closing",
        "_gate",
        "_hub",
        "_lagging",
        "_leaving",
        "_list",
        "_passed",
        "_replies",
        "_room",
        "_runner",
        "_sender",
        "_stream",
        "_subscriptions",
        "_websocket",
        "_without",
    )

    def __init__(self, websocket: WebSocket, gate: Gate, passed: Pass | None, hub: Hub, runner: Runner) -> None:
        direct: DirectStream | None = websocket.scope.get("extensions", {}).get(EXTENSION)
        self._stream: DirectStream | AsgiStream = direct or AsgiStream(websocket)
        self._websocket = websocket
        self._gate = gate
        self._passed = passed
        self._hub = hub
        self._runner = runner
        self._asks: Asks | None = None
        self._subscriptions: dict[str, Subscription] = {}
        self._lagging: dict[Subscription, None] = {}
        self._list: Reader | None = None
        self._replies: deque[Frame] = deque()
        self._room: asyncio.Event | None = None
        self._sender: asyncio.Task[None] | None = None
        self._closes_after: str | None = None
        self._without = CloseCode.NO_SUCH_TASK  # what it ends with when the subscription that it is for is no more
        self._closing = False
        self._leaving: asyncio.Task[None] | None = None

    @property
    def subscriptions(self) -> Collection[Subscription]:
        return self._subscriptions.values()

    async def serve(self) -> None:
        """The entrance `/ws`: the client subscribes to what it likes."""
        await self._websocket.accept()
        if await self._is_authenticated():
            self._reply(protocol.Hello(epoch=self._hub.epoch))
            await self._converse()

    async def serve_task(self, wanted: protocol.Subscribe) -> None:
        """The entrance of one task: subscribed already, and closed after the end of the log."""
        await self._websocket.accept()
        if not await self._is_authenticated():
            return
        try:
            position = await self._hub.position(wanted.task_id)
        except RunnerError as error:
            await self._refuse(error, wanted.task_id)
            return
        hello = protocol.Hello(epoch=self._hub.epoch, head=position.head)
        if wanted.since_event_id > position.head:  # maybe of another epoch, so that is told, too
            await self._stream.send(protocol.encode(hello))
            await self._refuse(CursorAhead(wanted.since_event_id, position.head), wanted.task_id)
            return
        self._closes_after = wanted.task_id
        self._reply(hello)
        self._subscribe(wanted)
        await self._converse()

    def tend(self) -> None:
        """Close, if who came in may not stay: the token has expired or was revoked, or they have logged out."""
        if not self._closing and self._passed is not None and not self._gate.auth.holds(self._passed):
            self._leaving = asyncio.create_task(self._expel())

    def wake(self, subscription: Subscription | None = None) -> None:
        """There is something to send. subscription: one that is lagging."""
        if subscription is not None:
            self._lagging[subscription] = None
        if self._sender is None and not self._closing:
            self._sender = asyncio.create_task(self._send_pending())

    async def _is_authenticated(self) -> bool:
        """Whether it is known as whom this connection comes; waits for the frame that says so, or closes."""
        if self._passed is not None:
            return True
        reason = f"the first frame must be auth, within {AUTH_TIMEOUT:.0f} seconds"
        with suppress(TimeoutError, BadFrame, NotAuthenticated):
            async with asyncio.timeout(AUTH_TIMEOUT):
                message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return False
            frame = protocol.decode(message.get("text") or "")
            if isinstance(frame, protocol.Auth):
                reason = "this token lets nobody in"
                self._passed = self._gate.auth.admit(frame.token)
                return True
        await self._websocket.close(CloseCode.NOT_AUTHENTICATED, reason)
        return False

    async def _refuse(self, error: RunnerError, task_id: str) -> None:
        _, code = code_of(error)
        await self._stream.send(protocol.encode(protocol.Error(code=code, message=str(error), task_id=task_id)))
        await self._websocket.close(_closing(error), code)

    async def _converse(self) -> None:
        if isinstance(self._stream, DirectStream):
            self._stream.on_hold = self._hold
        self._hub.audience.connections.add(self)
        try:
            await self._receive()
        finally:
            self._closing = True
            self._hub.audience.connections.discard(self)
            if self._list is not None:
                self._hub.listing.leave(self._list)
            for subscription in self._subscriptions.values():
                subscription.close()
            self._dismiss_sender()

    def _hold(self) -> None:
        """The connection is slow, or closes: nobody writes to it but the sender, which waits for it."""
        live = [subscription for subscription in self._subscriptions.values() if subscription.live]
        for subscription in live:
            subscription.leave()
            self.wake(subscription)
        if live and self._stream.slow:
            self._hub.audience.slow_consumers += 1

    async def _receive(self) -> None:
        pace, clock = Pace(self._gate.limits.request_rate), asyncio.get_running_loop().time
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if (wait := pace.wait(clock())) and not self._stream.gone:
                await asyncio.sleep(wait)  # what comes too fast waits in the connection
            text = message.get("text")
            if text is None:
                await self._close(CloseCode.BAD_FRAME, "frames are text")
                return
            if len(text.encode()) > self._gate.limits.frame_limit:
                limit = self._gate.limits.frame_limit
                await self._close(CloseCode.FRAME_TOO_LARGE, f"a frame has at most {limit} bytes")
                return
            try:
                self._handle(protocol.decode(text))
            except BadFrame as error:
                self._reply(protocol.Error(code="bad_frame", message=str(error)))
                if error.fatal:
                    await self._close(CloseCode.BAD_FRAME, "not JSON")
                    return
            except NotAuthenticated:
                await self._close(CloseCode.NOT_AUTHENTICATED, "this token lets nobody in")
                return
            if len(self._replies) > REPLIES and self._sender is not None:  # without it, nobody would make room
                self._room = asyncio.Event()
                await self._room.wait()

    async def _expel(self) -> None:
        self._replies.clear()
        with suppress(WebSocketDisconnect):  # the receiving side hears of it too, and cleans up
            await self._close(CloseCode.NOT_AUTHENTICATED, "the token holds no more")

    async def _close(self, code: CloseCode, reason: str) -> None:
        self._closing = True
        self._dismiss_sender()
        self._leave_all()
        while self._replies:
            await self._stream.send(self._replies.popleft())
        await self._websocket.close(code, reason)

    def _dismiss_sender(self) -> None:
        if self._sender is not None:
            self._sender.cancel()
            self._sent()  # one that has not begun yet would not say so itself

    def _sent(self) -> None:
        """There is no sender any more: whoever waits for it to make room goes on."""
        self._sender = None
        if self._room is not None:
            self._room.set()

    def _leave_all(self) -> None:
        for subscription in self._subscriptions.values():
            subscription.leave()

    def _handle(self, frame: protocol.ClientFrame) -> None:
        match frame:
            case protocol.Subscribe():
                self._subscribe(frame)
            case protocol.Unsubscribe():
                self._unsubscribe(frame.task_id)
            case protocol.SubscribeTasks():
                self._subscribe_tasks()
            case protocol.Input() | protocol.Message():
                self._ask(frame)
            case protocol.Ping():
                self._reply(protocol.Pong())
            case protocol.Auth():
                self._passed = self._gate.auth.admit(frame.token)

    def _subscribe(self, wanted: protocol.Subscribe) -> None:
        self._unsubscribe(wanted.task_id)
        limit = self._gate.limits.subscription_limit
        if len(self._subscriptions) >= limit:
            message = f"A connection has at most {limit:,} subscriptions."
            self._reply(protocol.Error(code="too_many_subscriptions", message=message, task_id=wanted.task_id))
            return
        subscription = self._subscriptions[wanted.task_id] = Subscription(
            self._hub, wanted, outlet=self._stream.outlet, wake=self.wake
        )
        self.wake(subscription)

    def _unsubscribe(self, task_id: str) -> None:
        if known := self._subscriptions.pop(task_id, None):
            known.close()
            self._lagging.pop(known, None)

    def _ask(self, ask: protocol.Ask) -> None:
        if self._passed is None or not self._passed.may_act:
            refusal = forbidden()
            self._reply(protocol.Error(code=refusal.code, message=refusal.detail, task_id=ask.task_id))
            return
        if self._asks is None:  # most connections only watch
            self._asks = Asks(self._runner, self._reply)
        self._asks.put(ask)

    def _subscribe_tasks(self) -> None:
        if self._list is None:
            self._list = self._hub.listing.follow(self.wake)

    def _reply(self, frame: protocol.ServerFrame) -> None:
        if self._closing:  # nobody would send it, and whoever waits for room would wait for ever
            return
        self._replies.append(protocol.encode(frame))
        self.wake()

    async def _send_pending(self) -> None:
        """Send until nothing is left to be sent."""
        try:
            while self._replies or self._lagging or self._list_is_behind():
                await self._send_round()
                if (code := self._farewell()) is not None:
                    self._leave_all()
                    await self._websocket.close(code)
                    return
        except WebSocketDisconnect:
            return  # the receiving side hears of it too, and cleans up
        except Exception as error:  # whoever subscribed must not wait for what will not come
            traceback = None if isinstance(error, DatabaseDamaged) else error
            _log.error("a connection is closed because its events cannot be read", exc_info=traceback)
            self._leave_all()
            await self._websocket.close(CloseCode.TRY_AGAIN_LATER, "the events cannot be read now")
        finally:
            self._sent()

    async def _send_round(self) -> None:
        """Send what is ready, of each lagging subscription one page, and of the tasks that changed a number."""
        while self._replies:
            await self._stream.send(self._replies.popleft())
        if self._room is not None:
            self._room.set()
        if self._list is not None:
            await self._send_changes(self._list)
        for subscription in tuple(self._lagging):
            await self._stream.drained()  # a page is not held for a connection that takes no more
            if subscription in self._lagging:
                await self._send_page(subscription)

    async def _send_changes(self, reader: Reader) -> None:
        for change in self._hub.listing.pending(reader, _STATES):
            await self._stream.drained()  # a state is not held for a connection that takes no more
            if frame := await self._hub.listing.read(reader, change):
                await self._stream.send(frame)
        if self._list_is_behind():  # of a long queue, all may have changed; others get their turn
            await asyncio.sleep(0)

    def _list_is_behind(self) -> bool:
        return self._list is not None and self._hub.listing.is_behind(self._list)

    async def _send_page(self, subscription: Subscription) -> None:
        del self._lagging[subscription]  # a doorbell from now on puts it back
        try:
            frames = await subscription.advance()
        except RunnerError as error:
            self._give_up(subscription, error)
            return
        for frame in frames or ():
            if not self._has(subscription):
                return
            await self._stream.send(frame)
        await self._stream.drained()
        # Nothing is awaited from here on, so what stands at the head now is live before the next commit.
        if self._has(subscription) and (frames is not None or not self._settle(subscription)):
            self._lagging[subscription] = None

    def _has(self, subscription: Subscription) -> bool:
        """Whether the client still wants it, and has not put another in its place."""
        return self._subscriptions.get(subscription.task_id) is subscription

    def _settle(self, subscription: Subscription) -> bool:
        """Let a subscription that has nothing to send be live; where the stream cannot, its doorbell will do."""
        if not isinstance(self._stream, DirectStream):
            return True
        if not subscription.join():
            return False
        self._lagging.pop(subscription, None)  # a doorbell that rang meanwhile was for what it has read
        return True

    def _give_up(self, subscription: Subscription, error: RunnerError) -> None:
        if not self._has(subscription):
            return
        self._unsubscribe(subscription.task_id)
        _, code = code_of(error)
        self._reply(protocol.Error(code=code, message=str(error), task_id=subscription.task_id))
        if isinstance(error, DatabaseDamaged):
            self._without = _closing(error)

    def _farewell(self) -> CloseCode | None:
        """The code to close with, once the one task that this connection is for has ended, or is no more."""
        if self._closes_after is None or self._replies:
            return None
        subscription = self._subscriptions.get(self._closes_after)
        if subscription is None:
            return self._without
        return CloseCode.NORMAL if subscription.done else None


def _closing(error: RunnerError) -> CloseCode:
    """The code to close with if nothing can come of what was wanted."""
    if isinstance(error, TaskNotFound):
        return CloseCode.NO_SUCH_TASK
    return CloseCode.TRY_AGAIN_LATER if isinstance(error, DatabaseDamaged) else CloseCode.BAD_FRAME


async def reject(websocket: WebSocket, closing: CloseCode, code: str, message: str) -> None:
    """Accept only to say what is wrong, which a refused handshake could not."""
    await websocket.accept()
    error = protocol.encode(protocol.Error(code=code, message=message))
    await websocket.send({"type": "websocket.send", "text": error.payload.decode()})
    await websocket.close(closing, message[:100])
