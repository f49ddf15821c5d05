"""What the dashboard costs those who open it."""

import re
from collections.abc import Callable
from typing import Any

from playwright.async_api import CDPSession, Request, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import expect_mode, expect_status, start
from tests.support import Server

FIRST_MAX = 200_000  # bytes transferred, headers included
RUN_MAX = 300_000  # bytes, with the log of a short run
REQUESTS_MAX = 80


async def test_the_first_view_is_light(demo_server: Server, new_page: NewPage) -> None:
    """The dashboard is opened with little, and a finished run too, code and its colours included; mermaid waits. Who
    comes again loads none of it.
    """
    page = await new_page()
    await page.goto(demo_server.url)
    await start(page, "A calculator")
    await expect_status(page, "SUCCEEDED")
    address = page.url
    for path, most in ((demo_server.url, FIRST_MAX), (address, RUN_MAX)):
        fresh = await new_page()
        asked: list[str] = []
        devtools = await fresh.context.new_cdp_session(fresh)
        await devtools.send("Network.enable")
        sizes = _sizes(devtools)
        fresh.on("request", _note_url(asked))
        await fresh.goto(path)
        await expect_mode(fresh, "live")
        if path == address:
            await expect(fresh.locator(".card.result")).to_be_visible()
            await expect(fresh.locator(".hl-keyword").first).to_be_attached()
        assert not [url for url in asked if re.search("mermaid|diagram-frame", url)]
        assert sum(sizes.values()) < most, path
        assert len(asked) < REQUESTS_MAX
        sizes.clear()
        await fresh.reload()
        await expect_mode(fresh, "live")
        assert sum(size for url, size in sizes.items() if "/static/" in url) == 0, path


def _sizes(devtools: CDPSession) -> dict[str, int]:
    """The bytes that are transferred, by address: of what comes from the browser's cache none."""
    urls: dict[str, str] = {}
    sizes: dict[str, int] = {}

    def finished(end: dict[str, Any]) -> None:
        sizes[urls[end["requestId"]]] = end["encodedDataLength"]

    devtools.on("Network.requestWillBeSent", lambda sent: urls.update({sent["requestId"]: sent["request"]["url"]}))
    devtools.on("Network.loadingFinished", finished)
    return sizes


def _note_url(asked: list[str]) -> Callable[[Request], None]:
    return lambda request: asked.append(request.url)
