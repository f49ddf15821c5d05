"""The tokens by which people and programs are let in, and the file that holds them.

The file holds SHA-256 of each token and never the token itself. A slow, salted hash such as argon2 is for passwords,
which can be guessed; a token is 256 random bits, which cannot, so that one fast hash is enough to keep it safe.
"""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

_PREFIX = "mgl"  # so that scanners for leaked secrets can know one
_ID_BYTES = 4
_SECRET_BYTES = 32

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_LIFETIME = re.compile(r"(\d{1,5})([hdw])")

_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class AccessRole(StrEnum):
    """What a token is good for: a viewer reads, an operator acts too."""

    VIEWER = "viewer"
    OPERATOR = "operator"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token, as it is kept. sha256: hexadecimal, of the whole token. expires_at: null for never."""

    id: str
    role: AccessRole
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    created_at: _Time
    expires_at: _Time | None

    def is_valid(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at

    def opens_for(self, presented: str) -> bool:
        """Whether this is the token that somebody presents; takes the same time for all that it is not."""
        return hmac.compare_digest(self.sha256, _hash(presented))


class TokensUnusable(Exception):
    """The file with the tokens cannot be read, or is none; `str()` says why."""


class UnknownToken(Exception):
    """No token has this id."""


class TokenFile:
    """The file at a path; where there is none there are no tokens. All methods raise `TokensUnusable`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Token]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=list[Token])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TokensUnusable(f"The token file {self.path} cannot be used: {error}.") from error

    def create(self, role: AccessRole, lifetime: timedelta | None) -> tuple[str, Token]:
        """Add a token. lifetime: None for ever. Returns the token, which nobody can tell again, and what is kept."""
        token_id = secrets.token_hex(_ID_BYTES)
        presented = f"{_PREFIX}_{token_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        now = datetime.now(UTC).replace(microsecond=0)
        token = Token(
            id=token_id,
            role=role,
            sha256=_hash(presented),
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime,
        )
        with self._alone():
            self._write([*self.read(), token])
        return presented, token

    def revoke(self, token_id: str) -> None:
        """Forget a token. Raises `UnknownToken`."""
        with self._alone():
            tokens = self.read()
            kept = [token for token in tokens if token.id != token_id]
            if len(kept) == len(tokens):
                raise UnknownToken(token_id)
            self._write(kept)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """As long as the block lasts nobody else changes the file."""
        try:
            with self.path.with_name(f"{self.path.name}.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise TokensUnusable(
                f"The token file {self.path} cannot be written: {os.strerror(error.errno or 0)}."
            ) from error

    def _write(self, tokens: list[Token]) -> None:
        """Replace the file as a whole: a server that reads it meanwhile sees all of it, old or new."""
        new = self.path.with_name(f"{self.path.name}.new")
        new.unlink(missing_ok=True)  # whoever has made it could write in it
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(tokens)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)


def id_of(presented: str) -> str:
    """The id that a token names."""
    return presented.removeprefix(f"{_PREFIX}_").partition("_")[0]


def lifetime_of(words: str) -> timedelta | None:
    """A lifetime such as `12h`, `90d` or `52w`; None for `never`. Raises `ValueError`."""
    if words == "never":
        return None
    match = _LIFETIME.fullmatch(words)
    if match is None or not int(match[1]):
        raise ValueError(f"{words!r} is no lifetime: give hours, days or weeks such as 12h, 90d or 52w, or never.")
    return int(match[1]) * _UNITS[match[2]]


def _hash(presented: str) -> str:
    return hashlib.sha256(presented.encode(errors="replace")).hexdigest()
