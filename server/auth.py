"""Who may come in, and as what.

With a token file everybody needs a token: in the Authorization header, in the first frame of a WebSocket, or changed
for a cookie by logging in. The cookie is signed with a key that only this process has and that ends with it: were it
kept in a file, the programs that an LLM writes could read it there, and sign cookies of their own.
"""

import hashlib
import hmac
import logging
import os
import secrets
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from server.tokens import AccessRole, Token, TokenFile, TokensUnusable, id_of

COOKIE = "metagpt_live"
LOGIN_LIFETIME = 7 * 86_400  # seconds
LOGINS = 1000  # of a token at the same time; one more ends the oldest
_BEARER = "bearer "

_log = logging.getLogger(__name__)


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """As what somebody was let in. token_id: by which token, if by one. cookie: the login's, if it was by one."""

    role: AccessRole
    token_id: str | None = None
    cookie: str | None = None

    @property
    def may_act(self) -> bool:
        return self.role is AccessRole.OPERATOR


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser is given for a token. max_age: seconds for which the cookie holds."""

    passed: Pass
    cookie: str
    max_age: int


class NotAuthenticated(Exception):
    """Nobody is let in with this; `str()` is for them to read."""


class Auth(Protocol):
    """Says who may come in."""

    def admit(self, token: str) -> Pass:
        """For who presents a token. Raises `NotAuthenticated`."""

    def recognise(self, *, authorization: str | None, cookie: str | None) -> Pass | None:
        """For who sends these headers, None if there is no token in them. Raises `NotAuthenticated` if one is wrong."""

    def holds(self, passed: Pass) -> bool:
        """Whether who was let in may still stay."""

    def log_in(self, token: str) -> Login:
        """Raises `NotAuthenticated`."""

    def log_out(self, passed: Pass) -> None:
        """Let nobody in any more by the cookie of this login."""

    def refresh(self) -> None:
        """Learn of tokens that were made or revoked."""


class OpenAuth:
    """Lets everybody in as an operator: for loopback, where only who has an account here can come."""

    def admit(self, token: str) -> Pass:
        return _ANYBODY

    def recognise(self, *, authorization: str | None, cookie: str | None) -> Pass | None:
        return _ANYBODY

    def holds(self, passed: Pass) -> bool:
        return True

    def log_in(self, token: str) -> Login:
        return Login(passed=_ANYBODY, cookie="", max_age=0)

    def log_out(self, passed: Pass) -> None:
        pass

    def refresh(self) -> None:
        pass


class TokenAuth:
    """Lets in who has a token of a file. Raises `TokensUnusable` when it is made; later, such a file lets nobody in."""

    def __init__(self, file: TokenFile) -> None:
        self._file = file
        self._key = secrets.token_bytes(32)
        self._logins: defaultdict[str, dict[str, None]] = defaultdict(dict)  # by token, cookies, the oldest first
        self._version = _version(file)
        self._tokens = _by_id(file)

    @property
    def is_locked(self) -> bool:
        """Whether no token lets anybody in."""
        now = datetime.now(UTC)
        return not any(token.is_valid(now) for token in self._tokens.values())

    def admit(self, token: str) -> Pass:
        token_id = id_of(token)
        if token_id not in self._tokens:  # it may have been made a moment ago
            self.refresh()
        known = self._valid(token_id)
        if known is None or not known.opens_for(token):
            raise NotAuthenticated("This token lets nobody in: it is wrong, has expired, or was revoked.")
        return Pass(role=known.role, token_id=known.id)

    def recognise(self, *, authorization: str | None, cookie: str | None) -> Pass | None:
        if authorization is not None and authorization[: len(_BEARER)].lower() == _BEARER:
            return self.admit(authorization[len(_BEARER) :].strip())
        return None if cookie is None else self._admit_cookie(cookie)

    def holds(self, passed: Pass) -> bool:
        if passed.cookie is not None and not self._is_current(passed.cookie):
            return False
        return passed.token_id is not None and self._valid(passed.token_id) is not None

    def log_in(self, token: str) -> Login:
        passed = self.admit(token)
        assert passed.token_id is not None
        expires = self._tokens[passed.token_id].expires_at
        now = time.time()
        until = int(now + LOGIN_LIFETIME if expires is None else min(now + LOGIN_LIFETIME, expires.timestamp()))
        login = f"{passed.token_id}.{until}.{secrets.token_hex(8)}"  # random, to end this login and no other
        cookie = f"{login}.{self._signature(login)}"
        logins = self._logins[passed.token_id]
        logins[cookie] = None
        if len(logins) > LOGINS:
            del logins[next(iter(logins))]
        return Login(passed=msgspec.structs.replace(passed, cookie=cookie), cookie=cookie, max_age=until - int(now))

    def log_out(self, passed: Pass) -> None:
        if passed.token_id is not None and passed.cookie is not None:
            self._logins[passed.token_id].pop(passed.cookie, None)

    def refresh(self) -> None:
        version = _version(self._file)
        if version == self._version:
            return
        self._version = version
        try:
            self._tokens = _by_id(self._file)
        except TokensUnusable as error:
            self._tokens = {}
            _log.error("nobody is let in any more: %s", error)

    def _valid(self, token_id: str) -> Token | None:
        known = self._tokens.get(token_id)
        return known if known is not None and known.is_valid(datetime.now(UTC)) else None

    def _admit_cookie(self, cookie: str) -> Pass:
        login, _, signature = cookie.rpartition(".")
        known = None
        if hmac.compare_digest(signature.encode(), self._signature(login).encode()) and self._is_current(cookie):
            known = self._valid(login.partition(".")[0])
        if known is None:
            raise NotAuthenticated("This login has ended: log in again.")
        return Pass(role=known.role, token_id=known.id, cookie=cookie)

    def _is_current(self, cookie: str) -> bool:
        """Whether a cookie that we have signed still lets somebody in, if its token does."""
        token_id, until, *_ = cookie.split(".")
        return cookie in self._logins[token_id] and time.time() < float(until)

    def _signature(self, login: str) -> str:
        return hmac.new(self._key, login.encode(), hashlib.sha256).hexdigest()


_ANYBODY = Pass(role=AccessRole.OPERATOR)


def _by_id(file: TokenFile) -> dict[str, Token]:
    return {token.id: token for token in file.read()}


def _version(file: TokenFile) -> tuple[int, int, int] | None:
    """Changes when the file does; None where there is none."""
    try:
        found = os.stat(file.path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
