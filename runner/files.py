"""A file that a run has written, and its versions."""

from typing import Annotated

import msgspec

Sha256 = Annotated[str, msgspec.Meta(min_length=64, max_length=64, pattern="^[0-9a-f]*$")]


class Artifact(msgspec.Struct, frozen=True):
    """A file that a run wrote. path: relative to the workspace. size: bytes.

    version: 1, 2, 3, ... per path, for good. An attempt that writes again what an earlier one wrote makes no new one.
    """

    path: str
    version: int
    size: int
    sha256: Sha256


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a file, and who has written it.

    agent_role, action: null for what was in the project when the team began. event_id: of the first ARTIFACT that tells
    of it. All of these are null where retention has deleted that event. attempt: the one that wrote it first.
    """

    version: int
    size: int
    sha256: Sha256
    agent_role: str | None = None
    action: str | None = None
    event_id: int | None = None
    timestamp: str | None = None
    attempt: int | None = None


class File(Artifact, frozen=True, kw_only=True):
    """A file as it is now, and all its versions, the oldest first.

    current: whether the last attempt has it; others are left from earlier attempts, and in no archive.
    """

    current: bool
    versions: list[Version]
