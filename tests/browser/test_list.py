"""The list of all tasks, as they change."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TASK_ID, MadeUpTask, event, expect_status
from tests.support import Server, client


async def test_the_list_counts_by_status(slow_server: Server, new_page: NewPage) -> None:
    """A button for each status that there is says how many tasks are in it, and shows only these."""
    page = await new_page()
    async with client(slow_server) as api:
        for task in (await api.http.get("/api/tasks?status=RUNNING&limit=200")).json()["tasks"]:
            await api.stop(task["id"])
        before = (await api.http.get("/api/tasks")).json()["counts"]
        await page.goto(slow_server.url)
        await page.get_by_text("Options", exact=True).click()
        await page.get_by_label("Priority").fill("3")
        await page.get_by_label("Your idea").fill("First things first")
        await page.keyboard.press("Control+Enter")
        await page.wait_for_url("**/tasks/*")
        task_id = page.url.rsplit("/", 1)[1]
        row = page.locator(f"a.row[href='/tasks/{task_id}']")
        await expect(row).to_contain_text("Priority +3")
        await expect(row.locator(".row-took")).to_have_text(re.compile(r"^0:\d\d$"))
        running = page.get_by_role("button", name="Running", exact=False).and_(page.locator("[aria-pressed]"))
        await expect(running).to_have_text("Running1")
        await running.click()
        await expect(page.locator("a.row")).to_have_count(1)
        await api.stop(task_id)
        await expect(page.locator("a.row")).to_have_count(0)
        cancelled = page.locator(".status-filter [data-status=CANCELLED]")
        await expect(cancelled).to_have_text(f"Cancelled{before['CANCELLED'] + 1}")
        await expect(running).to_have_text("Running0")


async def test_counts_change_with_their_tasks(demo_server: Server, new_page: NewPage) -> None:
    """A task whose status changes is counted there at once, however long the server takes to count."""
    page = await new_page()
    task = MadeUpTask([event(1, "STATUS", status="RUNNING", attempt=1)])
    await task.attach(page)
    await page.route(re.compile(r"[?&]limit=1$"), lambda route: None)
    await page.goto(demo_server.url)
    counts = page.locator(".status-filter button")
    await expect(counts).to_have_text(["All1", "Running1"])
    task.tell(status="SUCCEEDED")
    await expect(counts).to_have_text(["All1", "Succeeded1"])


async def _search(server: Server, page: Page) -> MadeUpTask:
    """A task, and a page on which it was searched for."""
    task = MadeUpTask([])
    await task.attach(page)
    await page.goto(server.url)
    async with page.expect_response(re.compile("q=made")):
        await page.get_by_label("Search tasks").fill("made")
    return task


async def test_a_row_that_was_searched_for_stays(demo_server: Server, new_page: NewPage) -> None:
    """Another task that is found comes in beside the rows that are there already."""
    page = await new_page()
    task = await _search(demo_server, page)
    row = page.locator(f"a.row[href='/tasks/{TASK_ID}']")
    await row.evaluate("(node) => (node.dataset.kept = 'yes')")
    task.add_newer(id="another")
    await expect(page.locator("a.row[href='/tasks/another']")).to_be_visible()
    await expect(row).to_have_attribute("data-kept", "yes")


async def test_a_task_leaves_its_filter(demo_server: Server, new_page: NewPage) -> None:
    """A task that is in the chosen status no more is gone from the list, and nothing is read for that."""
    page = await new_page()
    task = MadeUpTask([event(1, "STATUS", status="RUNNING", attempt=1)])
    await task.attach(page)
    await page.goto(demo_server.url)
    async with page.expect_response(re.compile("status=RUNNING")):
        await page.locator(".status-filter button", has_text="Running").click()
    await expect(page.locator(f"a.row[href='/tasks/{TASK_ID}']")).to_be_visible()
    task.tell(status="SUCCEEDED")
    await expect(page.get_by_text("No task matches")).to_be_visible()


_PAGES = """async () => {
  const { Listing } = await import("/static/listing.js");
  const listing = new Listing();
  const task = (id, day, status = "RUNNING") => ({ id, status, created_at: `2026-01-0${day}` });
  const page = (tasks, next = null) => ({ tasks, next_cursor: next, counts: {} });
  const shown = () => listing.tasks.map(({ id, status }) => `${id} ${status}`).join(", ");
  const later = () => new Promise((done) => setTimeout(done, 5));
  STEPS
}"""

_RULES = {
    "what is told while a page is on its way is newer": (
        """const reading = listing.open();
           await later();
           listing.tell("a", task("a", 1, "SUCCEEDED"));
           listing.take(reading, page([task("a", 1)]));
           return shown();""",
        "a SUCCEEDED",
    ),
    "what begins while a page is on its way is kept": (
        """const reading = listing.open();
           await later();
           listing.tell("b", task("b", 2));
           listing.take(reading, page([task("a", 1)]));
           return shown();""",
        "b RUNNING, a RUNNING",
    ),
    "where the words stand is known from the page": (
        """listing.take(listing.open(), page([{ ...task("a", 1), snippet: ["", "words", ""] }]));
           listing.tell("a", task("a", 1, "SUCCEEDED"));
           return listing.tasks[0].snippet.join("");""",
        "words",
    ),
    "what is deleted while a page is on its way is gone": (
        """listing.take(listing.open(), page([task("a", 1), task("b", 2)]));
           const reading = listing.open();
           await later();
           listing.tell("a", null);
           listing.take(reading, page([task("a", 1), task("b", 2)]));
           return shown();""",
        "b RUNNING",
    ),
    "what leaves the chosen status while its page is on the way is not in the list": (
        """listing.begin({ q: "", status: "RUNNING" });
           const reading = listing.open();
           listing.tell("a", task("a", 1, "SUCCEEDED"));
           listing.take(reading, page([task("a", 1)]));
           return shown();""",
        "",
    ),
    "a page is newer than what was told before it was asked for": (
        """listing.tell("a", task("a", 1));
           await later();
           listing.take(listing.open(), page([task("b", 2)]));
           return shown();""",
        "b RUNNING",
    ),
    "tasks behind the first page stay when that is read again": (
        """listing.take(listing.open(), page([task("b", 2)], "b"));
           listing.append(listing.open(), page([task("a", 1)]));
           await later();
           listing.take(listing.open(), page([task("b", 2)], "b"));
           return `${shown()}, then ${listing.next}`;""",
        "b RUNNING, a RUNNING, then null",
    ),
    "the answer to a former query does not count": (
        """const reading = listing.open();
           listing.begin({ q: "else", status: "" });
           listing.take(reading, page([task("a", 1)]));
           return `${shown()} ${listing.isRead}`;""",
        " false",
    ),
    "what is told before the first page does not change where the next one begins": (
        """listing.tell("old", task("old", 1));
           listing.take(listing.open(), page([task("b", 2)], "b"));
           return listing.next;""",
        "b",
    ),
    "what is told of a task behind the pages does not bring it in": (
        """listing.take(listing.open(), page([task("b", 2)], "b"));
           listing.tell("a", task("a", 1));
           return shown();""",
        "b RUNNING",
    ),
    "a list that all tasks have left takes in the next one": (
        """listing.begin({ q: "", status: "RUNNING" });
           listing.take(listing.open(), page([task("b", 2)], "b"));
           listing.tell("b", task("b", 2, "FAILED"));
           listing.tell("a", task("a", 1));
           return shown();""",
        "a RUNNING",
    ),
    "it has grown by what was told, not by pages": (
        """listing.take(listing.open(), page([task("b", 2)], "b"));
           listing.append(listing.open(), page([task("a", 1)]));
           listing.tell("c", task("c", 3));
           return listing.grown;""",
        1,
    ),
    "what was told before the first page, and is behind it, is not in the list": (
        """listing.tell("a", task("a", 1));
           listing.take(listing.open(), page([task("b", 2)], "b"));
           return shown();""",
        "b RUNNING",
    ),
    "no page follows behind a hole": (
        """listing.take(listing.open(), page([task("b", 2)], "b"));
           listing.append(listing.open(), page([task("a", 1)]));
           listing.take(listing.open(), page([task("e", 5), task("d", 4)], "d"));
           return `${shown()}, then ${listing.next}`;""",
        "e RUNNING, d RUNNING, then d",
    ),
    "nor does one that was asked for before the hole": (
        """listing.take(listing.open(), page([task("b", 2)], "b"));
           const reading = listing.open();
           listing.take(listing.open(), page([task("e", 5), task("d", 4)], "d"));
           listing.append(reading, page([task("a", 1)]));
           return `${shown()}, then ${listing.next}`;""",
        "e RUNNING, d RUNNING, then d",
    ),
    "a first page of tasks that were told is followed by what followed before": (
        """listing.take(listing.open(), page([task("b", 2)], "b"));
           listing.tell("c", task("c", 3));
           listing.take(listing.open(), page([task("c", 3)], "c"));
           return `${shown()}, then ${listing.next}`;""",
        "c RUNNING, b RUNNING, then b",
    ),
    "an answer that was overtaken does not count": (
        """const [first, second] = [listing.open(), await later().then(() => listing.open())];
           listing.take(second, page([task("b", 2)]));
           listing.take(first, page([task("a", 1)], "a"));
           return `${shown()}, then ${listing.next}`;""",
        "b RUNNING, then null",
    ),
    "a run of elsewhere stands where it came in": (
        """const imported = { ...task("old", 1), imported_at: "2026-01-03" };
           listing.take(listing.open(), page([task("d", 4), imported, task("b", 2)]));
           return shown();""",
        "d RUNNING, old RUNNING, b RUNNING",
    ),
    "only the server knows whether an unknown task is among those that are searched for": (
        """listing.begin({ q: "words", status: "" });
           return `${listing.tell("a", task("a", 1))}${shown()}`;""",
        "false",
    ),
}


@pytest.mark.parametrize("rule", _RULES)
async def test_pages_and_what_is_told(demo_server: Server, new_page: NewPage, rule: str) -> None:
    """Pages and single tasks come in any order, and the list is that of the newest of them."""
    page = await new_page()
    await page.goto(demo_server.url)
    steps, expected = _RULES[rule]
    assert await page.evaluate(_PAGES.replace("STEPS", steps)) == expected


async def test_a_page_is_read_again_after_the_last_change(demo_server: Server, new_page: NewPage) -> None:
    """However slow the server finds what is searched for, what begins meanwhile is found after that."""
    page = await new_page()
    task = await _search(demo_server, page)
    found = {"tasks": [task.task], "next_cursor": None, "counts": {"RUNNING": 1}}
    asked: asyncio.Future[Route] = asyncio.get_running_loop().create_future()
    await page.route(re.compile("q=made.*limit=50"), lambda route: asked.set_result(route), times=1)
    task.add_newer(id="first")
    route = await asked
    task.add_newer(id="second")
    await route.fulfill(json=found)
    await expect(page.locator("a.row[href='/tasks/second']")).to_be_visible()


async def test_more_of_the_list(demo_server: Server, new_page: NewPage) -> None:
    """The next tasks are shown when asked for, and the keyboard goes on with the first of them."""
    page = await new_page()
    task = MadeUpTask([])

    async def answer(route: Route) -> None:
        number, cursor = (2, None) if "cursor=" in route.request.url else (1, "a-cursor")
        shown = {**task.task, "id": f"task-{number}", "created_at": f"2026-01-0{4 - number}T12:00:00Z"}
        await route.fulfill(json={"tasks": [shown], "next_cursor": cursor, "counts": {"RUNNING": 2}})

    await page.route(re.compile(r"/api/tasks\?"), answer)
    await page.goto(demo_server.url)
    await page.get_by_role("button", name="Show more").press("Enter")
    await expect(page.locator("a.row[href='/tasks/task-2']")).to_be_focused()
    await expect(page.locator("a.row[href='/tasks/task-1']")).to_be_visible()
    await expect(page.get_by_role("button", name="Show more")).to_be_hidden()


async def test_a_run_of_elsewhere_is_taken_in(demo_server: Server, new_page: NewPage, tmp_path: Path) -> None:
    """A log that was downloaded is shown from its file; one that is not right says where it is wrong, and a file of the
    team why there is nothing to see of it.
    """
    page = await new_page(cuts=True)  # the refusal is an error in Chromium's console
    async with client(demo_server) as api:
        task_id = await api.finished("A calculator")
        log = (await api.http.get(f"/api/tasks/{task_id}/export.jsonl")).content
        await api.http.delete(f"/api/tasks/{task_id}")
    await page.goto(demo_server.url)
    for name, content in (("cut.jsonl", log[:-9]), ("whole.jsonl", log)):
        tmp_path.joinpath(name).write_bytes(content)
        async with page.expect_file_chooser() as chooser:
            await page.get_by_role("button", name="Show a run from a file").click()
        await (await chooser.value).set_files(tmp_path / name)
        if name == "cut.jsonl":
            await expect(page.locator(".start .field-error").last).to_contain_text("Line")
    await page.wait_for_url(f"**/tasks/{task_id}")
    await expect_status(page, "SUCCEEDED")
    await expect(page.locator(".summary .imported")).to_be_visible()
    await expect(page.locator(f"a.row[href='/tasks/{task_id}'] .imported")).to_be_visible()
    await expect(page.get_by_role("link", name="Download all as a zip")).to_be_hidden()
    await page.locator("button.file").first.click()
    await expect(page.locator(".viewer-body")).to_contain_text("without what is in them")
