"""What all servers under test in Python have in common: how they are told to produce, and how they pace themselves.

Commands, a line each on stdin; each is answered with one JSON object (fanout_limit.c knows the first two as well):

    new PROGRESS_FILE CONNECTIONS   begin a log that so many connections are going to subscribe to
    publish MODE SIZE SECONDS RATE WINDOW
                                    produce events of SIZE bytes for SECONDS, and say up to which id
    sample begin | sample end       measure the longest time between two turns of the event loop

Modes: `single`, one event, the next one when the loop has nothing left to do for it; `tick`, one event in every turn of
the loop; `burst` and `bursts`, the same with 64 events at once; `paced`, RATE events a second.

The client counts what it has received in PROGRESS_FILE, which it maps: unless it is paced, a producer stays at most
WINDOW events ahead, so that no figure is that of a buffer which is only being filled.
"""

import asyncio
import json
import mmap
import sys
import threading
import time
from pathlib import Path
from typing import Any, Protocol

BURST = 64  # events
PACE_STEP = 0.001  # seconds; uvloop's timers know no less
QUIET_TURN = 100e-6  # seconds that a turn of an idle loop stays below
QUIET_TURNS = 3
FIXED = '{"timestamp":"2026-01-01T00:00:00.000000Z","agent_role":"Engineer","event_type":"TOKEN","payload":{"t":%d,'


class Server(Protocol):
    """A server under test, as the producer sees it."""

    async def new(self) -> str:
        """Begin a log; its task id."""

    async def send(self, first_id: int, count: int, size: int) -> None:
        """Take `count` events into the log and give them to all subscribers; need not wait until they have them."""

    async def settle(self) -> None:
        """Wait until what was taken is on its way to every subscriber."""

    async def command(self, words: list[str]) -> dict[str, Any]:
        """Obey a command that only this server knows."""


def tail(event_id: int, size: int, task_id: str) -> bytes:
    """An event's JSON without its id and task, so that the whole encoded event has exactly `size` bytes."""
    start = FIXED % time.monotonic_ns()
    room = size - len(f'{{"event_id":{event_id},"task_id":"{task_id}",') - (len(start) - 1) - len('"message":""}}')
    return f'{start}"message":"{"x" * room}"}}}}'.encode()


def event(event_id: int, size: int, task_id: str) -> bytes:
    """A whole encoded event of exactly `size` bytes."""
    return b'{"event_id":%d,"task_id":"%b",%b' % (event_id, task_id.encode(), tail(event_id, size, task_id)[1:])


async def idle_loop() -> None:
    """Wait until the event loop has nothing to do."""
    quiet = 0
    while quiet < QUIET_TURNS:
        begun = time.perf_counter()
        await asyncio.sleep(0)
        quiet = quiet + 1 if time.perf_counter() - begun < QUIET_TURN else 0


class Producer:
    """Obeys the commands for one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._progress = memoryview(bytes(8)).cast("Q")
        self._published = 0
        self._connections = 0
        self._sampler: asyncio.Task[None] | None = None
        self._longest = 0.0
        self._longest_cpu = 0.0

    def start(self, port: int) -> "asyncio.Task[None]":
        """Say where the server is, and obey from now on. The end of stdin ends the process."""
        _say({"port": port})
        return asyncio.create_task(self._obey(), name="producer")

    async def _obey(self) -> None:
        lines: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def read() -> None:
            # A thread: what is under test must not share its selector with us.
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, "")

        threading.Thread(target=read, daemon=True).start()
        while words := (await lines.get()).split():
            try:
                _say(await self._command(words))
            except Exception as error:
                _say({"error": repr(error)})
                raise

    async def _command(self, words: list[str]) -> dict[str, Any]:
        match words:
            case ["new", progress, connections]:
                self._progress = _mapped(Path(progress))
                self._published = 0
                self._connections = int(connections)
                return {"task_id": await self._server.new()}
            case ["publish", mode, size, seconds, rate, window]:
                return await self._publish(mode, int(size), float(seconds), float(rate), int(window))
            case ["sample", "begin"]:
                self._longest = self._longest_cpu = 0.0
                self._sampler = asyncio.create_task(self._sample())
                return {}
            case ["sample", "end"]:
                assert self._sampler is not None
                self._sampler.cancel()
                return {"longest_ms": self._longest * 1000, "longest_cpu_ms": self._longest_cpu * 1000}
        return await self._server.command(words)

    async def _publish(self, mode: str, size: int, seconds: float, rate: float, window: int) -> dict[str, Any]:
        before, begin = self._published, time.monotonic_ns()
        end = begin + int(seconds * 1e9)
        if mode == "paced":
            await self._pace(size, begin, end, rate)
        else:
            await self._press(mode, size, end, window)
        return {"begin_ns": begin, "published": self._published - before, "last_id": self._published}

    async def _pace(self, size: int, begin: int, end: int, rate: float) -> None:
        before = self._published
        while (now := time.monotonic_ns()) < end:
            due = int((now - begin) / 1e9 * rate) - (self._published - before)
            if due:
                await self._send(due, size)
            await asyncio.sleep(PACE_STEP)

    async def _press(self, mode: str, size: int, end: int, window: int) -> None:
        batch = BURST if mode.startswith("burst") else 1
        while time.monotonic_ns() < end:
            while (self._published - window) * self._connections > self._progress[0]:  # noqa: ASYNC110, a mapped file
                await asyncio.sleep(0.0002)
            await self._send(batch, size)
            await (asyncio.sleep(0) if mode in ("tick", "bursts") else self._server.settle())

    async def _send(self, count: int, size: int) -> None:
        first = self._published + 1
        self._published += count
        await self._server.send(first, count, size)

    async def _sample(self) -> None:
        last, last_cpu = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now, cpu = time.perf_counter(), time.thread_time()
            self._longest = max(self._longest, now - last)
            self._longest_cpu = max(self._longest_cpu, cpu - last_cpu)
            last, last_cpu = now, cpu


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ)).cast("Q")


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
