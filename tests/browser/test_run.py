"""A person starts teams, watches them, and takes part."""

import re

from playwright.async_api import expect

from tests.browser.conftest import NewPage
from tests.browser.pages import (
    TALL,
    TASK_ID,
    MadeUpTask,
    event,
    expect_every_id,
    expect_status,
    record_ids,
    see,
    start,
)
from tests.support import Server

ROLES = ("ProductManager", "Architect", "ProjectManager", "Engineer", "QaEngineer")


async def test_an_idea_becomes_files_before_the_eyes(demo_server: Server, new_page: NewPage) -> None:
    """Typed in the form, an idea runs to its end with every role, their messages and their files shown."""
    page = await new_page(viewport=TALL)
    await page.goto(demo_server.url)
    await record_ids(page)
    await start(page, "A snake game for the terminal", options=["Write and run tests"])
    await see(page, ".card.step[data-state=running] .prose:not(:empty)")
    await expect(page.locator(".summary .demo")).to_be_visible()
    await expect_status(page, "SUCCEEDED")
    await expect_every_id(page)
    for role in ROLES:
        await expect(page.locator(f".agent[data-role={role}]")).to_have_attribute("data-state", "done")
        await expect(page.locator(f".agent[data-role={role}] .agent-tokens")).to_contain_text("tokens")
        await expect(page.locator(f".card.message[data-role={role}]").first).to_be_attached()
    await expect(page.locator(".card.message").first).to_contain_text("A snake game for the terminal")
    await expect(page.locator(".file-name", has_text=re.compile(r"^main\.py$"))).to_be_visible()
    await expect(page.locator(".bar").first).to_have_attribute("aria-valuenow", "100")
    row = page.locator("a.row[aria-current=page]")
    await expect(row).to_contain_text("Succeeded")
    await expect(row).to_contain_text("Demo model")
    await page.locator("button.file", has_text=re.compile(r"^main\.py")).click()
    await expect(page.locator(".viewer .code .hl-keyword").first).to_be_visible()


async def test_wrong_options_are_told_beside_their_fields(demo_server: Server, new_page: NewPage) -> None:
    """The form knows from the server what its options may be, in the units of the form; each wrong one is said at its
    field, all at once, and what was typed is kept.
    """
    page = await new_page()
    await page.goto(demo_server.url)
    await page.get_by_label("Your idea").fill("Anything")
    await page.get_by_text("Options", exact=True).click()
    wrong = {
        "Priority": ("6", "Enter a whole number from \N{MINUS SIGN}5 to 5."),
        "Rounds": ("1.5", "Enter a whole number from 1 to 100."),
        "Time limit, minutes": ("20000", "Enter a number above 0 and up to 10,080."),
        "Budget, US$": ("0", "Enter a number above 0 and up to 1,000,000."),
    }
    await expect(page.get_by_label("Time limit, minutes")).to_have_attribute("placeholder", "60 if empty")
    for label, (typed, _) in wrong.items():
        await page.get_by_label(label).fill(typed)
    await page.get_by_role("button", name="Start the team").click()
    for label, (typed, told) in wrong.items():
        field = page.locator(".field", has=page.get_by_label(label))
        await expect(field.locator(".field-error")).to_have_text(told)
        await expect(page.get_by_label(label)).to_have_value(typed)
    await expect(page.get_by_label("Priority")).to_be_focused()
    await expect(page.locator(".field-error:not(:empty)")).to_have_count(len(wrong))
    await page.get_by_label("Your idea").fill("  ")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("Describe what the team should build.")).to_be_visible()


async def test_what_the_server_refuses_is_told_beside_its_field(demo_server: Server, new_page: NewPage) -> None:
    """In the server's words, under the field's own name."""
    page = await new_page(cuts=True)  # the refusal is an error in Chromium's console
    await page.goto(demo_server.url)
    await page.get_by_label("Your idea").fill("x" * 100_001)
    await page.get_by_role("button", name="Start the team").click()
    field = page.locator(".field", has=page.get_by_label("Your idea"))
    await expect(field.locator(".field-error")).to_contain_text("Your idea must be text")
    await expect(page.get_by_label("Your idea")).to_be_focused()


