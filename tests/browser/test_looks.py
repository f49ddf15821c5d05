"""Phone and desktop, light and dark. The pictures are for people to look at: tests/screenshots."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TASK_ID, MadeUpTask, event, expect_mode, expect_status, overflow, see, start
from tests.browser.test_replay import scrub
from tests.support import Server, client

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
SIZES = {"phone": (360, 740), "tablet": (820, 1100), "desktop": (1440, 900), "wide": (2200, 1200)}
AXE_SIZES = ("phone", "desktop")  # the others have the same elements, as has what is dark
FEW = ("desktop", "phone")  # for what is laid out as its neighbours are
CONTRAST_MIN = 4.5  # WCAG 2.2 AA, text of normal size

_LOW_CONTRAST = Path(__file__).with_name("contrast.js").read_text()
_AXE = Path(__file__).with_name("vendor").joinpath("axe", "axe.min.js").read_text()
_VIOLATIONS = """async (tags) => {
  // What a model writes has headings of any level.
  const rules = { "heading-order": { enabled: false } };
  const { violations } = await axe.run(document, { rules, runOnly: { type: "tag", values: tags } });
  // What is just scrolled beneath a bar that sticks is as large as it was.
  const isLarge = (node) => Math.min(node.offsetWidth, node.offsetHeight) >= 24;
  const isCovered = (id, { target }) => id === "target-size" && isLarge(document.querySelector(target[0]));
  return violations
    .map(({ id, nodes }) => ({ id, nodes: nodes.filter((node) => !isCovered(id, node)) }))
    .filter(({ nodes }) => nodes.length)
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 200)).join(" ")}`);
}"""
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def shoot(page: Page, screen: str, sizes: Iterable[str] = SIZES) -> None:
    """A picture in each size, and what can be checked without looking: nothing sticks out, every text can be read,
    and axe finds nothing that would keep somebody out.
    """
    SCREENSHOTS.mkdir(exist_ok=True)
    for size in sizes:
        width, height = SIZES[size]
        await page.set_viewport_size({"width": width, "height": height})
        await page.screenshot(path=SCREENSHOTS / f"{screen}-{size}.png")  # at first, for what is seen may go on
        assert await overflow(page) <= 0, f"{screen} at {size}"
        assert await page.evaluate(_LOW_CONTRAST, CONTRAST_MIN) == [], f"{screen} at {size}"
        if size in AXE_SIZES and not screen.startswith("dark"):
            await page.evaluate(_AXE)
            assert await page.evaluate(_VIOLATIONS, WCAG) == [], f"{screen} at {size}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_screen(demo_server: Server, new_page: NewPage, scheme: Literal["light", "dark"]) -> None:
    """Every screen fits every size, in colours that can be read, and stands still where motion is not wanted."""
    page = await new_page(color_scheme=scheme, reduced_motion="reduce", viewport={"width": 1440, "height": 900})
    await page.goto(demo_server.url)
    await expect_mode(page, "live")
    await page.get_by_text("Options", exact=True).click()
    await shoot(page, f"{scheme}-1-form")
    await page.get_by_text("Options", exact=True).click()
    await start(page, "A to-do list with due dates", options=["Project manager"])
    await expect_status(page, "WAITING")
    await shoot(page, f"{scheme}-2-question", FEW)
    await page.set_viewport_size({"width": 1440, "height": 900})  # where the end of the feed is in view
    await page.locator(".question-panel").get_by_role("button", name="Approve").click()
    await see(page, ".card.step[data-state=running]")
    await shoot(page, f"{scheme}-3-running", FEW)
    await expect_status(page, "SUCCEEDED")
    await shoot(page, f"{scheme}-4-done")
    assert await page.evaluate("() => document.getAnimations().filter((a) => a.playState === 'running').length") == 0
    await scrub(page, 0.5)
    await expect(page.locator(".task[data-replaying]")).to_be_visible()
    await shoot(page, f"{scheme}-5-replay", FEW)
    await page.keyboard.press("l")
    await page.keyboard.press("?")
    await shoot(page, f"{scheme}-6-keyboard", FEW)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_what_has_gone_wrong(demo_server: Server, new_page: NewPage, scheme: Literal["light", "dark"]) -> None:
    """A run that failed and cannot be run again, a file that is not there, no such task, and a wrong form."""
    page = await new_page(cuts=True, color_scheme=scheme, reduced_motion="reduce")
    reason = "The time limit of 3 s was reached."
    await MadeUpTask(
        [
            event(1, "STATUS", status="RUNNING", attempt=1, message="The team is at work."),
            event(2, "ACTION_START", "Engineer", action="WriteCode", file="main.py"),
            event(3, "TOKEN", "Engineer", call="1", delta="```python\nimport sys\n"),
            event(4, "ARTIFACT", "Engineer", path="game/main.py", version=1, size=11),
            event(5, "ERROR", error_type="RunFailed", message=reason, fatal=True),
            event(6, "STATUS", status="FAILED", attempt=1, reason=reason),
        ],
        status="FAILED",
        reason=reason,
    ).attach(page)
    await page.route("**/run", lambda route: route.abort())
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await page.get_by_role("button", name="Go on").click()
    await expect(page.locator(".notice")).to_contain_text("Try again when the connection is back.")
    await shoot(page, f"{scheme}-7-failed", FEW)
    await page.goto(f"{demo_server.url}/#/tasks/{TASK_ID}/files/game/main.py")
    await expect(page.locator(".viewer")).to_contain_text("could not be loaded")
    await shoot(page, f"{scheme}-8-no-file", FEW)
    await page.goto(f"{demo_server.url}/tasks/no-such-task")
    await expect(page.get_by_role("heading", name="There is no such task")).to_be_visible()
    await shoot(page, f"{scheme}-9-no-task", FEW)
    await page.get_by_role("link", name="New task").click()
    await page.get_by_role("button", name="Start the team").click()
    await expect(page.get_by_text("Describe what the team should build.")).to_be_visible()
    await shoot(page, f"{scheme}-10-wrong-form", FEW)


