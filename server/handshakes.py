"""TLS connections until their handshake is done, within limits: how many a client has, and how long one may take.

uvicorn hears of a connection only after that. They are counted apart from the connections, so that a client that has
too many of those can still be told so.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from server.clients import Clients

_PAUSE = 0.1  # seconds before the next, when none can be accepted

_log = logging.getLogger(__name__)


class Handshakes:
    """Accepts the connections of a listening socket. timeout: seconds that a handshake may take."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext, clients: Clients, *, timeout: float) -> None:
        self._listener = listener
        self._context = context
        self._clients = clients
        self._timeout = timeout
        self._under_way: set[asyncio.Task[None]] = set()

    async def accept(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Accept until cancelled; what is under way then is given up. make: the protocol of a connection."""
        self._listener.setblocking(False)
        try:
            while True:
                await self._accept(make)
        finally:
            self._listener.close()
            for task in self._under_way:
                task.cancel()

    async def _accept(self, make: Callable[[], asyncio.Protocol]) -> None:
        try:
            connection, (address, *_) = await asyncio.get_running_loop().sock_accept(self._listener)
        except OSError as error:  # too many open files
            _log.error("no connection can be accepted: %s", error)
            await asyncio.sleep(_PAUSE)
            return
        counted = not self._clients.is_proxy(address)
        if counted and not self._clients.handshakes.enter(address):
            connection.close()  # without TLS nothing can be said
            return
        task = asyncio.create_task(self._shake_hands(connection, make))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        if counted:
            task.add_done_callback(lambda _: self._clients.handshakes.leave(address))

    async def _shake_hands(self, connection: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                make, connection, ssl=self._context, ssl_handshake_timeout=self._timeout
            )
        except OSError as error:
            _log.info("a TLS handshake came to nothing: %s", error)
