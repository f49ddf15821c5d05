"""What can be set. The command line fills it in: from flags, then METAGPT_LIVE_* variables, then defaults."""

import re
from importlib.metadata import version
from pathlib import Path

import msgspec

from runner.base import Durability
from runner.task import PROMPT_LIMIT
from server.logs import Level

VERSION = version("metagpt-live")

PREFIX = "METAGPT_LIVE"

# The longest prompt, each character of it escaped as two surrogates, and room for the rest.
BODY_LIMIT = 12 * PROMPT_LIMIT + 200_000  # bytes
FRAME_LIMIT = 256 * 1024  # bytes: the longest content, each character of it escaped, fits


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """data: the folder for the database and the workspaces. concurrency: runs at work at the same time. waiting_limit:
    runs that may wait for a person without a place. queue_limit: tasks that may wait for a place. stop_grace: seconds
    that a stopped run has to end by itself before it is killed. durability: what a commit survives, "normal" the death
    of the process, "full" that of the machine. keep_days: days after its end that a run's events are kept.
    silence_limit: seconds without a sign of life after which a run's process is killed. task_limit: tasks in all.
    event_limit: events of a task. event_size_limit: bytes of an event, beyond which the log has an excerpt.
    workspace_limit: bytes that a task's files take on the disk. allow_network: whether the programs that runs start
    have the network. llm_*: the model, see `server.llm`. prices: a file, see `server.prices`. demo_pace: a factor on
    the demo model's waiting, 1 for a human pace, 0 for none. log_level: from which level on records are logged.
    log_json: whether as JSON.
    """

    data: Path
    concurrency: int
    waiting_limit: int
    queue_limit: int
    stop_grace: float
    durability: Durability
    keep_days: float | None
    silence_limit: float
    task_limit: int
    event_limit: int
    event_size_limit: int
    workspace_limit: int
    allow_network: bool
    llm_base_url: str | None
    llm_api_key: str | None
    llm_model: str | None
    prices: Path | None
    demo_pace: float
    log_level: Level
    log_json: bool

    def __repr__(self) -> str:  # the key is among them
        return f"Settings(data={self.data}, ...)"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may use. body, frame: bytes of a request's body and of a WebSocket frame. prompt: characters.
    subscriptions: of a WebSocket. connections: of a client at the same time. request_rate: requests of a client, and
    frames of a connection, per second; 0 for no limit. request_timeout: seconds in which a request must have
    come as a whole.
    """

    body_limit: int
    frame_limit: int
    prompt_limit: int
    subscription_limit: int
    connection_limit: int
    request_rate: float
    request_timeout: float


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """How the server is reached. token_file: who may come in; None for everybody, on loopback only. allow_host: names
    of this server beside its addresses. forwarded_allow: networks of proxies whose word is taken for who a client is.
    tls_cert, tls_key: PEM files, both or none.
    """

    host: str
    port: int
    token_file: Path | None
    allow_host: tuple[str, ...]
    forwarded_allow: tuple[str, ...]
    tls_cert: Path | None
    tls_key: Path | None


def masked(value: str) -> str:
    """A secret, recognisable to who knows it and useless to who does not."""
    return f"{value[:3]}…{value[-2:]}" if len(value) >= 12 else "…"


def without_credentials(url: str) -> str:
    """A URL to be shown: without the name and password that it may hold."""
    return re.sub(r"(?<=://)[^/?#]*@", "…@", url)
