"""The files of a team: every version, while it is written and afterwards, and what has changed between two."""

import re
from urllib.parse import urlsplit

from playwright.async_api import Page, Route, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TASK_ID, Json, MadeUpTask, event, expect_status
from tests.browser.test_looks import shoot
from tests.pictures import PNG
from tests.support import Server, client

HOSTILE_SVG = (
    "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='40' height='30'"
    " onload='globalThis.attacked = 1'><script>globalThis.attacked = 2; parent.attacked = 3</script>"
    "<image xlink:href='/api/tasks?pixel' width='9' height='9'/><rect width='9' height='9'/>"
    "<foreignObject><iframe xmlns='http://www.w3.org/1999/xhtml' src='/api/tasks?pixel'/></foreignObject></svg>"
)


def _written(number: int, path: str, version: int = 1) -> Json:
    return event(number, "ARTIFACT", "Engineer", path=path, version=version, size=9, sha256="")


def _token(number: int, delta: str) -> Json:
    return event(number, "TOKEN", "Engineer", call="call-1", delta=delta)


async def _serve(page: Page, contents: dict[str, str | bytes]) -> None:
    async def answer(route: Route) -> None:
        await route.fulfill(
            body=contents[urlsplit(route.request.url).path.rsplit("/", 1)[1]], content_type="text/plain"
        )

    await page.route("**/artifacts/**", answer)


async def test_versions_and_what_has_changed(demo_server: Server, new_page: NewPage) -> None:
    """Who looks at a file sees its new version as it is written, can go back to the old one, and compare them."""
    page = await new_page(viewport={"width": 1440, "height": 900})
    async with client(demo_server) as api:
        task_id = await api.started("A snake game", options={"review": ["ProductManager"]})
        asked = (await api.until_event(task_id, "INPUT_REQUEST"))["payload"]["request_id"]
        await page.goto(f"{demo_server.url}/tasks/{task_id}")
        await page.locator("button.file", has_text="snake_game.md").click()
        viewer = page.locator(".viewer")
        version, against = viewer.get_by_label("Version"), viewer.get_by_label("Compare with")
        await expect(version).to_have_value("1")
        given = {"request_id": asked, "answer": "Make it about birds."}
        assert (await api.http.post(f"/api/tasks/{task_id}/input", json=given)).status_code == 200
        await expect(version).to_have_value("2")
        await expect(viewer.locator(".viewer-body")).to_contain_text("birds")
        await expect(viewer.locator(".about")).to_contain_text("Product manager · WritePRD")
        await expect(viewer.get_by_role("link", name="Download")).to_have_attribute(
            "href", re.compile(r"/artifacts/.*\?version=2$")
        )
        await version.select_option("1")
        await expect(viewer.locator(".viewer-body")).not_to_contain_text("birds")
        await page.reload()
        await expect(viewer.locator(".viewer-body")).to_contain_text("A snake game")
        await expect(version).to_have_value("1")
        await version.select_option("2")
        await against.select_option("1")
        assert re.search(rf"#/tasks/{task_id}/files/.*snake_game\.md\?version=2&from=1$", page.url)
        await expect(viewer.locator(".diff.split mark", has_text="birds").first).to_be_visible()
        await shoot(page, "files-split")
        await viewer.get_by_role("button", name="Unified").click()
        await expect(viewer.locator(".diff.unified td.sign[data-kind=now]").first).to_have_text("+")
        await shoot(page, "files-unified")
        await viewer.get_by_role("button", name="Side by side").click()
        await expect(viewer.locator(".diff.split")).to_be_visible()
        await page.set_viewport_size({"width": 360, "height": 800})
        await expect(viewer.locator(".diff.narrow td.sign[data-kind=now]").first).to_have_text("+")
        await expect(viewer.get_by_role("button", name="Side by side")).to_be_hidden()
        await shoot(page, "files-narrow")
        await page.set_viewport_size({"width": 1440, "height": 900})
        await expect(viewer.locator(".diff.split")).to_be_visible()
        await against.select_option("0")
        await expect(viewer.locator("td.sign[data-kind=old]")).to_have_count(0)
        await against.select_option("2")
        await expect(viewer).to_contain_text("These versions are the same.")
        await page.keyboard.press("Escape")
        await expect(viewer).to_be_hidden()
        await expect(page).to_have_url(f"{demo_server.url}/tasks/{task_id}")
        await api.stop(task_id)
        await expect_status(page, "CANCELLED")
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Download all as a zip").click()
        assert (await download.value).suggested_filename == f"{task_id}.zip"


async def test_a_diff_of_words(demo_server: Server, new_page: NewPage) -> None:
    """In lines that have become others only the words that differ are marked; long ones do not take for ever."""
    page = await new_page()
    await page.goto(demo_server.url)
    found = await page.evaluate(
        """async () => {
          const { pieces } = await import("/static/diff.js");
          const changed = (list) => list.filter((piece) => piece.changed).map((piece) => piece.text);
          const whole = (list) => list.map((piece) => piece.text).join("");
          const words = (word) => Array.from({ length: 20_000 }, (_, n) => `${word}${n} same`).join(" ");
          const [short, long] = [pieces("a b, c d", "a x, c e d", 100), pieces(words("old"), words("new"), 1e6)];
          const kept = whole(long.before) === words("old");
          return [changed(short.before), changed(short.after), whole(short.after), kept, long.spent];
        }"""
    )
    assert found == [["b"], ["x", " e"], "a x, c e d", True, 0]