async def test_stop_run_again_and_delete(slow_server: Server, new_page: NewPage) -> None:
    """The buttons of a task do what they say, and appear when they can; the keyboard goes on from the task's head where
    one disappears, and from the button where nothing was done.
    """
    page = await new_page()
    await page.goto(slow_server.url)
    task_id = await start(page, "Something that takes long")
    await expect_status(page, "RUNNING")
    await expect(page.locator(".bar").first).to_have_class(re.compile("unknown"))
    await page.get_by_role("button", name="Stop", exact=True).press("Enter")
    await expect(page.locator(".notice")).to_contain_text("Stopped")
    await expect_status(page, "CANCELLED")
    await expect(page.locator("h1")).to_be_focused()
    await expect(page.locator(".milestone[data-status=CANCELLED]")).to_be_visible()
    await expect(page.locator(".card.error")).to_have_count(0)
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
    await page.get_by_role("button", name="Go on").click()
    await expect_status(page, "RUNNING")
    await expect(page.locator(".attempt")).to_have_text("Attempt 2")
    await page.get_by_role("button", name="Stop", exact=True).click()
    await expect_status(page, "CANCELLED")
    await page.get_by_role("button", name="Delete").click()
    await page.locator("dialog").get_by_role("button", name="Cancel").press("Enter")
    await expect(page.get_by_role("button", name="Delete")).to_be_focused()
    await page.get_by_role("button", name="Delete").click()
    await page.locator("dialog").get_by_role("button", name="Delete").click()
    await page.wait_for_url(re.compile(r"/$"))
    await expect(page.locator(f"a[href='/tasks/{task_id}']")).to_have_count(0)


async def test_what_went_wrong_stays_beside_what_was_pressed(demo_server: Server, new_page: NewPage) -> None:
    """The server's words stand below the button, also when the task changes, until they are put away."""
    task = MadeUpTask([event(1, "STATUS", status="FAILED", attempt=1)], status="FAILED")
    page = await new_page(cuts=True)  # the refusal is an error in Chromium's console
    await task.attach(page)
    full = {"detail": "The queue is full. Run the task again later.", "status": 429, "code": "queue_full"}
    await page.route("**/run", lambda route: route.fulfill(status=429, json=full))
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    button = page.get_by_role("button", name="Go on")
    await button.click()
    notice = page.get_by_role("alert").filter(has_text="Run the task again later.")
    await expect(notice).to_be_visible()
    above, below = await button.bounding_box(), await notice.bounding_box()
    assert above and below and 0 < below["y"] - above["y"] - above["height"] < 20
    task.push(event(2, "STATUS", status="QUEUED", attempt=2), event(3, "STATUS", status="FAILED", attempt=2))
    await expect(page.locator("[data-figure=events] dd")).to_have_text("3")
    await expect(notice).to_be_visible()
    await notice.get_by_role("button", name="Close").click()
    await expect(notice).to_be_hidden()


