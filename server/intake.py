"""HTTP connections as uvicorn serves them, within limits: how many, how long a request may take to come, how large
its head may be, how long an answer may wait to be read. Without, a client could hold connections and memory for nothing
(slowloris).
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from server.bounds import HEAD_BYTES, STALL_TIMEOUT, UNSENT_BYTES, WRITE_BUFFER
from server.clients import Clients
from server.gate import is_streamed
from server.peers import Peer
from server.problems import MEDIA_TYPE, problem

_LINGER = 1.0  # seconds for a refused client to read why
_LOOKS = 4  # that are taken at a client in the time after which it has stalled


def intake(clients: Clients, *, timeout: float, stall: float = STALL_TIMEOUT) -> Callable[..., asyncio.Protocol]:
    """Makes the protocol of a connection. timeout: seconds in which a request must have come as a whole. stall: those
    in which a client must take something of what waits for it.
    """

    def make(**options: Any) -> asyncio.Protocol:
        return IntakeProtocol(clients, timeout, stall, **options)

    return make


class IntakeProtocol(HttpToolsProtocol):
    def __init__(self, clients: Clients, timeout: float, stall: float, **options: Any) -> None:
        super().__init__(**options)
        self._clients = clients
        self._timeout = timeout
        self._stall = stall
        self._look: asyncio.TimerHandle | None = None
        self._owed: Peer | None = None  # the client, while something waits for it
        self._took_at = 0.0  # when that began, or it last took something of it
        self._timer: asyncio.TimerHandle | None = None
        self._has_come = False  # something of it, since the timer was started
        self._counted: str | None = None  # the address as which the connection is counted
        self._refused = False
        self._in_head = False
        self._head_size = 0  # bytes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        _limit_unsent(transport)
        self._look_later()
        address = self.client[0] if self.client else ""
        if not self._clients.is_proxy(address):
            if not self._clients.connections.enter(address):
                limit = self._clients.connections.limit
                self._refuse(429, "too_many_connections", f"A client has at most {limit} connections.")
                return
            self._counted = address
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_looking()
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._timer is None:
            self._start_timer()
        self._has_come = True
        super().data_received(data)
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > HEAD_BYTES and not self.transport.is_closing():
                self._refuse(431, "head_too_large", f"A request's head has at most {HEAD_BYTES:,} bytes.")

    def handle_websocket_upgrade(self) -> None:
        self._stop_timer()
        self._stop_looking()  # it is pinged instead
        self._leave()  # it is counted on as a WebSocket
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_size = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # otherwise it is a trailer, for which nobody asks
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        before = self.cycle
        super().on_headers_complete()
        # What says "100 Continue" first, or has no body, has no second write that would take the first one along.
        if self.cycle is not before and self.scope["method"] != "HEAD" and not self.expect_100_continue:
            self.cycle.transport = cast(asyncio.Transport, _Head(self.transport))

    def on_message_complete(self) -> None:
        self._stop_timer()
        super().on_message_complete()

    def _look_later(self) -> None:
        self._look = self.loop.call_later(self._stall / _LOOKS, self._look_at_client)

    def _stop_looking(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_at_client(self) -> None:
        """Let a client go that takes nothing of what waits for it, also when the connection is to be closed then."""
        now = self.loop.time()
        if not self.transport.get_write_buffer_size():
            self._owed = None
        elif self._owed is None:
            self._owed, self._took_at = Peer(self.transport), now
        elif self._owed.has_taken():
            self._took_at = now
        elif now - self._took_at >= self._stall:
            self.transport.abort()
            return
        self._look_later()

    def _start_timer(self) -> None:
        self._has_come = False
        self._timer = self.loop.call_later(self._timeout, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        is_asking = self.cycle is not None and not self.cycle.response_started
        is_uploading = self._has_come and is_asking and self._is_streamed()  # what was refused may not come for ever
        if self.flow.read_paused or is_uploading:  # it is we who are slow, or there is much
            self._start_timer()
        elif self._in_head or is_asking:
            self._refuse(408, "request_timeout", f"A request must have come as a whole in {self._timeout:g} seconds.")
        else:
            self.transport.close()

    def _is_streamed(self) -> bool:
        """Whether the request that is coming may be of any length."""
        return is_streamed(self.url.partition(b"?")[0].decode("latin-1"))

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Answer, where no application is asked, and close."""
        body = msgspec.json.encode(problem(status, code, detail))
        headers = [
            *self.server_state.default_headers,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[status] + head + b"\r\n" + body)
        self._refused = True
        self._stop_timer()
        # Closed at once, with a request of the client unread, the connection would be reset before it reads the answer.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:  # TLS, which says goodbye, and waits for an answer
            self.transport.close()
        self.loop.call_later(_LINGER, self.transport.abort)

    def _leave(self) -> None:
        if self._counted is not None:
            self._clients.connections.leave(self._counted)
            self._counted = None


def _limit_unsent(transport: asyncio.Transport) -> None:
    """Have the kernel take no more than the peer has room for, and UNSENT_BYTES.

    Linux would take up to 4 MB for each peer that reads nothing, in pages that nobody has used yet: with 100 such peers
    all others wait for 100 ms at a time (measured). What is on its way to a distant peer is not limited.
    """
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with suppress(OSError):  # on macOS, of a peer that has left already
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)


class _Head:
    """Stands in for the transport of an answer, and has its head leave with the beginning of its body: a write of its
    own would cost 5 us, a sixth of a poll (measured).
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: bytes | None = None  # the head; nothing once it has left

    def write(self, data: bytes) -> None:
        if self._held is None:
            self._held = data
            return
        if self._held:
            data, self._held = self._held + data, b""
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        if self._held:  # the body broke before it had begun: whoever has the head knows that
            self._transport.write(self._held)
        self._transport.close()
