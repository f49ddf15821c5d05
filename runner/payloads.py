"""What readers rely on in the payloads of events: looked at in a log from elsewhere, and in what a run tells.

A payload may hold more than this.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import msgspec

from runner.events import EventType
from runner.files import Artifact
from runner.inside import is_plain
from runner.states import Status
from runner.task import Question

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Duration = Annotated[float, msgspec.Meta(ge=0)]
_PATH_LIMIT = 4096  # characters; Linux takes no longer one


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    message: str
    whole: Artifact | None = None


class _Status(_Payload, frozen=True, kw_only=True):
    status: Status
    attempt: _Count
    reason: str | None = None


class _AgentStart(_Payload, frozen=True, kw_only=True):
    turn: str


class _AgentComplete(_AgentStart, frozen=True, kw_only=True):
    duration_ms: _Duration | None = None
    summary: str | None = None
    failed: bool = False


class _ActionStart(_Payload, frozen=True, kw_only=True):
    action: str
    file: str | None = None


class _ActionComplete(_ActionStart, frozen=True, kw_only=True):
    duration_ms: _Duration | None = None
    progress: float | None = None
    failed: bool = False


class _Message(_Payload, frozen=True, kw_only=True):
    content: str
    cause_by: str = ""
    sent_from: str = ""
    send_to: list[str] = []


class _Token(_Payload, frozen=True, kw_only=True):
    call: str
    delta: str


class _LlmCall(_Payload, frozen=True, kw_only=True):
    call: str
    model: str | None = None
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    cost_usd: Annotated[float, msgspec.Meta(ge=0)] | None = None
    duration_ms: _Duration | None = None
    error: str | None = None
    demo: bool = False
    replayed: bool = False


class _File(Artifact, frozen=True, kw_only=True):
    """As a run of ours could have written it."""

    path: Annotated[str, msgspec.Meta(max_length=_PATH_LIMIT)]
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    size: _Count

    def __post_init__(self) -> None:
        if not is_plain(self.path):
            raise ValueError(
                f"path {self.path!r} must be relative, lead nowhere but down, and have no control characters"
            )


class _Artifact(_File, frozen=True, kw_only=True):
    message: str


class _Log(_Payload, frozen=True, kw_only=True):
    level: str
    logger: str | None = None


class _Resource(_Payload, frozen=True, kw_only=True):
    cpu_percent: float
    rss_bytes: _Count
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0
    cost_usd: float = 0.0


class _InputRequest(Question, frozen=True, kw_only=True):
    message: str
    whole: Artifact | None = None
    kind: str | None = None


class _InputResponse(_Payload, frozen=True, kw_only=True):
    request_id: str
    answer: str | None = None


class _Error(_Payload, frozen=True, kw_only=True):
    error_type: str | None = None
    traceback: str | None = None
    fatal: bool = False


class FinalResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a team has made, as the task and its RESULT tell it."""

    project: str
    artifacts: list[_File]
    messages: list[dict[str, Any]] = []


class _Result(_Payload, frozen=True, kw_only=True):
    final_result: FinalResult


PAYLOADS: Mapping[EventType, type[msgspec.Struct]] = MappingProxyType(
    {
        EventType.STATUS: _Status,
        EventType.AGENT_START: _AgentStart,
        EventType.AGENT_COMPLETE: _AgentComplete,
        EventType.ACTION_START: _ActionStart,
        EventType.ACTION_COMPLETE: _ActionComplete,
        EventType.MESSAGE: _Message,
        EventType.TOKEN: _Token,
        EventType.LLM_CALL: _LlmCall,
        EventType.ARTIFACT: _Artifact,
        EventType.LOG: _Log,
        EventType.RESOURCE: _Resource,
        EventType.INPUT_REQUEST: _InputRequest,
        EventType.INPUT_RESPONSE: _InputResponse,
        EventType.ERROR: _Error,
        EventType.RESULT: _Result,
    }
)


def partial(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """A payload in which anything may be missing, and what is there is of the same type; it is no excerpt."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)} | {"whole": None}
    types = [(name, type | msgspec.UnsetType, msgspec.UNSET) for name, type in fields.items()]
    return msgspec.defstruct(kind.__name__, types)
