"""Running the application under uvicorn: the listening socket, the signals, the order of the end."""

import asyncio
import ipaddress
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from server.garbage import Garbage
from server.headers import SECURITY_HEADERS
from server.protocol import FRAME_LIMIT
from server.settings import Network
from server.stream import StreamProtocol

_DESCRIPTORS = 65_536
# The store's thread may hold the interpreter for this long while the loop waits: at Python's own 5 ms, the loop's
# longest stall is half as long again.
_SWITCH_INTERVAL = 0.0005  # seconds
_TICKS = 10  # of uvicorn in a second
_GRACE = 2  # seconds that open requests have to end
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class AddressTaken(Exception):
    """Nothing can listen at this address; `str()` says why and what to do."""


class TlsUnusable(Exception):
    """The files for TLS cannot be used; `str()` says why."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 for a free one. Raises `AddressTaken`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        advice = "Stop what uses it, or choose another port with --port (0 for any free one)."
        raise AddressTaken(f"Cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}. {advice}") from error


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def url(listener: socket.socket, *, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _allow_many_connections() -> None:
    """Use as many file descriptors as we may: what is set at first is often 1024, or even 256."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, _DESCRIPTORS)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class _Server(uvicorn.Server):
    """uvicorn's server with its signals left to us: it would end the process before the runs are stopped."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_started: Callable[[], None],
        on_second: Callable[[], None],
        on_stopping: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._garbage = Garbage()
        self._on_started = on_started
        self._on_second = on_second
        self._on_stopping = on_stopping

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._garbage.start()
        self._on_started()

    async def on_tick(self, counter: int) -> bool:
        self._garbage.tend(len(self.server_state.connections))
        if counter % _TICKS == 0:
            self._on_second()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        await super().shutdown(sockets)


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    network: Network,
    *,
    on_started: Callable[[], None],
    on_second: Callable[[], None],
    on_stopping: Callable[[], None],
) -> None:
    """Serve until SIGINT or SIGTERM; the second one does not wait for open requests. Raises `TlsUnusable`.

    on_second: called once a second. on_stopping: called before open requests are waited for.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        http="httptools",
        ws=StreamProtocol,
        ws_max_size=4 * FRAME_LIMIT,  # above our own limit, so that the close code is ours unless it is far above
        ws_per_message_deflate=False,
        log_config=None,  # it goes where everything goes
        log_level="warning",
        access_log=False,
        server_header=False,
        headers=list(SECURITY_HEADERS),
        proxy_headers=bool(network.forwarded_allow),
        forwarded_allow_ips=list(network.forwarded_allow),
        ssl_certfile=network.tls_cert,
        ssl_keyfile=network.tls_key,
        timeout_graceful_shutdown=_GRACE,
    )
    try:
        config.load()
    except (ssl.SSLError, OSError) as error:
        message = f"The files for TLS cannot be used, {network.tls_cert} and {network.tls_key}: {error}."
        raise TlsUnusable(message) from error
    _allow_many_connections()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    server = _Server(config, on_started=on_started, on_second=on_second, on_stopping=on_stopping)
    await server.serve(sockets=[listener])