async def test_a_question_is_answered_and_a_message_is_sent(demo_server: Server, new_page: NewPage) -> None:
    """The team asks, a person says something, reads what they are to judge, has it revised, approves it, and the run
    goes on to its end; the keyboard goes on from the task's head.
    """
    page = await new_page(viewport={"width": 1440, "height": 780})
    await page.goto(demo_server.url)
    await start(page, "A to-do list", options=["Architect"])
    await expect_status(page, "WAITING")
    await expect(page.locator(".card.question")).to_be_in_viewport(ratio=0.9)
    await expect(page.locator(".agent[data-role=Architect]")).to_have_attribute("data-state", "waiting")
    await page.get_by_label("Message to the team").fill("Keep it <b>short</b>")
    await page.keyboard.press("Enter")
    await expect(page.locator(".card.message", has_text="Keep it <b>short</b>")).to_be_visible()
    panel = page.locator(".question-panel")
    await panel.get_by_role("link", name="system_design/to_do_list.md").click()
    await expect(page.locator(".viewer .prose")).to_contain_text("Implementation approach")
    await page.keyboard.press("Escape")
    asked = page.locator(".card.question")
    await asked.get_by_role("button", name="Answer it").click()
    await expect(panel.get_by_role("button", name="Approve")).to_be_focused()
    await panel.get_by_label("Answer in your own words").fill("Make it smaller")
    await panel.get_by_role("button", name="Revise").click()
    await expect(asked.first).to_contain_text("Make it smaller")
    await expect(asked).to_have_count(2)
    await panel.get_by_role("button", name="Approve").click()
    await expect(panel).to_be_hidden()
    await expect(page.locator("h1")).to_be_focused()
    await expect_status(page, "SUCCEEDED")


async def test_a_finished_task_is_continued(demo_server: Server, new_page: NewPage) -> None:
    """What a team has made is worked on by a new task, with the same options, from the page of the old one. What it
    should do may have more lines than one.
    """
    page = await new_page()
    await page.goto(demo_server.url)
    task_id = await start(page, "A calculator", options=["Architect"])
    await page.locator(".question-panel").get_by_role("button", name="Approve").click()
    await expect_status(page, "SUCCEEDED")
    await page.get_by_label("What the team should change or add").fill("Let it divide")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("and multiply")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Continues a task")).to_have_attribute("href", f"/tasks/{task_id}")
    await expect(page.locator(".idea-text")).to_have_js_property("textContent", "Let it divide\nand multiply")
    await page.locator(".question-panel").get_by_role("button", name="Approve").click()
    await expect_status(page, "SUCCEEDED")


async def test_two_pages_see_the_same_run(demo_server: Server, new_page: NewPage) -> None:
    """A second page that opens the task's address in mid-run has its list and its feed up to date."""
    first, second = await new_page(), await new_page()
    await second.goto(demo_server.url)
    await record_ids(second)
    await first.goto(demo_server.url)
    task_id = await start(first, "A calculator")
    row = second.locator(f"a.row[href='/tasks/{task_id}']")
    await row.click()
    await expect_status(second, "SUCCEEDED")
    await expect_every_id(second)


async def test_an_unknown_task_is_said_to_be_missing(demo_server: Server, new_page: NewPage) -> None:
    page = await new_page(cuts=True)  # a 404 is an error in Chromium's console
    await page.goto(f"{demo_server.url}/tasks/no-such-task")
    await expect(page.get_by_role("heading", name="There is no such task")).to_be_visible()


async def test_a_budget_is_raised_in_words(demo_server: Server, new_page: NewPage) -> None:
    """A budget that is used up is asked about; a button is an answer, and a number, and what is neither is not."""
    page = await new_page()
    await page.goto(demo_server.url)
    await page.get_by_label("Your idea").fill("A quiz")
    await page.get_by_text("Options", exact=True).click()
    await page.get_by_label("Budget, tokens").fill("500")
    await page.get_by_role("button", name="Start the team").click()
    panel = page.locator(".question-panel")
    await expect(panel.locator(".question-text")).to_contain_text("of the budget of 500 tokens")
    await panel.get_by_label("Answer in your own words").fill("plenty")
    await page.keyboard.press("Enter")
    await expect(panel.locator(".question-text")).to_contain_text("no possible answer")
    await panel.get_by_role("button", name="Raise it").click()
    await expect(panel.locator(".question-text")).not_to_contain_text("no possible answer")
    await panel.get_by_label("Answer in your own words").fill("1000000")
    await page.keyboard.press("Enter")
    await expect_status(page, "SUCCEEDED")