async def test_a_file_opens_as_it_is_being_written(demo_server: Server, new_page: NewPage) -> None:
    """The code grows in the viewer while a role writes it, without what is said around it, and becomes its version."""
    task = MadeUpTask([event(1, "ACTION_START", "Engineer", action="WriteCode", file="main.py")])
    page = await new_page()
    await task.attach(page)
    await _serve(page, {"main.py": "import sys\nsys.exit(0)  # as it is kept"})
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    task.push(_token(2, "## Code: main.py\n\n```python\nimport s"))
    await page.locator("button.file.draft", has_text="main.py").click()
    viewer = page.locator(".viewer")
    await expect(viewer.locator("code")).to_have_text("import s")
    task.push(_token(3, "ys\n"))
    await expect(viewer.locator("code")).to_have_text("import sys\n")
    await expect(viewer.locator(".note")).to_have_text("Engineer is writing this file")
    task.push(_token(4, "sys.exit(0)\n```\nThat is all."), _written(5, "game/main.py"))
    await expect(viewer.locator("code")).to_contain_text("as it is kept")
    await expect(viewer.get_by_label("Version")).to_have_value("1")
    task.push(event(6, "ACTION_COMPLETE", "Engineer", action="WriteCode", file="main.py", duration_ms=3))
    await expect(page.locator("button.file.draft")).to_have_count(0)


async def test_a_document_is_read_and_seen_as_it_is_written(demo_server: Server, new_page: NewPage) -> None:
    """JSON is shown as a document, like Markdown, and what is written there is one press away."""
    page = await new_page()
    await MadeUpTask([_written(1, "plan.json")]).attach(page)
    await _serve(page, {"plan.json": '{"Goals":["Say \\"hello\\""]}'})
    await page.goto(f"{demo_server.url}/#/tasks/{TASK_ID}/files/plan.json")
    body = page.locator(".viewer-body")
    await expect(body.locator("dt")).to_have_text("Goals")
    await expect(body.locator("li")).to_have_text('Say "hello"')
    await page.get_by_role("button", name="Source").click()
    await expect(body.locator("code")).to_have_text('{"Goals":["Say \\"hello\\""]}')


async def test_a_picture_is_shown(demo_server: Server, new_page: NewPage) -> None:
    """Pictures are images, of two versions side by side; what an SVG holds does not run and loads nothing."""
    page = await new_page()
    answered: list[str] = []
    page.on("request", lambda request: answered.append(request.url))
    await MadeUpTask([_written(1, "chart.png"), _written(2, "chart.png", 2), _written(3, "x.svg")]).attach(page)
    await _serve(page, {"chart.png": PNG, "x.svg": HOSTILE_SVG})
    await page.goto(f"{demo_server.url}/#/tasks/{TASK_ID}/files/chart.png?version=2&from=1")
    pictures = page.locator(".viewer figure")
    await expect(pictures).to_have_text(["v1 · 3 by 2 pixels", "v2 · 3 by 2 pixels"])
    await page.get_by_label("Compare with").select_option("")
    await expect(pictures).to_have_text(["v2 · 3 by 2 pixels"])
    await page.keyboard.press("Escape")
    await page.locator("button.file", has_text="x.svg").click()
    await expect(pictures).to_have_text(["v1 · 40 by 30 pixels"])
    assert await page.evaluate("() => globalThis.attacked") is None
    assert not [url for url in answered if "pixel" in url]


async def test_an_address_leads_to_a_file(demo_server: Server, new_page: NewPage) -> None:
    """What is copied is the address of the file as it is shown; one that would lead elsewhere leads nowhere."""
    page = await new_page(permissions=["clipboard-read", "clipboard-write"])
    await MadeUpTask([_written(1, "a folder/50% & more?.md", 3)]).attach(page)
    await page.route("**/artifacts/**", lambda route: route.fulfill(body="the third"))
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await page.locator(".chip").click()
    await expect(page.locator(".viewer-body")).to_contain_text("the third")
    await page.get_by_role("link", name="Copy link").click()
    await expect(page.locator(".viewer header")).to_contain_text("Copied")
    copied = await page.evaluate("() => navigator.clipboard.readText()")
    await page.keyboard.press("Escape")
    await expect(page.locator(".viewer")).to_be_hidden()
    await page.goto("about:blank")
    await page.goto(copied)
    await expect(page.locator(".viewer h2")).to_have_text("a folder/50% & more?.md")
    await expect(page.get_by_label("Version")).to_have_value("3")
    found = await page.evaluate(
        """async () => {
          const { parseAddress } = await import("/static/address.js");
          const paths = ["..", "a/%2e%2e/b", "a//b", "%", "%zz", ""];
          return paths.map((path) => parseAddress({ pathname: "/", hash: `#/tasks/x/files/${path}` }).file);
        }"""
    )
    assert found == [None] * 6


async def test_files_outlive_the_events_that_tell_of_them(demo_server: Server, new_page: NewPage) -> None:
    """Of a run whose events were deleted there are its files; what cannot be shown any more says why."""
    task = MadeUpTask([], head=40, status="SUCCEEDED")
    task.expired = 40
    task.files = [{"path": "game/main.py", "version": 2, "size": 12, "versions": []}]
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator("button.file")).to_have_text(re.compile(r"main\.py"))
    await expect(page.locator(".feed")).to_contain_text("Events 1 to 40 were deleted by retention.")
    await expect(page.locator(".lanes")).to_contain_text("nothing to replay")
    for name in ("Play", "Zoom in"):
        await expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    await page.keyboard.press("p")
    await expect(page.locator(".replay-where")).to_have_text("40 of 40 events")
