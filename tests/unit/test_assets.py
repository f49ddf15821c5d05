"""The dashboard's files as a browser gets them."""

from pathlib import Path

import httpx
import pytest

from server.assets import Assets

TEXT = "export const answer = 42;\n" * 100
PACKED = {"Accept-Encoding": "gzip, br"}
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture
def client(tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "page.js").write_text(TEXT)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    return httpx.AsyncClient(transport=httpx.ASGITransport(Assets(tmp_path)), base_url="http://test")


async def test_files_are_compressed_for_whoever_takes_it(client: httpx.AsyncClient) -> None:
    """Text comes as gzip where that is understood, what is compressed already and parts of files as they are."""
    packed = await client.get("/page.js", headers=PACKED)
    assert packed.text == TEXT
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(TEXT) / 4
    for path, headers in (("page.js", PLAIN), ("picture.png", PACKED), ("page.js", PACKED | {"Range": "bytes=0-5"})):
        answer = await client.get(f"/{path}", headers=headers)
        assert "content-encoding" not in answer.headers
    assert answer.text == TEXT[:6]


async def test_a_changed_file_is_seen_at_once(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """What a browser has is confirmed while it is the same, and never used unasked."""
    first = await client.get("/page.js", headers=PACKED)
    assert first.headers["cache-control"] == "no-cache"
    asked = PACKED | {"If-None-Match": first.headers["etag"]}
    assert (await client.get("/page.js", headers=asked)).status_code == 304
    (tmp_path / "page.js").write_text("export const answer = 43;\n")
    assert (await client.get("/page.js", headers=asked)).text == "export const answer = 43;\n"
