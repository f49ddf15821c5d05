"""Words are found in the list of tasks, and in the events of a task."""

import re

from playwright.async_api import expect

from tests.browser.conftest import NewPage
from tests.browser.pages import expect_status
from tests.browser.test_hostile import MARKUP, expect_unharmed
from tests.support import Server, client


async def test_words_are_found_in_tasks(demo_server: Server, new_page: NewPage) -> None:
    """The list shows the tasks that have what is typed, with where, as text whatever it holds."""
    async with client(demo_server) as api:
        found = await api.create(f"A game about otters {MARKUP}", title="A circus")
        other = await api.create("A game about badgers")
    page = await new_page()
    await page.goto(demo_server.url)
    await expect(page.locator(f"a[href='/tasks/{other}']")).to_be_visible()
    await page.get_by_label("Search tasks").fill("game otter")
    await expect(page.locator(f"a[href='/tasks/{other}']")).to_have_count(0)
    row = page.locator(f"a[href='/tasks/{found}']")
    await expect(row.locator("mark")).to_have_text(["game", "otters"])
    await expect(row.locator(".snippet")).to_contain_text(MARKUP[:20])
    await expect_unharmed(page)
    counts = page.locator(".status-filter button")
    await expect(counts).to_have_text(["All1", "Not started1"])
    # What changes meanwhile is counted among what is found, too.
    async with client(demo_server) as api, page.expect_response(re.compile(r"[?&]limit=1$")):
        await api.create("Another game about otters", title="Otters")
        await api.create("Another game about badgers")
    await expect(counts).to_have_text(["All2", "Not started2"])
    await page.get_by_label("Search tasks").fill("")
    await expect(page.locator(f"a[href='/tasks/{other}']")).to_be_visible()
    await expect(row.locator(".snippet")).to_have_count(0)


async def test_an_event_is_found_and_shown(demo_server: Server, new_page: NewPage) -> None:
    """What is typed in a task is found in its events, page by page, and a click shows the card where it stands."""
    async with client(demo_server) as api:
        task_id = await api.finished("A calculator that knows Roman numerals")
    page = await new_page()
    await page.goto(f"{demo_server.url}/tasks/{task_id}")
    await expect_status(page, "SUCCEEDED")
    await page.locator(".search summary").click()
    field = page.get_by_label("Search in this task")
    await expect(field).to_be_focused()
    await field.fill("calc")
    await expect(page.locator(".finding")).to_have_count(20)
    await page.locator(".search").get_by_role("button", name="Show more").click()
    await expect(page.locator(".finding")).not_to_have_count(20)
    await expect(page.locator(".finding").nth(20)).to_be_focused()
    await field.fill('"roman numerals" zebra')
    await expect(page.locator(".search .note")).to_have_text("Nothing was found.")
    await field.fill('"calculator that knows"')
    first = page.locator(".finding").last
    await expect(first.locator("mark")).to_have_text("calculator that knows")
    # However much stands before it, what was found is in sight.
    shown = await page.evaluate(
        """async () => {
          const { snippet } = await import("/static/snippet.js");
          return snippet(["🐍".repeat(99), "found", "after"]).textContent;
        }"""
    )
    assert shown == f"…{'🐍' * 60}foundafter"
    await first.click()
    card = page.locator(".card[aria-current]")
    await expect(card).to_contain_text("A calculator that knows Roman numerals")
    await expect(card).to_be_in_viewport()
