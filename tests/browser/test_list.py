"""The list of all tasks, as they change."""

import re
from pathlib import Path

from playwright.async_api import Route, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import MadeUpTask, event, expect_status
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
