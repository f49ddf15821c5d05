"""The supervisor's side of the fork server: keeps one running, and gets children from it.

The protocol is described in runner/metagpt/forkserver.py, which is the process itself.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from runner.attempt import SPEC_SIZE_BYTES, AttemptSpec, Command
from runner.clocks import SilenceClock
from runner.environment import for_runs
from runner.errors import AttemptLost, ChildLost, RunnerError
from runner.leftovers import end_leftovers, mark
from runner.sessions import Sessions

_SETTINGS = {
    "PYTHONHASHSEED": "0",  # the order of a set is the same in every child: a later attempt comes to the same prompts
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # it would look for some in every package that is installed
}
# A fork server that dies sooner than this after its start is not started again at once.
_RESTART_PAUSE = 1.0  # seconds
# What it does takes milliseconds, but a machine without memory may take seconds to let it; all runs are lost with it.
_SILENCE_LIMIT = 10.0  # seconds
_FAILURES = 3  # starts that fail, after which nobody is made to wait for the next
_FORKS_AT_ONCE = 64  # requests under way: a socket holds some 270 before it refuses more
_SEND_PAUSE = 0.01  # seconds
_RECALL = 1.0  # seconds; a fork, and the end of what was forked, take milliseconds
_READ_SIZE = 256 * 1024
_LAST_WORDS = 0.5  # seconds for what a fork server that has ended still wrote
_LINE_LIMIT = 64 * 1024 * 1024  # bytes; more without a newline is not our protocol

_log = logging.getLogger(__name__)
_output = logging.getLogger(f"{__name__}.output")


class Child:
    """A running child process."""

    def __init__(self, server: "ForkServer", pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.exited: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        """The exit code, negative for a signal; None if the fork server died, and the child with it."""
        self._server = server
        self._connection = connection
        self._rest = bytearray()
        self._sending = asyncio.Lock()  # or lines that are sent at the same time could mix

    async def lines(self) -> list[bytes]:
        """What the child wrote since the last call, as whole lines; empty at its end.

        Raises `ChildLost` if what it writes has no lines.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = await loop.sock_recv(self._connection, _READ_SIZE)
            except ConnectionResetError:
                data = b""
            if not data:
                return []
            if b"\n" not in data:
                self._rest += data
                if len(self._rest) > _LINE_LIMIT:
                    raise ChildLost(f"The process wrote more than {_LINE_LIMIT} bytes without the end of a line.")
                continue
            first, *lines, rest = data.split(b"\n")
            lines.insert(0, bytes(self._rest) + first)
            self._rest = bytearray(rest)
            return lines

    async def begin(self, spec: AttemptSpec) -> None:
        """Tell the child what to do, before anything else. Raises `AttemptLost` if it has ended already."""
        encoded = msgspec.json.encode(spec)
        try:
            await self._send(len(encoded).to_bytes(SPEC_SIZE_BYTES, "big") + encoded)
        except ChildLost as lost:
            raise AttemptLost("The process of this run was killed as it began.") from lost

    async def send(self, command: Command) -> None:
        """Send a command. Raises `ChildLost` if the child does not listen any more."""
        await self._send(msgspec.json.encode(command) + b"\n")

    async def _send(self, data: bytes) -> None:
        try:
            async with self._sending:
                await asyncio.get_running_loop().sock_sendall(self._connection, data)
        except OSError as error:
            raise ChildLost("The process of this run has ended.") from error

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; SIGKILL takes the whole process group. Nothing happens if the child has ended."""
        if not self.exited.done():
            self._server.kill(self.pid, number)

    def close(self) -> None:
        self._connection.close()


class ForkServer:
    """A fork server that is started anew whenever it dies. Use it as an async context manager.

    One that does not answer any more is killed: nothing could be stopped through it, and no end be heard of.
    What it and its children print is logged. They share one output: whose a line is cannot be told.

    scratch: a folder for what MetaGPT writes at import.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._sessions = Sessions(scratch / "sessions")
        self._ready = False
        self._settled = asyncio.Event()  # ready, or given up for now
        self._failures = 0  # starts in a row that did not come to be ready
        self._forking = asyncio.Semaphore(_FORKS_AT_ONCE)
        self._control: socket.socket | None = None
        self._forks: dict[int, tuple[asyncio.Future[Child], socket.socket]] = {}
        self._children: dict[int, Child] = {}
        self._requests = 0

    async def __aenter__(self) -> "ForkServer":
        await self._end_leftovers()
        self._keeper = asyncio.create_task(self._keep(), name="fork server")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper

    @property
    def ready(self) -> bool:
        """Whether a fork would be served at once."""
        return self._ready

    async def fork(self, spec: AttemptSpec) -> Child:
        """Fork a child for an attempt.

        Raises `ChildLost` if the fork server cannot fork, and `AttemptLost` if it, or the child, dies meanwhile.
        """
        async with self._forking:
            return await self._fork(spec)

    async def _fork(self, spec: AttemptSpec) -> Child:
        await self._settled.wait()
        while not self._ready and self._failures < _FAILURES:  # it was ready, and has ended before we had our turn
            await self._settled.wait()
        if self._control is None or not self._ready:
            raise ChildLost("MetaGPT's process does not start; the log of the server says why.")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._requests += 1
        forked: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._forks[self._requests] = forked, ours
        with theirs:
            request = json.dumps({"op": "fork", "request": self._requests}).encode() + b"\n"
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # then `forked` fails
                socket.send_fds(self._control, [request], [theirs.fileno()])
        try:
            child = await asyncio.shield(forked)
            self._sessions.begin(child.pid)
            await child.begin(spec)
        except BaseException as error:
            ours.close()  # a child that comes to be all the same sees the end of its input, and ends
            if isinstance(error, asyncio.CancelledError):
                await _recall(forked)
            raise
        return child

    def kill(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a child, unless it has ended."""
        if self._control is None:
            return
        request = json.dumps({"op": "kill", "pid": pid, "signal": int(number)}).encode() + b"\n"
        try:
            self._control.send(request)
        except BlockingIOError:  # very many requests at once
            asyncio.get_running_loop().call_later(_SEND_PAUSE, self.kill, pid, number)
        except (BrokenPipeError, ConnectionResetError):
            return  # it is dying, and its children with it

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            self._failures += 1
            try:
                await self._run_once()
                _log.warning("the fork server has ended, and with it all runs; starting it anew")
            except Exception:  # too many open files, or processes; or it speaks as ours does not: a new one may do
                _log.exception("the fork server could not be started, or not be understood")
                self._settle()
            await asyncio.sleep(max(0.0, _RESTART_PAUSE - (loop.time() - started)))

    def _settle(self) -> None:
        """Have forks wait for the next start, unless that is not worth it any more."""
        if self._failures < _FAILURES:
            self._settled.clear()
        else:
            self._settled.set()

    async def _run_once(self) -> None:
        with _socket_pair() as (control, theirs), _socket_pair() as (output, printed):
            with theirs, printed:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",  # a folder named metagpt where the user happens to be is not the package
                    "-m",
                    "runner.metagpt.forkserver",
                    str(theirs.fileno()),
                    str(self._scratch),
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=printed.fileno(),
                    stderr=printed.fileno(),
                    env=for_runs() | _SETTINGS | mark(self._scratch),
                    start_new_session=True,  # Ctrl-C in the terminal is for the server alone
                )
            reading = asyncio.create_task(_log_output(output), name="output of the fork server")
            self._control = control
            silence = SilenceClock(_SILENCE_LIMIT)
            watching = asyncio.create_task(_end_silence(process, silence), name="silence of the fork server")
            try:
                await self._listen(control, silence)
            finally:
                watching.cancel()
                self._ready = False
                self._control = None
                self._settle()
                control.close()
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                try:
                    await _reaped(process)
                    await self._lose_children()
                finally:
                    await _ended(reading)

    async def _listen(self, control: socket.socket, silence: SilenceClock) -> None:
        loop = asyncio.get_running_loop()
        rest = b""
        while True:
            try:
                data = await loop.sock_recv(control, 65536)
            except ConnectionResetError:
                return
            if not data:
                return
            silence.begin()  # not before it is ready: its start takes what it takes
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._hear(json.loads(line))

    def _hear(self, reply: dict[str, object]) -> None:
        match reply:
            case {"op": "ready"}:
                self._ready = True
                self._failures = 0
                self._settled.set()
            case {"op": "forked", "request": int(request), "pid": int(pid)}:
                forked, connection = self._forks.pop(request)
                self._children[pid] = Child(self, pid, connection)
                if not forked.cancelled():
                    forked.set_result(self._children[pid])
            case {"op": "refused", "request": int(request), "error": error}:
                _refuse(self._forks.pop(request)[0], ChildLost(f"No process could be made: {error}."))
            case {"op": "exited", "pid": int(pid), "code": int(code)}:
                child = self._children.pop(pid, None)
                self._sessions.end(pid)
                if child is not None:
                    child.exited.set_result(code)

    async def _lose_children(self) -> None:
        for forked, _ in self._forks.values():
            _refuse(forked, AttemptLost("The fork server ended before it had made the process."))
        self._forks.clear()
        if not self._children:
            return
        for pid in self._children:
            # The kernel has killed the child with its parent, but not what the child had started.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        try:
            await self._end_leftovers()
        finally:
            for child in self._children.values():
                child.exited.set_result(None)
            self._children.clear()

    async def _end_leftovers(self) -> None:
        await asyncio.to_thread(end_leftovers, self._scratch, self._sessions, list(self._children))


async def _end_silence(process: asyncio.subprocess.Process, silence: SilenceClock) -> None:
    """Kill a fork server that has been silent for too long, until cancelled."""
    await silence.ran_out()
    _log.error("the fork server has not answered for %g s, and is killed", silence.limit)
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _recall(forked: asyncio.Future[Child]) -> None:
    """End a child that nobody wants any more, and wait until it is gone; not for a fork server that does not answer."""
    forked.add_done_callback(_end)
    with contextlib.suppress(TimeoutError, ChildLost, AttemptLost):
        async with asyncio.timeout(_RECALL):
            child = await asyncio.shield(forked)
            await asyncio.shield(child.exited)


def _end(forked: asyncio.Future[Child]) -> None:
    if not forked.cancelled() and forked.exception() is None:
        forked.result().signal(signal.SIGKILL)


@contextlib.contextmanager
def _socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end, which does not block, and theirs."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


async def _log_output(output: socket.socket) -> None:
    """Log what is printed, to its end, as it comes."""
    loop = asyncio.get_running_loop()
    rest = b""
    with contextlib.suppress(ConnectionResetError):
        while data := await loop.sock_recv(output, _READ_SIZE):
            lines, newline, rest = (rest + data).rpartition(b"\n")
            if len(rest) > _READ_SIZE:
                lines, rest = lines + newline + rest, b""
            _log_lines(lines)
    _log_lines(rest)


def _log_lines(lines: bytes) -> None:
    if lines.strip():
        _output.warning("%s", lines.decode(errors="replace").rstrip())


async def _ended(reading: "asyncio.Task[None]") -> None:
    """Wait for the last words of who is dead; not for long, since something that it has started may live on."""
    try:
        await asyncio.wait({reading}, timeout=_LAST_WORDS)
    finally:
        reading.cancel()
        await asyncio.wait({reading})


async def _reaped(process: asyncio.subprocess.Process) -> None:
    """Wait for the end of a killed process, also if cancelled meanwhile."""
    waiting = asyncio.ensure_future(process.wait())
    try:
        await asyncio.shield(waiting)
    except asyncio.CancelledError:
        await waiting
        raise


def _refuse(forked: asyncio.Future[Child], error: RunnerError) -> None:
    if not forked.cancelled():
        forked.set_exception(error)
