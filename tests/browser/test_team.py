"""Who tells whom, who uses what, and the keys: on a task that a test makes up."""

import re

from playwright.async_api import expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TALL, TASK_ID, Json, MadeUpTask, event, expect_status
from tests.support import Server


def team_log() -> list[Json]:
    """A person and the product manager tell everyone, and the next begins; the architect tells one role, twice."""
    manager, architect = "ProductManager", "Architect"

    def told(number: int, sender: str | None, to: str, content: str) -> Json:
        said = {"content": content, "cause_by": "", "sent_from": sender or "Human", "send_to": [to]}
        return event(number, "MESSAGE", sender, **said)

    spent: Json = {"call": "1", "model": "m", "prompt_tokens": 700, "completion_tokens": 100, "cost_usd": 0.5}
    return [
        event(1, "STATUS", status="RUNNING", attempt=1),
        told(2, None, "<all>", "An idea"),
        event(3, "AGENT_START", manager),
        event(4, "LLM_CALL", manager, **spent),
        event(5, "RESOURCE", cpu_percent=12.0, rss_bytes=80_000_000),
        told(6, manager, "<all>", "The requirements"),
        event(7, "AGENT_COMPLETE", manager),
        event(8, "AGENT_START", architect),
        event(9, "LLM_CALL", architect, **spent),
        told(10, architect, "Engineer", "The design"),
        told(11, architect, "Engineer", "More of it"),
        event(12, "RESOURCE", cpu_percent=24.0, rss_bytes=160_000_000) | {"timestamp": "2026-01-01T12:00:10Z"},
    ]


async def test_arrows_and_figures(demo_server: Server, new_page: NewPage) -> None:
    """An arrow counts what passed and shows it in the feed; tokens and cost are told by role, against the budget, and
    what there was at the time that the pointer is at.
    """
    page = await new_page(viewport={"width": 1600, "height": 1000})
    spent = {"llm_calls": 1, "prompt_tokens": 700, "completion_tokens": 100, "cost_usd": 0.5}
    by_role = {"ProductManager": spent, "Architect": spent}
    usage = {"llm_calls": 2, "prompt_tokens": 1400, "completion_tokens": 200, "cost_usd": 1.0, "by_role": by_role}
    await MadeUpTask(team_log(), usage=usage, options={"budget_usd": 4, "budget_tokens": 2000}).attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    arrows = page.locator(".graph .edge")
    await expect(arrows).to_have_count(3)
    await expect(page.get_by_role("button", name="A person to Product manager: 1 message")).to_be_attached()
    await page.get_by_role("button", name="Architect to Engineer: 2 messages").press("Enter")
    cards = page.locator(".card.message:visible")
    await expect(cards).to_have_count(2)
    await expect(cards.first).to_contain_text("The design")
    await page.get_by_role("search", name="Filter the feed").get_by_role("button", name="Show all").click()
    await expect(cards).to_have_count(4)
    charts = page.locator(".charts")
    await expect(charts.get_by_role("meter", name="Tokens")).to_have_attribute("aria-valuetext", "1,600 of 2,000")
    await expect(charts.get_by_role("meter", name="Cost")).to_have_attribute("aria-valuenow", "25")
    await expect(charts.locator("li[data-role=Architect]")).to_contain_text("800 tokens")
    memory = charts.get_by_role("img", name="Memory: now 152.6 MB")
    await memory.hover(position={"x": 3, "y": 3})
    await expect(charts.locator(".chart-value")).to_have_text(["1,600", "$1.00", "12 %", "76.3 MB"])
    await page.mouse.move(0, 0)
    await expect(charts.locator(".chart-value")).to_have_text(["1,600", "$1.00", "24 %", "152.6 MB"])


