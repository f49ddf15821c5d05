"""Writing to WebSocket connections at the speed of the socket.

ASGI sends one message at a time, through a coroutine, and frames it anew for every connection. `StreamProtocol` is
uvicorn's own WebSocket protocol that also lends the application its connection, through the ASGI scope's `extensions`:
the hub then writes the same framed bytes to every one. Handshake, ping and close stay uvicorn's. Under another server
the extension is missing, and everything goes through ASGI, slower, with the same meaning.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NoReturn, Protocol, cast

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame as ReceivedFrame
from websockets.http11 import Request, Response

from server.bounds import FRAME_BYTES, TLS_FRAME_BYTES, WRITE_BUFFER
from server.feed import Outlet
from server.peers import Peer
from server.protocol import CloseCode, Frame

EXTENSION = "metagpt_live.stream"


class Stream(Protocol):
    """Where a session's frames go."""

    @property
    def outlet(self) -> Outlet:
        """Where frames of events go. Only that of a `DirectStream` can be written to."""

    @property
    def slow(self) -> bool:
        """Whether the connection takes no more for now."""

    @property
    def gone(self) -> bool:
        """Whether the connection is closed, or about to be."""

    async def send(self, frame: Frame) -> None:
        """Send a frame; waits while the connection is slow. Raises `WebSocketDisconnect` when it is gone."""

    async def drained(self) -> None:
        """Wait until the connection takes more. Raises `WebSocketDisconnect` when it is gone."""


def _send_with(headers: Iterable[tuple[bytes, bytes]], send: Callable[[Response], None], response: Response) -> None:
    for name, value in headers:
        response.headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    send(response)


class StreamProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, which lends the application a `DirectStream`."""

    stream: "DirectStream | None" = None
    _pinged: Peer
    """The peer, as it was when it was pinged last."""

    def handle_connect(self, event: Request) -> None:
        # Refusals are made in several places, without the headers of every answer; all leave by this one.
        send = partial(_send_with, self.default_headers, self.conn.send_response)
        self.conn.send_response = send  # type: ignore[method-assign]
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.stream = DirectStream(self)
            # The application starts in the next turn of the loop, and finds it in its scope.
            scope = cast(dict[str, Any], self.scope)
            scope["extensions"][EXTENSION] = self.stream

    def start_keepalive(self) -> None:
        super().start_keepalive()
        # The handshake is over, and a connection may be idle for long: do not keep what only the handshake needed.
        del self.request, self.response, self.conn.send_response
        self.scope["headers"] = []

    def pause_writing(self) -> None:
        super().pause_writing()
        self._hold()

    def handle_close(self, event: ReceivedFrame) -> None:
        super().handle_close(event)
        self._let_go()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.close":
            self._let_go()

    def eof_received(self) -> None:
        self._let_go()

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._let_go()

    def handle_ping(self) -> None:
        # A peer that sends pings and reads nothing is owed no more of them than one: RFC 6455, section 5.5.3.
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def shutdown(self) -> None:
        if self.transport.is_closing():
            self.transport.abort()
        else:
            super().shutdown()
        self._hold()

    def connection_lost(self, exc: Exception | None) -> None:
        # In any case: the descriptor of the socket is another connection's soon.
        try:
            super().connection_lost(exc)
        finally:
            self._hold()

    def send_keepalive_ping(self) -> None:
        super().send_keepalive_ping()
        if self.pong_timer is not None:
            self._pinged = Peer(self.transport)

    def keepalive_timeout(self) -> None:
        """As uvicorn's, with the close code that is ours, and with patience: megabytes can lie before the ping."""
        self.pong_timer = None
        if self.close_sent or self.transport.is_closing():
            return
        if self._pinged.has_taken():
            assert self.ping_timeout is not None
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
            return
        self.pending_ping_payload = None
        self.conn.fail(CloseCode.TIMED_OUT, "no answer to a ping")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
        self._let_go()

    def _let_go(self) -> None:
        """The connection ends: soon, since a peer that does not read would keep the transport flushing for ever."""
        self._hold()
        self.loop.call_later(self.close_timeout, self._abort_unless_taken, Peer(self.transport))

    def _abort_unless_taken(self, leaving: Peer) -> None:
        if self.disconnected:
            return
        if leaving.has_taken():
            self.loop.call_later(self.close_timeout, self._abort_unless_taken, leaving)
        else:
            self.transport.abort()

    def _hold(self) -> None:
        if self.stream is not None:
            self.stream.on_hold()


class DirectStream:
    """A `Stream` over the transport itself, or over its socket where nothing is encrypted.

    There the transport counts as slow as soon as it holds a single byte. So what is written to the socket, while it is
    not, comes behind all that the transport was given.
    """

    __slots__ = ("_protocol", "on_hold", "outlet")

    def __init__(self, protocol: StreamProtocol) -> None:
        transport = protocol.transport
        encrypted = transport.get_extra_info("sslcontext") is not None
        high = WRITE_BUFFER if encrypted else 0
        transport.set_write_buffer_limits(high=high)
        if transport.get_write_buffer_size() > high:  # of which the protocol that was here before was told
            protocol.writable.clear()
        self._protocol = protocol
        self.outlet = _through(transport) if encrypted else _beside(transport)
        """Not to be written to between `on_hold` and the end of the next `drained`."""
        self.on_hold: Callable[[], None] = _ignore
        """Called when the connection gets slow, or closes."""

    @property
    def slow(self) -> bool:
        return not self._protocol.writable.is_set()

    @property
    def gone(self) -> bool:
        return self._protocol.close_sent or self._protocol.transport.is_closing()

    async def send(self, frame: Frame) -> None:
        await self.drained()
        self._protocol.transport.write(frame.wire)

    async def drained(self) -> None:
        while self.slow:  # it may be so again before it is this one's turn
            await self._protocol.writable.wait()
        if self.gone:
            raise WebSocketDisconnect


class AsgiStream:
    """A `Stream` for any ASGI server."""

    slow = False  # ASGI's `send` waits by itself

    def __init__(self, websocket: WebSocket) -> None:
        self.outlet = Outlet(_refuse, None, _refuse, FRAME_BYTES)
        self._websocket = websocket

    @property
    def gone(self) -> bool:
        return self._websocket.application_state is not WebSocketState.CONNECTED

    async def send(self, frame: Frame) -> None:
        if self.gone:
            raise WebSocketDisconnect  # it was closed by us
        await self._websocket.send({"type": "websocket.send", "text": frame.payload.decode()})

    async def drained(self) -> None:
        return  # ASGI's `send` waits by itself


def _beside(transport: asyncio.Transport) -> Outlet:
    """The socket of a transport: the transport is asked only when that does not take everything."""
    return Outlet(os.write, transport.get_extra_info("socket").fileno(), transport.write, FRAME_BYTES)


def _through(transport: asyncio.Transport) -> Outlet:
    return Outlet(_write_through, transport, transport.write, TLS_FRAME_BYTES)


def _write_through(transport: asyncio.Transport, data: bytes) -> int:
    transport.write(data)
    return len(data)


def _refuse(*_: object) -> NoReturn:
    raise RuntimeError("Only a direct stream has live subscriptions.")


def _ignore() -> None:
    pass
