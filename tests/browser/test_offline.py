"""A run as one file that opens from a disk, without a server."""

from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TALL, expect_status, scroll_feed
from tests.browser.test_hostile import MARKUP
from tests.pictures import PNG
from tests.support import Server, client

ATTACK = "</script><script>globalThis.attacked = 1</script><!--<script>"


async def _exported(server: Server, idea: str, folder: Path, *, main: bytes = ATTACK.encode()) -> Path:
    """The page of a finished run whose main.py has become an attack, or this."""
    async with client(server) as api:
        task_id = await api.finished(idea)
        files = (await api.http.get(f"/api/tasks/{task_id}/artifacts")).json()["artifacts"]
        (digest,) = [file["sha256"] for file in files if file["path"].endswith("/main.py")]
        (kept,) = (server.data / "tasks" / task_id).glob(f"*/{digest}")
        kept.write_bytes(main)
        response = await api.http.get(f"/api/tasks/{task_id}/export.html")
    assert response.headers["content-disposition"] == f"attachment; filename*=UTF-8''{task_id}.html"
    path = folder / "run.html"
    path.write_bytes(response.content)
    return path


async def _open(path: Path, new_page: NewPage) -> tuple[Page, list[str]]:
    """The page, opened from the disk without a network, and what it has asked for beside itself."""
    page = await new_page(offline=True, viewport=TALL)
    asked: list[str] = []

    def ask(url: str) -> None:
        if not url.startswith(("data:", "blob:", path.as_uri())):
            asked.append(url)

    page.on("request", lambda request: ask(request.url))
    await page.goto(path.as_uri())
    return page, asked


async def test_a_run_opens_from_a_disk(demo_server: Server, new_page: NewPage, tmp_path: Path) -> None:
    """The file shows the finished run in the same dashboard, with its files, and asks nobody for anything."""
    path = await _exported(demo_server, "A snake game", tmp_path, main=PNG)
    path.write_text(path.read_text().replace("main.py", "main.png"))
    page, asked = await _open(path, new_page)
    await expect_status(page, "SUCCEEDED")
    await expect(page.locator(".card.result")).to_be_attached()
    await scroll_feed(page, 0)
    await expect(page.locator(".card.message").first).to_contain_text("A snake game")
    await expect(page.locator(".agent[data-role=Engineer]")).to_have_attribute("data-state", "done")
    await page.locator(".diagram").first.scroll_into_view_if_needed()
    await expect(page.locator(".diagram img").first).to_be_visible()
    await page.locator(".search summary").click()
    await page.get_by_label("Search in this task").fill('snake "Requirements: A"')
    await expect(page.locator(".finding mark", has_text="Requirements: A").first).to_be_visible()
    await page.locator("button.file", has_text="snake.py").click()
    await expect(page.locator(".viewer .code")).to_contain_text("class Snake")
    await expect(page.locator(".viewer .about")).to_contain_text("Engineer · WriteCode")
    await page.get_by_label("Compare with").select_option("0")
    await expect(page.locator(".viewer-body tr", has_text="class Snake").first).to_be_visible()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download", exact=True).click()
    assert (await download.value).suggested_filename == "snake.py"
    await page.keyboard.press("Escape")
    await page.locator("button.file", has_text="main.png").click()
    await expect(page.locator(".viewer figure")).to_have_text("v1 · 3 by 2 pixels")
    await page.reload()
    await expect(page.locator(".viewer figure")).to_be_visible()
    await page.keyboard.press("Escape")
    for what_acts in (".summary .buttons", ".follow-up", ".composer", ".file-archive"):
        await expect(page.locator(what_acts)).to_be_hidden()
    assert asked == []


async def test_the_menu_of_downloads(demo_server: Server, new_page: NewPage) -> None:
    """What can be taken home of a run is in a menu, which Escape closes, and a press elsewhere."""
    async with client(demo_server) as api:
        task_id = await api.finished("A quiz")
    page = await new_page()
    await page.goto(f"{demo_server.url}/tasks/{task_id}")
    menu = page.locator(".menu > summary")
    for key in (True, False):
        await menu.click()
        await expect(page.get_by_role("link", name="Page")).to_be_visible()
        await (page.keyboard.press("Escape") if key else page.locator(".task-title").click())
        await expect(page.get_by_role("link", name="Page")).to_be_hidden()
    for ending in ("zip", "html", "jsonl"):
        await menu.click()
        async with page.expect_download() as download:
            await page.locator(f".menu a[href$='.{ending}']").click()
        assert (await download.value).suggested_filename == f"{task_id}.{ending}"


async def test_the_diff_of_a_copy(demo_server: Server, new_page: NewPage) -> None:
    """Without a server, what has changed between two texts leads from one to the other, and is not more than that."""
    page = await new_page()
    await page.goto(demo_server.url)
    found = await page.evaluate(
        """async () => {
          const { unifiedDiff } = await import("/static/offline-diff.js");
          const { parse } = await import("/static/diff.js");
          const line = (row) => row.text + (row.bare ? "" : "\\n");
          const whole = (rows, kind) => rows.filter((row) => [kind, "same"].includes(row.kind)).map(line).join("");
          const texts = ["", "a\\n", "a", "a\\nb\\nc\\n", "b\\na\\nc", "\\n\\na\\n", "x\\ny\\nb\\nc\\n"];
          const wrong = [];
          for (const before of texts)
            for (const after of texts) {
              const rows = parse(unifiedDiff(before, after));
              const leads = whole(rows, "old") === before && whole(rows, "now") === after;
              if (before !== after && !leads) wrong.push([before, after]);
            }
          const kinds = parse(unifiedDiff("a\\nb\\nc\\nd\\n", "a\\nx\\nc\\nd\\ne\\n")).map((row) => row.kind);
          return [wrong, kinds, unifiedDiff("a", "a")];
        }"""
    )
    assert found == [[], ["hunk", "same", "old", "now", "same", "same", "now"], ""]


async def test_a_hostile_run_opens_as_text(demo_server: Server, new_page: NewPage, tmp_path: Path) -> None:
    """Whatever the log and the files hold, it does not get out of the data that they are in."""
    page, _ = await _open(await _exported(demo_server, MARKUP + ATTACK, tmp_path), new_page)
    await expect_status(page, "SUCCEEDED")
    await scroll_feed(page, 0)
    await expect(page.locator(".card.message").first).to_contain_text(MARKUP + ATTACK)
    await page.locator("button.file", has_text="main.py").click()
    await expect(page.locator(".viewer .code")).to_contain_text(ATTACK)
    assert await page.evaluate("() => globalThis.attacked") is None


async def test_a_foreign_script_does_not_run(demo_server: Server, browser: Browser, tmp_path: Path) -> None:
    """Should markup of a run ever get into the page, its policy still lets no script of it run."""
    path = await _exported(demo_server, "A quiz", tmp_path)
    page = await browser.new_page()  # whose complaints are what is wanted here
    html = path.read_text()
    for script in (
        "<script>globalThis.attacked = 1</script>",
        '<script src="data:text/javascript,attacked=1"></script>',
    ):
        html = html.replace("<main", f"{script}<main", 1)
    path.write_text(html)
    await page.goto(path.as_uri())
    await expect_status(page, "SUCCEEDED")
    assert await page.evaluate("() => globalThis.attacked") is None
    await page.close()