async def test_keys(demo_server: Server, new_page: NewPage) -> None:
    """Keys do what the sheet says, not while one writes, and not when they are turned off."""
    page = await new_page()
    await MadeUpTask(team_log()).attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    marked = page.locator(".card[aria-current]")
    await expect(page.locator(".card.message").last).to_contain_text("More of it")
    await page.keyboard.press("k")
    await page.keyboard.press("k")
    await expect(marked).to_contain_text("The design")
    await page.keyboard.press("Escape")
    await expect(marked).to_have_count(0)
    assert "#" not in page.url
    await page.keyboard.press("2")
    await expect(page.locator(".agent[data-role=Architect]")).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("m")
    await page.keyboard.type("k0?")
    await expect(page.get_by_label("Message to the team")).to_have_value("k0?")
    await page.get_by_role("button", name="Keyboard").click()
    sheet = page.get_by_role("dialog", name="Keyboard")
    await expect(sheet).to_contain_text("Play, pause")
    await sheet.get_by_label("Use these keys").uncheck()
    await page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await page.keyboard.press("?")
    await page.keyboard.press("k")
    await expect(sheet).to_be_hidden()
    await expect(marked).to_have_count(0)


async def test_a_new_attempt_begins_anew(demo_server: Server, new_page: NewPage) -> None:
    """Cards and arrows tell of the last attempt, and say of which; what only an earlier one wrote is marked so. A run
    that was stopped when its team had just finished was stopped; who was done by then, and nobody else, is done.
    """
    said = {"content": "x", "cause_by": "", "sent_from": ""}
    written = {"version": 1, "size": 1, "sha256": ""}
    task = MadeUpTask(
        [
            event(1, "STATUS", status="QUEUED", attempt=1),
            event(2, "STATUS", status="RUNNING", attempt=1),
            event(3, "MESSAGE", "ProductManager", send_to=["Architect"], **said),
            event(4, "AGENT_START", "Architect"),
            event(5, "ARTIFACT", "Architect", path="old.md", **written),
            event(6, "ARTIFACT", "Architect", path="both.md", **written),
            event(7, "AGENT_COMPLETE", "Architect", summary="The first design"),
            event(8, "AGENT_START", "Engineer"),
            event(9, "ACTION_START", "Engineer", action="WriteCode", file="a.py"),
        ]
    )
    page = await new_page(viewport=TALL)
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    engineer, architect = (page.locator(f".agent[data-role={role}]") for role in ("Engineer", "Architect"))
    await expect(engineer).to_have_attribute("data-state", "working")
    await expect(page.locator(".edge")).to_have_attribute("aria-label", re.compile("1 message$"))
    task.push(event(10, "STATUS", status="QUEUED", attempt=2))
    await expect(engineer).to_have_attribute("data-state", "idle")
    await expect(architect).not_to_contain_text("The first design")
    await expect(page.locator(".edge")).to_have_count(0)
    await expect(page.locator(".agents, .graph")).to_contain_text([re.compile("ttempt 2"), re.compile("Attempt 2")])
    cards, last = [await page.locator(f".agent{which}").bounding_box() for which in ("-cards", " >> nth=-1")]
    assert cards and last and abs(cards["x"] + cards["width"] - last["x"] - last["width"]) < 1  # they fill their line
    task.push(
        event(11, "STATUS", status="RUNNING", attempt=2),
        event(12, "MESSAGE", "ProductManager", send_to=["Architect"], **said),
        event(13, "ARTIFACT", "Engineer", path="both.md", **written),
        event(14, "RESULT", final_result={"artifacts": [{"path": "both.md", **written}]}),
    )
    await expect(page.locator(".edge")).to_have_attribute("aria-label", re.compile("1 message$"))
    await page.locator(".edge").press("Enter")
    await expect(page.locator(".card.message")).to_have_count(1)
    await expect(page.locator("button.file", has=page.locator(".file-former:visible"))).to_contain_text(["old.md"])
    await expect_status(page, "RUNNING")
    task.push(
        event(15, "AGENT_START", "Architect"),
        event(16, "AGENT_COMPLETE", "Architect", summary="The second design"),
        event(17, "AGENT_START", "Engineer"),
        event(18, "AGENT_COMPLETE", "Engineer", summary="Was cancelled", failed=False, cancelled=True),
        event(19, "STATUS", status="CANCELLED", attempt=2),
    )
    await expect_status(page, "CANCELLED")
    await expect(page.locator(".agent[data-state=done]")).to_contain_text(["The second design"])
    await expect(page.locator(".task")).not_to_contain_text("has finished")
