"""The WebSocket protocol: the frames of both sides and the close codes. No I/O here."""

import struct
from enum import IntEnum
from typing import Annotated

import msgspec

from runner.attempt import Role
from runner.base import Filter
from runner.events import EventType
from runner.states import Status
from server.schemas import Content, RequestId, TaskSummary

_TEXT = 0x81  # RFC 6455 5.2: the final fragment of a text message


class CloseCode(IntEnum):
    NORMAL = 1000
    RESTARTING = 1012
    TRY_AGAIN_LATER = 1013
    BAD_FRAME = 4400
    NOT_AUTHENTICATED = 4401
    ORIGIN_REFUSED = 4403
    NO_SUCH_TASK = 4404
    TIMED_OUT = 4408
    FRAME_TOO_LARGE = 4413


class _Client(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op"):
    """A frame of the client."""


class Auth(_Client, frozen=True, kw_only=True, tag="auth"):
    token: str


class Subscribe(_Client, frozen=True, kw_only=True, tag="subscribe"):
    task_id: str
    since_event_id: Annotated[int, msgspec.Meta(ge=0)] = 0
    types: list[EventType] = []
    agent_role: str | None = None

    @property
    def filter(self) -> Filter:
        return Filter(frozenset(self.types), self.agent_role)


class Unsubscribe(_Client, frozen=True, kw_only=True, tag="unsubscribe"):
    task_id: str


class SubscribeTasks(_Client, frozen=True, kw_only=True, tag="subscribe_tasks"):
    pass


class Input(_Client, frozen=True, kw_only=True, tag="input"):
    """A person's answer to an INPUT_REQUEST."""

    task_id: str
    request_id: RequestId
    answer: Content


class Message(_Client, frozen=True, kw_only=True, tag="message"):
    """What a person says to the team; send_to: a role, or null for all."""

    task_id: str
    content: Content
    send_to: Role | None = None


class Ping(_Client, frozen=True, kw_only=True, tag="ping"):
    pass


Ask = Input | Message
ClientFrame = Auth | Subscribe | Unsubscribe | SubscribeTasks | Ask | Ping

_decoder: msgspec.json.Decoder[ClientFrame] = msgspec.json.Decoder(ClientFrame)


class BadFrame(Exception):
    """A frame that cannot be understood. fatal: it is not JSON at all, so nothing that follows can be trusted."""

    def __init__(self, message: str, *, fatal: bool) -> None:
        super().__init__(message)
        self.fatal = fatal


def decode(frame: str) -> ClientFrame:
    """A client's frame. Raises `BadFrame`."""
    try:
        return _decoder.decode(frame)
    except msgspec.ValidationError as error:
        raise BadFrame(
            f"{error}. The ops are auth, subscribe, unsubscribe, subscribe_tasks, input, message, ping.", fatal=False
        ) from None
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise BadFrame(f"A frame is one JSON object: {error}.", fatal=True) from None
    except RecursionError:
        raise BadFrame("The frame is nested too deeply.", fatal=True) from None


class _Server(msgspec.Struct, frozen=True, kw_only=True, tag_field="op"):
    """A frame of the server."""


class Hello(_Server, frozen=True, kw_only=True, tag="hello", omit_defaults=True):
    epoch: str
    head: int | None = None


class CaughtUp(_Server, frozen=True, kw_only=True, tag="caught_up"):
    task_id: str
    event_id: int


class Gap(_Server, frozen=True, kw_only=True, tag="gap"):
    """Events that are no more, from the first to the last of them."""

    task_id: str
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    reason: str


class State(_Server, frozen=True, kw_only=True, tag="state"):
    """state: null when the task was deleted."""

    task_id: str
    state: TaskSummary | None


class End(_Server, frozen=True, kw_only=True, tag="end"):
    task_id: str
    status: Status


class Accepted(_Server, frozen=True, kw_only=True, tag="accepted", omit_defaults=True):
    """An answer, which has a request_id, or a message was taken."""

    task_id: str
    request_id: str | None = None


class Pong(_Server, frozen=True, kw_only=True, tag="pong"):
    pass


class Error(_Server, frozen=True, kw_only=True, tag="error", omit_defaults=True):
    code: str
    message: str
    task_id: str | None = None


ServerFrame = Hello | CaughtUp | Gap | State | End | Accepted | Pong | Error


class Frame:
    """An encoded frame of the server. payload: its JSON; wire: the same as a whole WebSocket frame."""

    __slots__ = ("_start", "wire")

    def __init__(self, payload: bytes) -> None:
        header = _header(len(payload))
        self.wire = header + payload
        self._start = len(header)

    @property
    def payload(self) -> bytes:
        return self.wire[self._start :]  # not kept beside it: the hub keeps frames


def _header(size: int) -> bytes:
    """The header of an unmasked text frame that is a whole message (RFC 6455 5.2). size: of the payload, in bytes."""
    if size < 126:
        return struct.pack("!BB", _TEXT, size)
    if size < 1 << 16:
        return struct.pack("!BBH", _TEXT, 126, size)
    return struct.pack("!BBQ", _TEXT, 127, size)


def encode(frame: ServerFrame) -> Frame:
    return Frame(msgspec.json.encode(frame))


def encode_events(task_id: str, body: bytes, head: int) -> Frame:
    """An `events` frame. body: encoded events, joined by commas; head: of the log, as of when the frame was made."""
    payload = b'{"op":"events","task_id":"%b","events":[%b],"head":%d}' % (task_id.encode(), body, head)
    return Frame(payload)
