"""A person whose task has to wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import expect_mode, expect_status, start
from tests.browser.proxy import Proxy
from tests.support import Server, client


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Server]:
    """A server with one place to run, whose runs do not end by themselves."""
    with Server(tmp_path / "data", DEMO_PACE=100, CONCURRENCY=1) as server:
        yield server


def _row(page: Page, task_id: str) -> Locator:
    return page.locator(f"a.row[href='/tasks/{task_id}'] .status")


@pytest.mark.parametrize("mode", ["live", "polling"])
async def test_a_place_in_the_queue(narrow: Server, new_page: NewPage, mode: str) -> None:
    """A queued task shows its place and why it waits, on its page and in the list, as the queue moves on."""
    async with client(narrow) as api, Proxy(narrow.url) as proxy:
        running, first = await api.started(), await api.started()
        proxy.refuses_upgrades = mode == "polling"
        page = await new_page(cuts=proxy.refuses_upgrades)
        await page.goto(proxy.url)
        await expect_mode(page, mode)
        last = await start(page, "Something that has to wait")
        await expect(page.locator(".reason")).to_contain_text("Number 2 in the queue. All places are taken (1)")
        await expect(_row(page, last)).to_have_text("Queued, number 2")
        await expect(_row(page, first)).to_have_text("Queued, number 1")
        await api.stop(first)
        await expect(page.locator(".reason")).to_contain_text("Number 1 in the queue")
        await api.http.post("/api/admin/drain", json={"drain": True})
        await expect(page.locator(".reason")).to_contain_text("The server is draining")
        await api.http.post("/api/admin/drain", json={"drain": False})
        await api.stop(running)
        await expect_status(page, "RUNNING")
        await expect(page.locator(".reason")).to_be_hidden()
        await expect(_row(page, last)).to_have_text("Running")
