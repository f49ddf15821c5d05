"""A child process that does nothing but emit, through the channel that a team's hooks use.

python -m tests.bench.emitting_child FD COUNT RATE SIZE
"""

import asyncio
import socket
import sys
import time

from runner.events import EventType
from runner.metagpt.channel import Channel
from runner.redact import Redactor

PAYLOAD_OVERHEAD = 200  # bytes of an event beside its message, about


async def main(fd: int, count: int, rate: float, size: int) -> None:
    with socket.socket(fileno=fd) as sock:
        channel = Channel(sock, Redactor.of_config(None), on_word=lambda _: None, on_gone=lambda: None)
        text = "x" * (size - PAYLOAD_OVERHEAD)
        begun = time.monotonic()
        for n in range(count):
            await asyncio.sleep(max(0.0, begun + n / rate - time.monotonic()))
            channel.emit(EventType.LOG, {"t": time.monotonic_ns(), "message": text})
        channel.flush(5.0)
        channel.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
