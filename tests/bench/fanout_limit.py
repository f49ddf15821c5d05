"""The double of fanout_limit.c for machines without a C compiler or epoll: raw sockets from Python, nothing else."""

import json
import mmap
import selectors
import socket
import sys
import time
from pathlib import Path

from tests.bench.commands import StdinCommands
from tests.bench.producing import BURST, PACE_STEP, event

TASK_ID = "0123456789abcdef"
ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: not-looked-at\r\n\r\n"
)


class Limit:
    def __init__(self, listener: socket.socket) -> None:
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._listener = listener
        self._greeted: dict[socket.socket, int] = {}
        self._progress = memoryview(bytes(8)).cast("Q")
        self._published = 0

    def serve(self) -> None:
        commands = StdinCommands(self._command)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is sys.stdin:
                    commands.read()
                elif key.fileobj is self._listener:
                    sock, _ = self._listener.accept()
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._greeted[sock] = 0
                    self._selector.register(sock, selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket):
                    self._answer(key.fileobj)

    def _answer(self, sock: socket.socket) -> None:
        """A request or a subscription comes in one piece on loopback: what arrives is not even looked at."""
        if not sock.recv(8192):
            self._selector.unregister(sock)
            del self._greeted[sock]
            sock.close()
            return
        self._greeted[sock] += 1
        sock.sendall(ACCEPTED if self._greeted[sock] == 1 else _frame(b'{"op":"caught_up"}'))

    def _command(self, words: list[str]) -> None:
        match words:
            case ["new", progress, _]:
                with Path(progress).open("rb") as file:
                    self._progress = memoryview(mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ)).cast("Q")
                self._published = 0
                _say({"task_id": TASK_ID})
            case ["publish", mode, size, seconds, rate, window]:
                self._publish(mode, int(size), float(seconds), float(rate), int(window))

    def _publish(self, mode: str, size: int, seconds: float, rate: float, window: int) -> None:
        before, begin = self._published, time.monotonic_ns()
        batch = BURST if mode.startswith("burst") else 1
        while (now := time.monotonic_ns()) < begin + seconds * 1e9:
            if mode == "paced":
                self._send(int((now - begin) / 1e9 * rate) - (self._published - before), size)
                time.sleep(PACE_STEP)
                continue
            while (self._published - window) * len(self._greeted) > self._progress[0]:
                time.sleep(0.0001)
            self._send(batch, size)
        _say({"begin_ns": begin, "published": self._published - before, "last_id": self._published})

    def _send(self, count: int, size: int) -> None:
        if not count:
            return
        first = self._published + 1
        self._published += count
        events = b",".join(event(event_id, size, TASK_ID) for event_id in range(first, self._published + 1))
        frame = _frame(
            b'{"op":"events","task_id":"%b","events":[%b],"head":%d}' % (TASK_ID.encode(), events, self._published)
        )
        for sock in self._greeted:
            sock.sendall(frame)


def _frame(payload: bytes) -> bytes:
    if len(payload) < 126:
        return bytes([0x81, len(payload)]) + payload
    if len(payload) < 1 << 16:
        return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload
    return b"\x81\x7f" + len(payload).to_bytes(8, "big") + payload


def _say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        _say({"port": listening.getsockname()[1]})
        Limit(listening).serve()
