"""The double of fanout_client.c for machines without a C compiler or epoll: the same arguments, commands and answers.

It is some ten times slower, so it is more often the bottleneck; the results say where.
"""

import json
import mmap
import os
import re
import selectors
import socket
import sys
import time
from pathlib import Path

from tests.bench.commands import StdinCommands

OPENING = 64  # handshakes under way at the same time
READ_SIZE = 1 << 20
EVENT = re.compile(rb'\{"event_id":(\d+)')
TIME = re.compile(rb'"t":(\d+)')
CAUGHT_UP = b'{"op":"caught_up"'


class Connection:
    def __init__(self, sock: socket.socket, start: int) -> None:
        self.sock = sock
        self.last = start
        self.stalled = False
        self.state = "handshake"
        self.data = bytearray()


class Client:
    def __init__(self, port: int, path: str, total: int, subscribe: str, start: int, buffer: int) -> None:
        self._address = ("127.0.0.1", port)
        self._path, self._total, self._subscribe, self._start, self._buffer = path, total, subscribe, start, buffer
        self._selector = selectors.DefaultSelector()
        self._connections: list[Connection] = []
        self._ready = self._closed = 0
        self._until: int | None = None
        self._connect_ns = time.monotonic_ns()
        self.received = 0
        self._begin(0)

    def run(self, progress: memoryview) -> None:
        commands = StdinCommands(self._command)
        self._selector.register(sys.stdin, selectors.EVENT_READ, None)
        told = False
        while True:
            while len(self._connections) < self._total and self._opening() < OPENING:
                self._open()
            for key, _ in self._selector.select():
                if key.data is None:
                    commands.read()
                else:
                    self._read(key.data)
            progress[0] = self.received
            if not told and self._ready == self._total:
                told = True
                _say({"ready": self._ready, "opening_s": (time.monotonic_ns() - self._connect_ns) / 1e9})
            if self._until is not None and not self._behind():
                self._until = None
                self._report()

    def _opening(self) -> int:
        return len(self._connections) - self._ready - self._closed

    def _open(self) -> None:
        sock = socket.socket()
        if self._buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
        sock.connect(self._address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1:{self._address[1]}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        sock.setblocking(False)
        self._connections.append(Connection(sock, self._start))
        self._selector.register(sock, selectors.EVENT_READ, self._connections[-1])

    def _command(self, words: list[str]) -> None:
        match words:
            case ["begin", sample]:
                self._begin(int(sample))
                _say({})
            case ["until", event_id]:
                self._until = int(event_id)
            case ["now"]:
                self._report()
            case ["stall", count]:
                for connection in self._connections[: int(count)]:
                    connection.stalled = True
                    self._selector.unregister(connection.sock)
            case ["unstall"]:
                for connection in self._connections:
                    if connection.stalled:
                        connection.stalled = False
                        self._selector.register(connection.sock, selectors.EVENT_READ, connection)

    def _begin(self, sample: int) -> None:
        self._sample = sample
        self._samples: list[float] = []
        self._events = self._frames = self._bytes = self._gaps = self._duplicates = self._first = self._last = 0
        self._begun = time.monotonic_ns()
        self._cpu = time.process_time()

    def _behind(self) -> int:
        return sum(not c.stalled and c.last < (self._until or 0) for c in self._connections)

    def _report(self) -> None:
        samples = sorted(self._samples) or [-1.0]

        def quantile(q: float) -> float:
            return samples[int(q * (len(samples) - 1))]

        _say(
            {
                "connections": self._ready,
                "closed": self._closed,
                "behind": self._behind(),
                "events": self._events,
                "frames": self._frames,
                "bytes": self._bytes,
                "gaps": self._gaps,
                "duplicates": self._duplicates,
                "first_ns": self._first,
                "last_ns": self._last,
                "connect_ns": self._connect_ns,
                "wall_s": (time.monotonic_ns() - self._begun) / 1e9,
                "cpu_s": time.process_time() - self._cpu,
                "samples": len(self._samples),
                "p50_ms": quantile(0.5),
                "p99_ms": quantile(0.99),
                "max_ms": quantile(1),
            }
        )

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._close(connection)
            return
        self._bytes += len(data)
        connection.data += data
        if connection.state == "handshake":
            head, found, rest = connection.data.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                sys.exit(f"refused: {head.decode()}")
            connection.state, connection.data = "subscribed", rest
            _send(connection.sock, 1, self._subscribe.encode())
        self._take_frames(connection)

    def _close(self, connection: Connection) -> None:
        self._selector.unregister(connection.sock)
        connection.sock.close()
        self._ready -= connection.state == "ready"
        self._closed += 1

    def _take_frames(self, connection: Connection) -> None:
        data, at = bytes(connection.data), 0
        while len(data) - at >= 2:
            length, head = data[at + 1] & 127, 2
            if length >= 126:
                head = 4 if length == 126 else 10
                length = int.from_bytes(data[at + 2 : at + head], "big") if len(data) >= at + head else 1 << 62
            if len(data) < at + head + length:
                break
            payload = data[at + head : at + head + length]
            at += head + length
            match data[at - head - length] & 15:
                case 8:
                    self._close(connection)
                    return
                case 9:
                    _send(connection.sock, 10, payload)
                case 0 | 1 | 2:
                    self._frames += 1
                    self._take_text(connection, payload)
        del connection.data[:at]

    def _take_text(self, connection: Connection, payload: bytes) -> None:
        if connection.state == "subscribed" and payload.startswith(CAUGHT_UP):
            connection.state = "ready"
            self._ready += 1
            return
        now = time.monotonic_ns()
        for found in EVENT.finditer(payload):
            event_id = int(found[1])
            self._events += 1
            self.received += 1
            self._gaps += max(0, event_id - connection.last - 1)
            self._duplicates += event_id <= connection.last
            connection.last = max(connection.last, event_id)
            self._first = self._first or now
            self._last = now
            if self._sample and event_id % self._sample == 0 and (emitted := TIME.search(payload, found.end())):
                self._samples.append((now - int(emitted[1])) / 1e6)


def _send(sock: socket.socket, opcode: int, payload: bytes) -> None:
    """A frame with a mask of zeroes."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    sock.sendall(bytes([0x80 | opcode]) + length + bytes(4) + payload)


def _say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)


def main() -> None:
    port, path, total, subscribe, start, progress, buffer = sys.argv[1:]
    file = os.open(Path(progress), os.O_RDWR)
    mapped = memoryview(mmap.mmap(file, 4096)).cast("Q")
    Client(int(port), path, int(total), subscribe, int(start), int(buffer)).run(mapped)


if __name__ == "__main__":
    main()
