"""What can be set. The command line fills it in: from flags, then METAGPT_LIVE_* variables, then defaults."""

from importlib.metadata import version
from pathlib import Path

import msgspec

VERSION = version("metagpt-live")

PREFIX = "METAGPT_LIVE"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """data: the folder for the database and the workspaces. concurrency: runs at the same time. stop_grace: seconds
    that a stopped run has to end by itself before it is killed. llm_*: the model, see `server.llm`. demo_pace: a factor
    model's speed, 1 for a human pace, 0 for no waiting.
    """

    data: Path
    concurrency: int
    stop_grace: float
    llm_base_url: str | None
    llm_api_key: str | None
    llm_model: str | None
    demo_pace: float

    def __repr__(self) -> str:  # the key is among them
        return f"Settings(data={self.data}, ...)"


def masked(value: str) -> str:
    """A secret, recognisable to who knows it and useless to who does not."""
    return f"{value[:3]}…{value[-2:]}" if len(value) >= 12 else "…"