async def test_colours_of_the_system(demo_server: Server, new_page: NewPage) -> None:
    """Where the system gives the colours, what is told by a ground can still be told apart from what is beside it."""
    page = await new_page(forced_colors="active")
    await MadeUpTask([event(1, "STATUS", status="RUNNING", attempt=1)], progress=0.5).attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    pressed = ".status-filter button[aria-pressed={}]"
    for shown, beside in (
        (".summary .bar-fill", ".summary .bar"),
        (pressed.format("true"), pressed.format("false")),
        (".connection .dot", ".connection"),
    ):
        await expect(page.locator(beside)).to_be_visible()
        grounds = [
            await page.locator(selector).evaluate("(node) => getComputedStyle(node).backgroundColor")
            for selector in (shown, beside)
        ]
        assert grounds[0] != grounds[1], shown


async def test_a_phone_begins_at_the_top(demo_server: Server, new_page: NewPage) -> None:
    """What is drawn above the feed, one after the other, does not scroll a page that stands at its top."""
    async with client(demo_server) as api:
        task_id = await api.finished("A to-do list")
    page = await new_page(viewport={"width": 360, "height": 740})
    await page.goto(f"{demo_server.url}/tasks/{task_id}")
    await expect(page.locator(".lane .item").first).to_be_attached()
    await expect(page.locator(".card").first).to_be_attached()
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert await page.evaluate("() => scrollY") == 0


async def test_the_keyboard_reaches_everything(demo_server: Server, new_page: NewPage) -> None:
    """Tab goes from the skip link through the bar to the form; what has the focus shows it; Enter follows links."""
    page = await new_page()
    await page.goto(demo_server.url)
    reached = []
    for _ in range(12):
        await page.keyboard.press("Tab")
        focused = page.locator(":focus")
        reached.append(await focused.evaluate("(node) => node.getAttribute('aria-label') ?? node.innerText ?? ''"))
        outline = await focused.evaluate("(node) => getComputedStyle(node).outlineStyle")
        assert outline != "none", reached[-1]
    assert reached[0] == "Skip to the content"
    assert "New task" in reached
    assert "Start the team" in reached
    assert "Search tasks" in reached
    await expect(page.locator("#announcer")).to_have_attribute("aria-live", "polite")
