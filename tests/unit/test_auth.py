"""As what a cookie and a token are recognised, and for how long."""

import hmac
import time
from datetime import timedelta
from pathlib import Path

import pytest

from server.auth import LOGIN_LIFETIME, LOGINS, NotAuthenticated, TokenAuth
from server.tokens import AccessRole, TokenFile


@pytest.fixture
def token(tmp_path: Path) -> str:
    return TokenFile(tmp_path / "tokens.json").create(AccessRole.VIEWER, None)[0]


@pytest.fixture
def auth(tmp_path: Path, token: str) -> TokenAuth:
    return TokenAuth(TokenFile(tmp_path / "tokens.json"))


def test_a_login_ends(auth: TokenAuth, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie is good for a week, whatever the browser makes of its age; who came in by it may stay no longer."""
    login = auth.log_in(token)
    passed = auth.recognise(authorization=None, cookie=login.cookie)
    assert passed is not None and auth.holds(passed)
    ended = time.time() + LOGIN_LIFETIME + 1
    monkeypatch.setattr(time, "time", lambda: ended)
    assert not auth.holds(passed)
    with pytest.raises(NotAuthenticated):
        auth.recognise(authorization=None, cookie=login.cookie)


def test_a_login_ends_with_its_token(tmp_path: Path) -> None:
    """A browser is told to forget the cookie of a token when that expires."""
    token, _ = TokenFile(tmp_path / "tokens.json").create(AccessRole.VIEWER, timedelta(hours=1))
    assert 0 < TokenAuth(TokenFile(tmp_path / "tokens.json")).log_in(token).max_age <= 3600


def test_so_many_logins_of_a_token(tmp_path: Path, auth: TokenAuth, token: str) -> None:
    """Who logs in without end takes no more memory: the oldest logins of that token end, and of no other."""
    other = auth.log_in(TokenFile(tmp_path / "tokens.json").create(AccessRole.VIEWER, None)[0])
    logins = [auth.log_in(token) for _ in range(LOGINS + 1)]
    assert [auth.holds(login.passed) for login in (other, *logins[:2], logins[-1])] == [True, False, True, True]


@pytest.mark.parametrize("by_cookie", [True, False])
def test_nothing_is_learned_from_the_time(
    auth: TokenAuth, token: str, monkeypatch: pytest.MonkeyPatch, by_cookie: bool
) -> None:
    """Whoever comes in does so by a comparison that takes the same time for all that is wrong."""
    cookie = auth.log_in(token).cookie
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: False)
    with pytest.raises(NotAuthenticated):
        auth.recognise(authorization=None if by_cookie else f"Bearer {token}", cookie=cookie if by_cookie else None)
