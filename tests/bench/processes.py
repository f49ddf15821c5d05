"""Programs under test and programs that make load: each a process of its own, told what to do over its stdin.

A program prints one JSON object per line: first where it can be reached or that it is ready, then one answer for each
command. Nothing here is asynchronous: a benchmark does one thing at a time.
"""

import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ANSWER_LIMIT = 120.0  # seconds for an answer to a command
END_LIMIT = 10.0  # seconds to end after stdin has closed


class ProgramFailed(Exception):
    pass


class Program:
    """A running program. Use it as a context manager: it ends with the block."""

    def __init__(self, command: Sequence[str], *, limit: float = ANSWER_LIMIT) -> None:
        self.name = " ".join(Path(word).name for word in command[:3])
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        self._buffer = b""
        self._psutil = psutil.Process(self._process.pid)
        try:
            self.hello = self.answer(limit)
        except BaseException:
            self._process.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            if error is None:
                self._process.stdin.close()
                self._process.wait(END_LIMIT)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            pass
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    @property
    def port(self) -> int:
        return int(self.hello["port"])

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, *words: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self._process.stdin.flush()

    def ask(self, *words: object, limit: float = ANSWER_LIMIT) -> dict[str, Any]:
        self.tell(*words)
        return self.answer(limit)

    def answer(self, limit: float = ANSWER_LIMIT) -> dict[str, Any]:
        """The next line of its output. Raises `ProgramFailed` if it ends, or says nothing for `limit` seconds."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + limit
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise ProgramFailed(f"{self.name} has not answered for {limit:g} s")
                data = os.read(self._process.stdout.fileno(), 65536)
                if not data:
                    raise ProgramFailed(f"{self.name} ended with {self._process.wait()}")
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ProgramFailed(f"{self.name}: {answer['error']}")
        return answer

    def cpu(self) -> float:
        """CPU seconds that it has used, all threads, user and system."""
        if sys.platform == "linux":
            # psutil counts in ticks of 10 ms. The clock of a process has nanoseconds; its id is made as in
            # linux/posix-timers.h, MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED).
            return time.clock_gettime((~self.pid << 3) | 2)
        times = self._psutil.cpu_times()
        return float(times.user + times.system)

    def rss(self) -> int:
        """Resident memory in bytes."""
        return int(self._psutil.memory_info().rss)


def python(module: str, *arguments: object, limit: float = ANSWER_LIMIT) -> Program:
    """A program of this package."""
    return Program([sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)], limit=limit)


def native(name: str, *arguments: object, limit: float = ANSWER_LIMIT) -> Program:
    """A program in C of this package or, where there is no compiler, its double in Python."""
    compiled = _compiled(name)
    if compiled is None:
        return python(name, *arguments, limit=limit)
    return Program([str(compiled), *map(str, arguments)], limit=limit)


def has_compiler() -> bool:
    return _compiler() is not None


def raise_file_limit() -> int:
    """Allow as many open files as this machine does, here and in the programs; the number."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@contextmanager
def temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="metagpt-live-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _compiler() -> str | None:
    if sys.platform != "linux" or os.environ.get("BENCH_WITHOUT_COMPILER"):  # the sources need epoll
        return None
    return shutil.which("gcc") or shutil.which("cc")


# Held for as long as this process lives, and removed with it.
_binaries = tempfile.TemporaryDirectory(prefix="metagpt-live-bench-bin-")


@cache
def _compiled(name: str) -> Path | None:
    compiler = _compiler()
    if compiler is None:
        return None
    binary = Path(_binaries.name, name)
    subprocess.run([compiler, "-O2", "-o", str(binary), str(HERE / f"{name}.c")], check=True)
    return binary
