"""The fork server: a process that has MetaGPT imported, and forks one child per attempt in milliseconds.

It is single-threaded and has no event loop, so that a fork copies nothing half-done. The supervisor talks to it over
one socket, a JSON object per line:

    fork {request} with the child's end of a socket pair attached  ->  forked {request, pid} | refused {request, error}
    kill {pid, signal}: a signal for a child; for its whole process group if it is SIGKILL
    exited {pid, code} when a child has ended; code is negative for a signal, as in `subprocess`
    alive, every so often: its loop turns, and what is asked of it is done

A child that ends takes with it all that it has started, also what has left its process group: `exited` is said when
nothing of it is left. The end of the socket is the end of the supervisor: then the fork server ends in the same way.
"""

import gc
import json
import os
import select
import selectors
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from runner import confinement
from runner.attempt import HEARTBEAT_PERIOD, SPEC_SIZE_BYTES, AttemptSpec
from runner.metagpt import parentage

_FDS_PER_MESSAGE = 64


class _NeverTold(Exception):
    """The supervisor closed its end before it had said what to do."""


class ForkServer:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._buffer = b""
        self._fds: list[int] = []
        self._children: set[int] = set()
        self._beaten = time.monotonic()
        self._wakeup, wake = socket.socketpair()
        self._wakeup.setblocking(False)
        wake.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to have the wake-up descriptor written
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._wake = wake

    def serve(self) -> None:
        """Serve until the supervisor closes its end; then nothing of any child is left."""
        parentage.adopt_orphans()
        try:
            self._serve()
        finally:
            signal.set_wakeup_fd(-1)  # the interpreter closes it before it stops to hear of ended children
            while killed := [pid for pid in parentage.children() if parentage.kill(pid)]:
                for pid in killed:
                    os.waitpid(pid, 0)

    def _serve(self) -> None:
        self._reply(op="ready")
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(HEARTBEAT_PERIOD):
                    if key.fileobj is self._wakeup:
                        self._wakeup.recv(4096)
                        self._reap()
                    elif not self._receive():
                        return
                self._beat()

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten >= HEARTBEAT_PERIOD:
            self._beaten = now
            self._reply(op="alive")

    def _receive(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, 65536, _FDS_PER_MESSAGE)
        self._fds += fds
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if request["op"] == "fork":
                self._fork(request["request"], self._fds.pop(0))
            else:
                self._kill(request["pid"], request["signal"])
        return bool(data)

    def _fork(self, request: int, fd: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._reply(op="refused", request=request, error=str(error))
        else:
            if pid == 0:
                self._become_child(fd)
            self._children.add(pid)
            self._reply(op="forked", request=request, pid=pid)
        os.close(fd)

    def _become_child(self, fd: int) -> NoReturn:
        code = 1
        try:
            os.setsid()
            parentage.die_with_parent()
            parentage.adopt_orphans()  # what comes to the fork server itself is then of a run that has ended
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for inherited in (self._control, self._wakeup, self._wake):
                inherited.close()
            code = _run(socket.socket(fileno=fd))
        except _NeverTold:
            pass  # the run was stopped at once
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # the exit handlers belong to the fork server

    def _kill(self, pid: int, number: int) -> None:
        if pid not in self._children:  # reaped already: the number may belong to another process by now
            return
        if number == signal.SIGKILL:
            _kill_group(pid)
        os.kill(pid, number)

    def _reap(self) -> None:
        ended = [pid for pid in self._children if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)]
        for pid in ended:  # before the child is reaped, its number, and so its group's, cannot be used again
            _kill_group(pid)
        if self._orphans_left():
            return  # the death of each leads here again
        for pid in ended:
            _, status = os.waitpid(pid, 0)
            self._children.remove(pid)
            self._reply(op="exited", pid=pid, code=os.waitstatus_to_exitcode(status))

    def _orphans_left(self) -> bool:
        """Kill what ended children have left; whether some of it is still dying."""
        while orphans := parentage.children() - self._children:
            dead = [pid for pid in orphans if os.waitpid(pid, os.WNOHANG)[0]]
            dying = [pid for pid in orphans.difference(dead) if parentage.kill(pid)]
            if not dead:
                return bool(dying)
        return False

    def _reply(self, **reply: Any) -> None:
        self._control.sendall(json.dumps(reply).encode() + b"\n")


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has not come to setsid yet
        return
    except PermissionError:  # macOS says so of a group that holds only ended processes
        return


def _run(connection: socket.socket) -> int:
    from runner.metagpt import child

    with connection:
        size = int.from_bytes(_receive_exactly(connection, SPEC_SIZE_BYTES), "big")
        spec = msgspec.json.decode(_receive_exactly(connection, size), type=AttemptSpec)
        return child.main(spec, connection)


def _receive_exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise _NeverTold
        data += more
    return data


def main() -> None:
    """Run as `python -m runner.metagpt.forkserver FD FOLDER`: the control socket, and a folder for scratch files."""
    from runner.metagpt import preload

    control = socket.socket(fileno=int(sys.argv[1]))
    parentage.die_with_parent()  # seconds may pass until it listens
    if select.select([control], [], [], 0)[0]:  # nothing is asked of it yet: the supervisor has ended before that
        return
    preload.load(Path(sys.argv[2]))
    # Imported and prepared before the fork, so that children share it.
    import runner.metagpt.child  # noqa: F401
    from runner.metagpt import hooks
    from runner.metagpt.demo.archetypes import archetypes

    confinement.prepare()
    hooks.prepare()
    archetypes()
    gc.collect()
    parentage.outlive_parent()  # from now on it has children to take with it
    gc.freeze()  # a collection in a child would touch, and so copy, every page
    try:
        ForkServer(control).serve()
    except (BrokenPipeError, ConnectionResetError):
        return


if __name__ == "__main__":
    main()
