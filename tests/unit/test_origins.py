"""From which pages a browser may act, by the Host and the Origin that it sends."""

import pytest

from server.origins import Origins
from server.problems import BadRequest

OURS = Origins(["runs.example.org", "proxy.example.org:8443"])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8000",
        "127.0.0.1",
        "[::1]:8000",
        "192.168.1.7:8000",
        "localhost",
        "LOCALHOST:8000",
        "localhost.:8000",
        "runs.example.org",
        "runs.example.org:8000",
        "Proxy.example.org",
    ],
)
def test_hosts_that_are_ours(host: str) -> None:
    """Addresses, localhost and what is allowed are ours, at any port."""
    OURS.check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:127.0.0.1",
        "runs.example.org.evil.example",
        "xruns.example.org",
        "[::1",
        "[evil.example]",
        "2130706433",
        "x" * 100_000,
        "\x00",
    ],
)
def test_hosts_that_are_not(host: str) -> None:
    """Any other name could be made to point here: it is refused."""
    with pytest.raises(BadRequest) as refused:
        OURS.check_host(host)
    assert (refused.value.status, refused.value.code) == (403, "host_refused")


@pytest.mark.parametrize(
    ("origin", "host", "secure"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", False),
        ("http://LOCALHOST:8000", "localhost:8000", False),
        ("https://10.0.0.1", "10.0.0.1", True),
        ("https://10.0.0.1", "10.0.0.1", False),  # a proxy that has not said that it speaks TLS
        ("https://runs.example.org", "127.0.0.1:8000", False),  # a proxy that asks for us by our address
        ("https://proxy.example.org:8443", "127.0.0.1:8000", False),
    ],
)
def test_origins_that_may_act(origin: str, host: str, secure: bool) -> None:
    """The page that we have served, and those that are allowed, may act."""
    OURS.check_origin(origin, host=host, secure=secure)


@pytest.mark.parametrize(
    ("origin", "host", "secure"),
    [
        ("http://evil.example", "127.0.0.1:8000", False),
        ("http://127.0.0.1:9000", "127.0.0.1:8000", False),
        ("http://localhost:8000", "127.0.0.1:8000", False),
        ("http://127.0.0.1", "127.0.0.1:8000", False),
        ("null", "127.0.0.1:8000", False),
        ("", "127.0.0.1:8000", False),
        ("file://", "127.0.0.1:8000", False),
        ("chrome-extension://127.0.0.1:8000", "127.0.0.1:8000", False),
        ("http://10.0.0.1", "10.0.0.1", True),  # a page that anybody on the way can have changed
        ("http://runs.example.org", "runs.example.org", True),
        ("https://proxy.example.org", "127.0.0.1:8000", False),
        ("https://runs.example.org.evil.example", "127.0.0.1:8000", False),
    ],
)
def test_origins_that_may_not(origin: str, host: str, secure: bool) -> None:
    """Any other page is refused, also one of this machine at another port."""
    with pytest.raises(BadRequest) as refused:
        OURS.check_origin(origin, host=host, secure=secure)
    assert (refused.value.status, refused.value.code) == (403, "origin_refused")
