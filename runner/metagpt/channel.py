"""The child's end of the pipe: events out, commands in.

Sending never waits: what happens in one turn of the loop leaves in one write at its end, and what the socket does not
take is kept and sent when it does. The start of something is written at once, since it may block the loop. `sync` is
where the team waits instead, before it asks the model for more. Tokens are many and small, so those of one call are
gathered for a tenth of a second, but never held back behind a later event of the same role.
"""

import asyncio
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import msgspec

from runner.attempt import Command, Note, Sync, Synced, Word
from runner.events import Draft, EventType, draft
from runner.redact import Redactor

# The class name of the role that runs in this context: every role's turn is a task of its own.
ROLE: ContextVar[str | None] = ContextVar("ROLE", default=None)

TOKEN_WINDOW = 0.1  # seconds
STARTS = frozenset({EventType.AGENT_START, EventType.ACTION_START})

READ_SIZE = 64 * 1024

_decode = msgspec.json.Decoder(Command).decode  # made before the fork

# SIGPIPE would kill the process before it could tell why; macOS has no such flag, but ignores the signal by default.
NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)


class Channel:
    """Sends drafts to the supervisor and hands what persons say to `on_word`.

    on_gone is called once the supervisor has closed its end, or has died.
    """

    def __init__(
        self,
        sock: socket.socket,
        redactor: Redactor,
        *,
        on_word: Callable[[Word], None],
        on_gone: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self.redactor = redactor
        self._on_word = on_word
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._lock = threading.RLock()  # logs may come from MetaGPT's file threads
        self._unsent = bytearray()
        self._writer_comes = False
        self._closed = False
        self._asked = 0  # for how many syncs
        self._syncing: dict[int, asyncio.Future[None]] = {}
        self._tokens: dict[str, _Gathered] = {}  # by call id
        self._received = bytearray()
        self._loop.add_reader(sock, self._on_readable)

    def emit(self, event_type: EventType, payload: Mapping[str, Any], *, agent_role: str | None = None) -> None:
        """Send an event that happens now, by the role of this context if none is named."""
        role = agent_role or ROLE.get()
        with self._lock:
            for call in [call for call, gathered in self._tokens.items() if gathered.role == role]:
                self._send_tokens(call)
            self._send(draft(event_type, payload, agent_role=role))
            if event_type in STARTS:
                self._write()

    def token(self, call: str, delta: str) -> None:
        """Send a piece of the model's output, together with what follows it within `TOKEN_WINDOW`."""
        if not delta:
            return
        with self._lock:
            gathered = self._tokens.get(call)
            if gathered is None:
                gathered = self._tokens[call] = _Gathered(ROLE.get(), self._after_window(call))
            gathered.deltas.append(delta)

    def note(self, note: Note) -> None:
        """Send a line that is no event."""
        with self._lock:
            self._send_line(msgspec.json.encode(note))

    async def sync(self) -> None:
        """Wait until all that was sent so far is in the log."""
        self._asked += 1
        number, synced = self._asked, self._loop.create_future()
        self._syncing[number] = synced
        self.note(Sync(number=number))
        try:
            await synced
        finally:
            del self._syncing[number]

    def flush(self, limit: float) -> bool:
        """Send everything, blocking, for `limit` seconds at most. False if something is left."""
        deadline = time.monotonic() + limit
        with self._lock:
            for call in list(self._tokens):
                self._send_tokens(call)
            while self._unsent and (left := deadline - time.monotonic()) > 0:
                select.select([], [self._sock], [], left)
                self._write()
            return not self._unsent

    def close(self) -> None:
        """Stop reading and writing; the socket itself belongs to the caller."""
        self._closed = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)

    def _after_window(self, call: str) -> asyncio.TimerHandle:
        return self._loop.call_later(TOKEN_WINDOW, self._send_window, call)

    def _send_window(self, call: str) -> None:
        """Send the tokens so far of a call that goes on; not the beginning of a secret: nobody would know its end."""
        with self._lock:
            gathered = self._tokens[call]
            text = self.redactor.known("".join(gathered.deltas))
            begun = self.redactor.begun(text)
            gathered.deltas = [text.removesuffix(begun)]
            self._send_tokens(call)
            if begun:
                self._tokens[call] = kept = _Gathered(gathered.role, self._after_window(call))
                kept.deltas.append(begun)

    def _send_tokens(self, call: str) -> None:
        with self._lock:
            gathered = self._tokens.pop(call, None)
            if gathered is None:
                return
            gathered.timer.cancel()
            # What only looks like a secret stays: a later attempt takes from here what the model has answered.
            delta = self.redactor.known("".join(gathered.deltas))
            if delta:
                payload = {"message": delta, "call": call, "delta": delta}
                self._send_line(_encode(draft(EventType.TOKEN, payload, agent_role=gathered.role)))

    def _send(self, event: Draft) -> None:
        line = _encode(event)
        if self.redactor.suspects(line):
            line = _encode(msgspec.structs.replace(event, payload=self.redactor.value(event.payload)))
        self._send_line(line)

    def _send_line(self, line: bytes) -> None:
        self._unsent += line + b"\n"
        if not self._writer_comes:
            self._writer_comes = True
            self._in_loop_soon(self._on_writable)

    def _write(self) -> None:
        """Give the socket what it takes without waiting."""
        try:
            sent = self._sock.send(self._unsent, NO_SIGNAL)
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._on_gone()
            return
        del self._unsent[:sent]

    def _on_writable(self) -> None:
        if self._closed:  # this call was on its way
            return
        with self._lock:
            if self._unsent:
                self._write()
            if self._unsent:
                self._loop.add_writer(self._sock, self._on_writable)
            else:
                self._loop.remove_writer(self._sock)
                self._writer_comes = False

    def _in_loop_soon(self, callback: Callable[[], None]) -> None:
        if threading.get_ident() == self._loop_thread:
            self._loop.call_soon(callback)
        else:
            self._loop.call_soon_threadsafe(callback)

    def _on_readable(self) -> None:
        try:
            data = self._sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self._loop.remove_reader(self._sock)
            self._on_gone()
            return
        self._received += data
        *lines, self._received = self._received.split(b"\n")
        for line in lines:
            command = _decode(line)
            if isinstance(command, Synced):
                self._end_syncs(command.number)
            else:
                self._on_word(command)

    def _end_syncs(self, last: int) -> None:
        for number, synced in self._syncing.items():
            if number <= last and not synced.done():
                synced.set_result(None)


class _Gathered:
    """The tokens of one call that wait to be sent together."""

    __slots__ = ("deltas", "role", "timer")

    def __init__(self, role: str | None, timer: asyncio.TimerHandle) -> None:
        self.role = role
        self.timer = timer
        self.deltas: list[str] = []


def _encode(event: Draft) -> bytes:
    try:
        return msgspec.json.encode(event)
    except UnicodeEncodeError:  # a model's answer can hold half of a surrogate pair, which is no UTF-8
        return msgspec.json.encode(msgspec.structs.replace(event, payload=_valid(event.payload)))


def _valid(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {key: _valid(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_valid(item) for item in value]
    return value
