"""What the server insists on before it lets anybody in."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.entry import NotServed, open_gate
from server.tokens import AccessRole, TokenFile
from tests.loopback import LIMITS, LOOPBACK


def _open(*, is_loopback: bool = True, **settings: Any) -> None:
    open_gate(msgspec.structs.replace(LOOPBACK, **settings), LIMITS, is_loopback=is_loopback)


def _tokens(folder: Path) -> Path:
    file = TokenFile(folder / "tokens.json")
    file.create(AccessRole.VIEWER, None)
    return file.path


def test_loopback() -> None:
    """On loopback nothing is needed."""
    _open()


@pytest.mark.parametrize("is_loopback", [True, False])
def test_with_tokens(tmp_path: Path, is_loopback: bool) -> None:
    """With tokens a server may be on any address, and behind a proxy."""
    _open(is_loopback=is_loopback, token_file=_tokens(tmp_path), forwarded_allow=("10.0.0.0/8", "::1"))


@pytest.mark.parametrize(
    ("is_loopback", "settings"),
    [(False, {}), (True, {"forwarded_allow": ("127.0.0.1",)})],
    ids=["on a network", "behind a proxy"],
)
def test_without_tokens(is_loopback: bool, settings: dict[str, Any]) -> None:
    """Where others than this machine can come in, tokens are insisted on."""
    with pytest.raises(NotServed, match="metagpt-live token create"):
        _open(is_loopback=is_loopback, **settings)


@pytest.mark.parametrize("is_loopback", [True, False])
def test_tokens_that_let_nobody_in(tmp_path: Path, is_loopback: bool) -> None:
    """A file that is not there, or whose tokens are all gone, is as good as none; and it was asked for."""
    path = _tokens(tmp_path)
    TokenFile(path).revoke(TokenFile(path).read()[0].id)
    for file in (path, tmp_path / "none.json"):
        with pytest.raises(NotServed, match=file.name):
            _open(is_loopback=is_loopback, token_file=file)


@pytest.mark.parametrize("host", ["", "https://runs.example.org", "runs.example.org/", "a b", "*", "*.example.org"])
def test_a_host_that_is_none(host: str) -> None:
    """What cannot be a host in a browser's address bar is refused, rather than never matched."""
    with pytest.raises(NotServed, match="--allow-host"):
        _open(allow_host=(host,))


@pytest.mark.parametrize("proxy", ["", "*", "10.0.0.0/33", "10.0.0.1/8", "proxy.example.org"])
def test_a_proxy_that_is_none(tmp_path: Path, proxy: str) -> None:
    """Proxies are named by address; the word of everybody is never taken."""
    with pytest.raises(NotServed, match="--forwarded-allow"):
        _open(token_file=_tokens(tmp_path), forwarded_allow=(proxy,))


def test_half_of_tls() -> None:
    """A certificate without a key is refused."""
    with pytest.raises(NotServed, match="--tls-key"):
        _open(tls_cert=Path("cert.pem"))
