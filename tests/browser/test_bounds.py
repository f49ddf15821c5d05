"""The page stays quick and small, however much there is to show."""

import re

from playwright.async_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TASK_ID, Json, MadeUpTask, busy_log, event, heap, record_ids, scroll_feed
from tests.support import Server

BURST = 5_000
LONG = 25_000
GROWTH_MAX = 8_000_000  # bytes; the 12 000 events are 2 MB as JSON
NODES_MAX = 2_500  # elements, of which some 700 are not the feed's


async def expect_bounded(page: Page) -> None:
    assert await page.evaluate("() => document.querySelectorAll('*').length") < NODES_MAX


async def test_a_burst_is_drawn_in_bounds(demo_server: Server, new_page: NewPage) -> None:
    """Thousands of events at once are taken, every one; all can be scrolled to, and few elements are there for it."""
    task = MadeUpTask(busy_log(1, BURST))
    page = await new_page()
    await task.attach(page)
    await page.goto(demo_server.url)
    await record_ids(page)
    await page.locator("a.row").click()
    await expect(page.locator(".card.message").last).to_contain_text(f"file_{(BURST - 1) // 10}.py")
    assert await page.evaluate("() => taken.length") == BURST
    await expect_bounded(page)
    await scroll_feed(page, 0)
    await expect(page.locator(".card.step", has_text="file_1.py")).to_be_visible()
    await expect_bounded(page)
    await scroll_feed(page, 0.5)
    await expect(page.locator(".card.message", has_text=re.compile(r"file_2[45]\d.py")).first).to_be_visible()
    await expect_bounded(page)


async def test_a_long_log_is_shown_from_near_its_end(demo_server: Server, new_page: NewPage) -> None:
    """The first screen does not wait for all events of a long log; it says so, and shows them all when asked."""
    task = MadeUpTask(
        busy_log(1, LONG),
        head=LONG,
        usage={"llm_calls": 9_000, "prompt_tokens": 1_000, "completion_tokens": 500, "cost_usd": 1.25},
    )
    task.files = [{"path": "early.py", "version": 1, "size": 12, "current": True, "versions": []}]
    idle: Json = {"before": "idle", "action": None, "file": None, "summary": None, "begins_with": None}
    role = {"agent_role": "Architect", "state": "done", "turns": 1} | idle | {"summary": "The design"}
    told = {"sender": "Architect", "receiver": "Engineer", "count": 7}
    task.team = {"attempt": 1, "roles": [role], "exchanges": [told]}
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator(".card.message").last).to_contain_text(f"file_{(LONG - 1) // 10}.py")
    await expect(page.locator("button.file")).to_contain_text("early.py")
    await expect(page.locator(".agent[data-role=Architect]")).to_contain_text("The design")
    await expect(page.locator(".edge")).to_have_attribute("aria-label", re.compile("7 messages$"))
    said = {"content": f"file_{(LONG - 1) // 10}.py", "cause_by": "", "sent_from": "", "send_to": ["Engineer"]}
    task.push(event(LONG + 1, "MESSAGE", "Architect", **said), event(LONG + 2, "LOG", level="INFO"))
    await expect(page.locator(".edge")).to_have_attribute("aria-label", re.compile("8 messages$"))
    await page.get_by_label("Moment of the run").evaluate(
        "(range) => ((range.value = '1205'), range.dispatchEvent(new Event('input')))"
    )
    await expect(page.locator(".replay-where")).to_contain_text("1,205 of")
    early = page.locator(":is(.lanes, .charts) .note:visible")
    await expect(early).to_have_count(0)
    await expect(page.locator(".lane[data-role=Engineer] .action")).to_have_attribute(
        "aria-label", re.compile("^120 actions")
    )
    await page.locator(".replay-now").click()
    await expect(page.locator(".lanes .count")).to_contain_text("last")
    await expect(early).to_contain_text(["Earlier time is not loaded."] * 2)
    assert task.subscribed_from == [LONG - 2_000]
    await expect(page.locator("[data-figure=calls] dd")).to_have_text("9,000")
    await expect(page.locator("[data-figure=cost] dd")).to_have_text("$1.25")
    await page.get_by_role("button", name="Show it from the start").click()
    await expect(page.locator(".note", has_text="This is a long log")).to_be_hidden()
    await expect(page.locator(".card.message").last).to_contain_text(f"file_{(LONG - 1) // 10}.py")
    assert task.subscribed_from == [LONG - 2_000, 0]
    await scroll_feed(page, 0)
    await expect(page.locator(".card.step", has_text="file_1.py")).to_be_visible()
    await expect_bounded(page)


async def test_a_steady_run_leaves_memory_flat(demo_server: Server, new_page: NewPage) -> None:
    """What a minute of 200 events a second leaves behind is their text, and little more."""
    task = MadeUpTask(busy_log(1, 2_000))
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator(".card.message").last).to_contain_text("file_199.py")
    before = await heap(page)
    for first in range(2_001, 14_001, 100):
        task.push(*busy_log(first, first + 99))
    await expect(page.locator(".card.message").last).to_contain_text("file_1399.py")
    assert await heap(page) - before < GROWTH_MAX
    await expect_bounded(page)


async def test_the_feed_forgets_its_oldest(demo_server: Server, new_page: NewPage) -> None:
    """However long a run is, the page keeps a bounded number of entries and of characters, and says what it dropped."""
    page = await new_page()
    await page.goto(demo_server.url)
    many = await page.evaluate(
        """async () => {
          const { FeedModel } = await import("/static/feed-model.js");
          const feed = new FeedModel();
          for (let id = 1; id <= 40_000; id += 1) feed.add({ event_id: id, agent_role: null, timestamp: null }, "gap");
          return [feed.entries.length + feed.dropped, feed.entries.length, feed.entries.at(-1).key];
        }"""
    )
    assert many[0] == 40_000
    assert many[1] <= 25_000
    assert many[2] == 40_000
    characters = await page.evaluate(
        """async () => {
          const { FeedModel } = await import("/static/feed-model.js");
          const feed = new FeedModel();
          for (let id = 1; id <= 1_000; id += 1)
            feed.message({ event_id: id, agent_role: null, payload: { content: "x".repeat(200_000) } });
          return feed.entries.reduce((sum, entry) => sum + entry.text.length, 0);
        }"""
    )
    assert characters < 25_000_000
