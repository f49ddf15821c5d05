"""What is pressed stays where it is until it is let go, whatever comes meanwhile."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TASK_ID, MadeUpTask, busy_log, event, expect_taken, next_frames, record_ids
from tests.support import Server

QUESTION = {"request_id": "ask-1", "question": "Good?", "choices": ["approve", "revise"], "role": "Architect"}
DRAFT = {"action": "WriteCode", "file": "draft.py"}


async def _open(server: Server, page: Page) -> MadeUpTask:
    """A team at work, with a question that is open and a file that is being written."""
    asked = event(501, "INPUT_REQUEST", "Architect", **QUESTION)
    begun = [
        event(502, "ACTION_START", "Engineer", **DRAFT),
        event(503, "TOKEN", "Engineer", call="c", delta="```python\ndef "),
    ]
    task = MadeUpTask([*busy_log(1, 500), asked, *begun], status="WAITING", waiting=QUESTION)
    await task.attach(page)
    await page.goto(f"{server.url}/tasks/{TASK_ID}")
    await expect(page.locator("[data-figure=events] dd")).to_have_text("503")
    await record_ids(page)
    return task


def _goes_on(task: MadeUpTask) -> None:
    """The file is written no more, and others are."""
    task.push(event(504, "ACTION_COMPLETE", "Engineer", **DRAFT, duration_ms=5), *busy_log(505, 600))


@pytest.mark.parametrize(
    ("pressed", "follows"),
    [
        (".card.question button:visible", ".question-panel button:focus"),
        (".file.draft", ".viewer[open]"),
    ],
)
async def test_what_is_pressed_is_clicked(demo_server: Server, new_page: NewPage, pressed: str, follows: str) -> None:
    """An event that comes between a press and its release changes nothing of the click; it is shown after that."""
    page = await new_page(viewport={"width": 1400, "height": 1000})
    task = await _open(demo_server, page)
    await page.locator(pressed).last.hover()
    await page.mouse.down()
    _goes_on(task)
    await expect_taken(page, 600)
    await page.mouse.up()
    await expect(page.locator(follows).first).to_be_visible()
    await expect(page.locator("[data-figure=events] dd")).to_have_text("600")


async def test_a_pause_is_pressed_while_it_plays(demo_server: Server, new_page: NewPage) -> None:
    """A replay that plays does not take its button away under the pointer."""
    page = await new_page()
    slow = [{**event(number, "LOG"), "timestamp": f"2026-01-01T12:0{number}:00.000000Z"} for number in range(1, 9)]
    await MadeUpTask([event(1, "STATUS", status="RUNNING", attempt=1), *slow[1:]]).attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await page.locator(".replay-play").click()
    pause = page.get_by_role("button", name="Pause")
    await pause.hover()
    await page.mouse.down()
    await next_frames(page)
    await page.mouse.up()
    await expect(pause).to_be_hidden()
    await expect(page.locator(".task")).to_have_attribute("data-replaying", "")


async def test_what_a_person_moves_is_followed(demo_server: Server, new_page: NewPage) -> None:
    """While the moment of a replay is dragged, the feed shows its end: that is what the person does."""
    task = MadeUpTask(busy_log(1, 2_000))
    page = await new_page(viewport={"width": 1400, "height": 1000})
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator(".card.message").last).to_contain_text("file_199.py")
    box = await page.get_by_label("Moment of the run").bounding_box()
    assert box
    await page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2)
    at = int(await page.get_by_label("Moment of the run").input_value())
    await expect(page.locator(".card.message").last).to_contain_text(f"file_{(at - 9) // 10}.py")
    await expect(page.locator(".card.message").last).to_be_in_viewport()


async def test_a_row_of_the_list_is_clicked(demo_server: Server, new_page: NewPage) -> None:
    """A task that is begun while a row is pressed comes into the list after that."""
    page = await new_page()
    task = MadeUpTask([])
    await task.attach(page)
    await page.goto(demo_server.url)
    await page.locator(f"a.row[href='/tasks/{TASK_ID}']").hover()
    await page.mouse.down()
    async with page.expect_request(re.compile(r"[?&]limit=1$")):  # the page has heard, and counts
        task.add_newer(id="another")
    await next_frames(page)
    await page.mouse.up()
    await expect(page).to_have_url(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator("a.row[href='/tasks/another']")).to_be_visible()


@pytest.mark.parametrize(
    "turn",
    [
        "dispatchEvent(new PointerEvent('pointercancel'))",
        "document.body.dispatchEvent(new DragEvent('dragstart', { bubbles: true }))",
        "document.body.dispatchEvent(new MouseEvent('contextmenu', { bubbles: true }))",
        "dispatchEvent(new FocusEvent('blur'))",
        "dispatchEvent(new PointerEvent('pointermove', { pointerId: 7, buttons: 0 }))",
    ],
)
async def test_a_press_that_is_never_let_go(demo_server: Server, new_page: NewPage, turn: str) -> None:
    """Scrolling, dragging, a menu, another window or a move without a button end a press whose release is not told."""
    page = await new_page()
    task = await _open(demo_server, page)
    await page.evaluate(
        "document.body.dispatchEvent("
        "new PointerEvent('pointerdown', { pointerId: 7, isPrimary: true, button: 0, bubbles: true }))"
    )
    _goes_on(task)
    await expect_taken(page, 600)
    await expect(page.locator("[data-figure=events] dd")).to_have_text("503")
    await page.evaluate(turn)
    await expect(page.locator("[data-figure=events] dd")).to_have_text("600")
