"""Lines of standard input, read beside an event loop."""

import asyncio
import contextlib
import os
import threading
from collections import deque

_READ_SIZE = 4096  # bytes


class Lines:
    """The lines of a file descriptor: of a terminal, a pipe or a file. Nothing is read before somebody wants a line.

    A thread does the reading: to be waited for by the event loop, a terminal would have to be made non-blocking, for
    its output and for the shell too.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: deque[str] = deque()
        self._rest = b""
        self._ended = False
        self._reading: asyncio.Future[bytes] | None = None

    async def next(self) -> str | None:
        """The next line, without its end; None when there are no more. A line is not lost when this is cancelled."""
        while not self._lines and not self._ended:
            if self._reading is None:
                self._reading = self._begin_read()
            self._take(await asyncio.shield(self._reading))
            self._reading = None
        return self._lines.popleft() if self._lines else None

    def _begin_read(self) -> asyncio.Future[bytes]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bytes] = loop.create_future()

        def read() -> None:
            try:
                data = os.read(self._fd, _READ_SIZE)
            except OSError:  # the terminal is gone
                data = b""
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants the line any more
                loop.call_soon_threadsafe(done.set_result, data)

        threading.Thread(target=read, name="standard input", daemon=True).start()
        return done

    def _take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data:
            self._ended = True
            lines = [self._rest] if self._rest else []
        self._lines += [line.decode("utf-8", "replace") for line in lines]
