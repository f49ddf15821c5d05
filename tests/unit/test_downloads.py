from io import BytesIO

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from server.downloads import BINARY, TEXT, download, media_type

CONTENT = bytes(range(100))
TAG = "a" * 64


def _get(content: bytes = CONTENT, **headers: str) -> tuple[int, bytes, str | None]:
    """Status, body and Content-Range of the answer to a request for a file."""

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        response = download(Request(scope), BytesIO(content), name="x.bin", size=len(content), sha256=TAG)
        await response(scope, receive, send)

    response = TestClient(app).get("/", headers={name.replace("_", "-"): value for name, value in headers.items()})
    if response.status_code != 304:
        assert int(response.headers["content-length"]) == len(response.content)
    return response.status_code, response.content, response.headers.get("content-range")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=90-", 90, 99),
        ("bytes=-5", 95, 99),
        ("bytes=50-999", 50, 99),
    ],
)
def test_a_range(asked: str, first: int, last: int) -> None:
    """A range of bytes is answered with just these (RFC 9110, section 14)."""
    assert _get(Range=asked) == (206, CONTENT[first : last + 1], f"bytes {first}-{last}/100")


@pytest.mark.parametrize("asked", ["bytes=9-1", "bytes=-", "lines=1-2", "bytes=0-1,5-6", "no", f"bytes={'9' * 5000}-"])
def test_a_range_that_is_ignored(asked: str) -> None:
    """What is no single range is answered with the whole."""
    assert _get(Range=asked) == (200, CONTENT, None)


@pytest.mark.parametrize(("tag", "status"), [(f'"{TAG}"', 206), ('"other"', 200)])
def test_a_range_of_a_known_file(tag: str, status: int) -> None:
    """With If-Range, the range is only of the file that is meant."""
    assert _get(Range="bytes=0-9", If_Range=tag)[0] == status


@pytest.mark.parametrize("known", [f'"{TAG}"', f'"x", W/"{TAG}"', "*"])
def test_a_file_that_is_known(known: str) -> None:
    """Who has the file already is told so, whatever range is asked for."""
    assert _get(If_None_Match=known, Range="bytes=500-") == (304, b"", None)


@pytest.mark.parametrize(
    ("name", "beginning", "expected"),
    [
        ("a.py", b"print()", "text/x-python; charset=utf-8"),
        ("a.JSON", b"{}", "application/json"),
        ("a.png", b"\x89PNG\0", "image/png"),
        ("a.py", b"\0", BINARY),
        ("a", b"\xff\xfe", BINARY),
        ("a", b"\xc3", BINARY),
        ("a", ("x" * 8191 + "é").encode()[:8192], TEXT),
        ("a", b"", TEXT),
        *((f"a.{ending}", b"<script>", TEXT) for ending in ("html", "htm", "xhtml", "svg", "js", "mjs", "css", "xml")),
    ],
)
def test_the_media_type(name: str, beginning: bytes, expected: str) -> None:
    """A file is what its name says if its bytes bear that out, and never what a browser runs or renders as a page."""
    assert media_type(name, beginning) == expected
