"""Subscribers: many connections of one client process to one server, and what they have received."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tests.bench.processes import Program, native, python
from tests.bench.producing import BURST

ROUND_LIMIT = 60.0  # seconds, beside its own, until all of a round must have arrived
WINDOW_EVENTS = 2048  # of one connection
WINDOW_BYTES = 64 * 1024 * 1024  # of all connections
CLIENT_BOUND = 0.9  # of a core: above it a figure says more about the client than about the server


class Received(msgspec.Struct, frozen=True):
    """What a client counted since the beginning of a round. Times are of CLOCK_MONOTONIC, in ns."""

    connections: int
    closed: int
    behind: int
    events: int
    frames: int
    bytes: int
    gaps: int
    duplicates: int
    first_ns: int
    last_ns: int
    connect_ns: int
    wall_s: float
    cpu_s: float
    samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float

    @property
    def exact(self) -> bool:
        """Whether every connection holds the log without a gap, in order, nothing twice."""
        return not (self.gaps or self.duplicates or self.behind or self.closed)


class Round(msgspec.Struct, frozen=True):
    """One round of producing. cpu_us: the server's CPU for one delivery. client_cpu: the client's share of a core."""

    received: Received
    published: int
    last_id: int
    deliveries_per_s: float
    cpu_us: float
    client_cpu: float
    exact: bool

    @property
    def events_per_frame(self) -> float:
        return self.received.events / max(1, self.received.frames)


class Subscribers:
    """Connections to `server`, all subscribed to one log. Use it as a context manager."""

    def __init__(
        self, server: Program, connections: int, *, task_id: str | None = None, start: int = 0, receive_buffer: int = 0
    ) -> None:
        self.server = server
        self.connections = connections
        with ExitStack() as stack:
            self._progress = Path(stack.enter_context(tempfile.NamedTemporaryFile(prefix="metagpt-live-bench-")).name)
            self._progress.write_bytes(bytes(4096))
            if task_id is None:
                task_id = str(server.ask("new", self._progress, connections)["task_id"])
            self.task_id = task_id
            subscribe = json.dumps({"op": "subscribe", "task_id": task_id, "since_event_id": start})
            self.client = native(
                "fanout_client", server.port, "/ws", connections, subscribe, start, self._progress, receive_buffer
            )
            stack.push(self.client)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, at)

    def round(self, mode: str, *, size: int, seconds: float, rate: float = 0, sample: int = 0) -> Round:
        """Have the server produce, and wait until every connection that reads has received everything."""
        self.client.ask("begin", sample)
        cpu = self.server.cpu()
        made = self.server.ask("publish", mode, size, seconds, rate, self._window(size))
        received = self.until(made["last_id"])
        cpu = self.server.cpu() - cpu
        wall = (received.last_ns - made["begin_ns"]) / 1e9
        return Round(
            received=received,
            published=made["published"],
            last_id=made["last_id"],
            deliveries_per_s=received.events / wall,
            cpu_us=cpu / max(1, received.events) * 1e6,
            client_cpu=received.cpu_s / received.wall_s,
            exact=received.exact,
        )

    def _window(self, size: int) -> int:
        """Events that a producer may be ahead: enough to keep it busy, little enough not to fill the memory."""
        return max(2 * BURST, min(WINDOW_EVENTS, WINDOW_BYTES // (self.connections * size)))

    def until(self, event_id: int, *, limit: float = ROUND_LIMIT) -> Received:
        """Wait until every connection that reads has received this event."""
        return msgspec.convert(self.client.ask("until", event_id, limit=limit), Received)


@contextmanager
def production(folder: Path, *arguments: str) -> Iterator[Program]:
    """Our server, with a producer in place of the runs. arguments: further ones of producer_server.py."""
    folder.mkdir(parents=True, exist_ok=True)
    with python("producer_server", folder, *arguments) as program:
        yield program
