"""What the dashboard costs those who open it."""

import re

from playwright.async_api import expect

from tests.browser.conftest import NewPage
from tests.browser.pages import expect_mode, expect_status, start
from tests.support import Server

TRANSFERRED_MAX = 200_000  # bytes, headers included
REQUESTS_MAX = 80


async def test_the_first_view_is_light(demo_server: Server, new_page: NewPage) -> None:
    """A finished run is opened with little, code and its colours included; mermaid waits until a diagram is near."""
    page = await new_page()
    await page.goto(demo_server.url)
    await start(page, "A calculator")
    await expect_status(page, "SUCCEEDED")
    address = page.url
    fresh = await new_page()
    sizes: list[int] = []
    asked: list[str] = []
    devtools = await fresh.context.new_cdp_session(fresh)
    await devtools.send("Network.enable")
    devtools.on("Network.loadingFinished", lambda end: sizes.append(end["encodedDataLength"]))
    fresh.on("request", lambda request: asked.append(request.url))
    await fresh.goto(address)
    await expect_mode(fresh, "live")
    await expect(fresh.locator(".card.result")).to_be_visible()
    await expect(fresh.locator(".hl-keyword").first).to_be_attached()
    assert not [url for url in asked if re.search("mermaid|diagram-frame", url)]
    assert sum(sizes) < TRANSFERRED_MAX
    assert len(asked) < REQUESTS_MAX
