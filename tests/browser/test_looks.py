"""Phone and desktop, light and dark. The pictures are for people to look at: tests/screenshots."""

from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import expect_mode, expect_status, overflow, see, start
from tests.support import Server, client

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
SIZES = {"phone": (360, 740), "tablet": (820, 1100), "desktop": (1440, 900), "wide": (2200, 1200)}
AXE_SIZES = ("phone", "desktop")  # the others have the same elements
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


async def shoot(page: Page, screen: str) -> None:
    """A picture in each size, and what can be checked without looking: nothing sticks out, every text can be read,
    and axe finds nothing that would keep somebody out.
    """
    SCREENSHOTS.mkdir(exist_ok=True)
    for size, (width, height) in SIZES.items():
        await page.set_viewport_size({"width": width, "height": height})
        assert await overflow(page) <= 0, f"{screen} at {size}"
        assert await page.evaluate(_LOW_CONTRAST, CONTRAST_MIN) == [], f"{screen} at {size}"
        if size in AXE_SIZES:
            await page.evaluate(_AXE)
            assert await page.evaluate(_VIOLATIONS, WCAG) == [], f"{screen} at {size}"
        await page.screenshot(path=SCREENSHOTS / f"{screen}-{size}.png")


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
    await shoot(page, f"{scheme}-2-question")
    await page.locator(".question-panel").get_by_role("button", name="Approve").click()
    await see(page, ".card.step[data-state=running]")
    await shoot(page, f"{scheme}-3-running")
    await expect_status(page, "SUCCEEDED")
    await shoot(page, f"{scheme}-4-done")
    assert await page.evaluate("() => document.getAnimations().filter((a) => a.playState === 'running').length") == 0


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
