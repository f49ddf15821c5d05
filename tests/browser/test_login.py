"""The dashboard of a server that lets in who has a token."""

from playwright.async_api import Page, expect

from server.tokens import TokenFile, id_of
from tests.browser.conftest import Guarded, NewPage
from tests.browser.pages import expect_mode, expect_status, overflow, start
from tests.support import client, new_token


async def _log_in(page: Page, token: str) -> None:
    await page.get_by_label("Token", exact=True).fill(token)
    await page.get_by_role("button", name="Log in").click()


async def test_an_operator_logs_in(guarded: Guarded, new_page: NewPage) -> None:
    """Without a token there is the login alone; with one everything works, until one logs out."""
    page = await new_page(cuts=True, viewport={"width": 360, "height": 740})
    await page.goto(f"{guarded.server.url}/tasks/anything")
    await expect(page.get_by_label("Token", exact=True)).to_be_focused()
    await expect(page.locator(".tasks, .connection, .new")).to_have_count(3)
    for hidden in await page.locator(".tasks, .connection, .new").all():
        await expect(hidden).to_be_hidden()
    assert await overflow(page) <= 0
    await _log_in(page, "mgl_wrong")
    await expect(page.get_by_role("alert")).to_contain_text("lets nobody in")
    await page.goto(guarded.server.url)
    await _log_in(page, guarded.operator)
    await expect_mode(page, "live")
    assert "metagpt_live" not in await page.evaluate("() => document.cookie")
    await start(page, "hangman")
    await expect_status(page, "SUCCEEDED")
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("Token", exact=True)).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("Token", exact=True)).to_be_visible()


async def test_a_viewer_watches(guarded: Guarded, new_page: NewPage) -> None:
    """A viewer sees tasks, and nothing to act with; when the token is revoked, the login."""
    async with client(guarded.server, token=guarded.operator) as api:
        task_id = await api.started(options={"review": ["ProductManager"]})
        await api.until_status(task_id, "WAITING")
    token = new_token(guarded.file, role="viewer")
    page = await new_page(cuts=True)
    await page.goto(guarded.server.url)
    await _log_in(page, token)
    await expect(page.locator("main")).to_contain_text("an operator can start one")
    await expect(page.get_by_label("Your idea")).to_be_hidden()
    await page.goto(f"{guarded.server.url}/tasks/{task_id}")
    await expect_status(page, "WAITING")
    await expect(page.locator(".question-panel")).to_contain_text("an operator can answer")
    for button in await page.locator(".summary .buttons button, .question-panel button, .composer, .new").all():
        await expect(button).to_be_hidden()
    TokenFile(guarded.file).revoke(id_of(token))
    await expect(page.get_by_label("Token", exact=True)).to_be_visible()
    await expect(page.locator(".task")).to_have_count(0)
