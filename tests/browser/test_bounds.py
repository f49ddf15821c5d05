"""The page stays quick and small, however much there is to show."""

from playwright.async_api import expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TASK_ID, Json, MadeUpTask, event, record_ids
from tests.support import Server

BURST = 5_000
LONG = 25_000
NODES_MAX = 6_000


def busy_log(first: int, last: int) -> list[Json]:
    """A team that writes file after file: of ten events one begins an action, one ends it, one is a message."""
    kinds = {0: "ACTION_START", 8: "ACTION_COMPLETE", 9: "MESSAGE"}
    events = []
    for number in range(first, last + 1):
        kind = kinds.get(number % 10, "TOKEN")
        file = f"file_{number // 10}.py"
        payload: Json = {"call": f"call-{number // 10}", "delta": "def do():\n    return 1\n"}
        if kind == "MESSAGE":
            payload = {"content": f"{file} is written", "cause_by": "WriteCode", "sent_from": "Engineer", "send_to": []}
        elif kind != "TOKEN":
            payload = {"action": "WriteCode", "file": file, "duration_ms": 12}
        events.append(event(number, kind, "Engineer", **payload))
    return events


async def test_a_burst_is_drawn_in_bounds(demo_server: Server, new_page: NewPage) -> None:
    """Thousands of events at once are taken, every one, into a bounded page that says what it left out."""
    task = MadeUpTask(busy_log(1, BURST))
    page = await new_page()
    await task.attach(page)
    await page.goto(demo_server.url)
    await record_ids(page)
    await page.locator("a.row").click()
    await expect(page.locator(".card.message").last).to_contain_text(f"file_{(BURST - 1) // 10}.py")
    assert await page.evaluate("() => taken.length") == BURST
    assert await page.evaluate("() => document.querySelectorAll('*').length") < NODES_MAX
    await expect(page.locator(".note", has_text="older cards are not shown")).to_be_attached()


async def test_a_long_log_is_shown_from_near_its_end(demo_server: Server, new_page: NewPage) -> None:
    """The first screen does not wait for all events of a long log; it says so, and shows them all when asked."""
    task = MadeUpTask(
        busy_log(1, LONG),
        head=LONG,
        usage={"llm_calls": 9_000, "prompt_tokens": 1_000, "completion_tokens": 500, "cost_usd": 1.25},
    )
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator(".card.message").last).to_contain_text(f"file_{(LONG - 1) // 10}.py")
    assert task.subscribed_from == [LONG - 2_000]
    await expect(page.locator("[data-figure=calls] dd")).to_have_text("9,000")
    await expect(page.locator("[data-figure=cost] dd")).to_have_text("$1.25")
    await page.get_by_role("button", name="Show it from the start").click()
    await expect(page.locator(".note", has_text="This is a long log")).to_be_hidden()
    await expect(page.locator(".note", has_text="older cards are not shown")).to_be_attached()
    await expect(page.locator(".card.message").last).to_contain_text(f"file_{(LONG - 1) // 10}.py")
    assert task.subscribed_from == [LONG - 2_000, 0]
