"""Running the application under uvicorn: the listening socket, the signals, the order of the end."""

import asyncio
import ipaddress
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from server.garbage import Garbage
from server.gate import Gate
from server.handshakes import Handshakes
from server.headers import SECURITY_HEADERS
from server.intake import intake
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


def tls(network: Network) -> ssl.SSLContext | None:
    """What TLS connections are made with; None without TLS. Raises `TlsUnusable`."""
    if network.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        # With a password at hand OpenSSL does not stop to ask for one.
        context.load_cert_chain(network.tls_cert, network.tls_key, password="")
    except OSError as error:
        message = f"The files for TLS cannot be used, {network.tls_cert} and {network.tls_key}: {error}."
        raise TlsUnusable(message) from error
    return context


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
        handshakes: Handshakes | None,
        *,
        on_started: Callable[[], None],
        on_second: Callable[[], None],
        on_stopping: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._handshakes = handshakes
        self._accepting: asyncio.Task[None] | None = None
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
        if self._handshakes is not None:
            self._accepting = asyncio.create_task(self._handshakes.accept(self._protocol), name="handshakes")
        self._garbage.start()
        self._on_started()

    async def on_tick(self, counter: int) -> bool:
        self._garbage.tend(len(self.server_state.connections))
        if counter % _TICKS == 0:
            self._on_second()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        if self._accepting is not None:
            self._accepting.cancel()
            with suppress(asyncio.CancelledError):
                await self._accepting
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        """Of a connection whose handshake uvicorn has no part in; as uvicorn makes it for the others."""
        state = self.server_state
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=state, app_state=self.lifespan.state
        )


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    gate: Gate,
    *,
    context: ssl.SSLContext | None,
    proxies: Collection[str],
    on_started: Callable[[], None],
    on_second: Callable[[], None],
    on_stopping: Callable[[], None],
) -> None:
    """Serve until SIGINT or SIGTERM; the second one does not wait for open requests.

    context: for TLS. proxies: those whose word is taken for who a client is. on_second: called once a
    second. on_stopping: called before open requests are waited for.
    """
    timeout = gate.limits.request_timeout
    config = uvicorn.Config(
        app,
        lifespan="off",
        http=intake(gate.clients, timeout=timeout),  # type: ignore[arg-type]
        ws=StreamProtocol,
        ws_max_size=4
        * gate.limits.frame_limit,  # above our own limit, so that the close code is ours unless it is far above
        ws_per_message_deflate=False,
        log_config=None,  # it goes where everything goes
        log_level="warning",
        access_log=False,
        server_header=False,
        headers=list(SECURITY_HEADERS),
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_graceful_shutdown=_GRACE,
    )
    _allow_many_connections()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    handshakes = None if context is None else Handshakes(listener, context, gate.clients, timeout=timeout)
    server = _Server(config, handshakes, on_started=on_started, on_second=on_second, on_stopping=on_stopping)
    await server.serve(sockets=[listener] if handshakes is None else [])
