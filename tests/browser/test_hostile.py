"""What a model writes is untrusted: it is shown as text, it runs nowhere, and it cannot deform the page."""

import re
from urllib.parse import unquote

from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TALL, TASK_ID, Json, MadeUpTask, event, expect_status, overflow, start
from tests.support import Server

MARKUP = (
    "<script>globalThis.attacked = 1</script><img src=x onerror='globalThis.attacked = 2'>"
    "<svg onload='globalThis.attacked = 3'></svg><a href='javascript:globalThis.attacked=4'>click</a>"
    "<iframe srcdoc='<script>parent.attacked = 5</script>'></iframe>"
)
# What only does harm once Markdown is read.
MARKDOWN = (
    "# <b>Heading</b>\n\n[click](javascript:globalThis.attacked=6) [data](data:text/html,<script>7</script>) "
    "![image](https://example.com/pixel.png) <javascript:globalThis.attacked=8> [file](../../api/tasks)\n\n"
    "| <img src=x onerror=globalThis.attacked=9> |\n|-|\n| `<script>globalThis.attacked = 10</script>` |\n\n"
    "```html\n<script>globalThis.attacked = 11</script>\n```\n"
)
# Labels as HTML, links, styles that reach out, a configuration that would allow all of it.
DIAGRAM = (
    '%%{init: {"securityLevel": "loose", "htmlLabels": true, "themeCSS": "* {background: url(/api/tasks?pixel)}"}}%%\n'
    "flowchart TD\n"
    "  A[\"<img src=x onerror='parent.attacked = 12; top.attacked = 12'><script>attacked = 13</script>harmless\"]\n"
    '  A --> B["b"]\n  click A "javascript:parent.attacked=14" _self\n  click B call alert(15)'
)
ANSI = "\x1b[31mred\x1b[0m\x1b]0;title\x07\x00"
BIDI = "safe\u202egnp.exe\u200b\u2066 \u2069"
LONG_LINE = "x" * 1_000_000


def hostile_log() -> list[Json]:
    call = "call-1"
    role = "Engineer"
    file = {"path": f"{MARKUP}/{BIDI}.py", "version": 1, "size": 3, "sha256": "0"}
    return [
        event(1, "STATUS", status="RUNNING", attempt=1, reason=MARKUP, message=MARKUP),
        event(2, "AGENT_START", role, turn=MARKUP),
        event(3, "ACTION_START", role, action=MARKUP, file=MARKUP),
        event(4, "TOKEN", role, call=call, delta=MARKUP + "\n```" + MARKUP + "\n" + MARKUP + BIDI),
        event(5, "TOKEN", role, call=call, delta=LONG_LINE),
        event(6, "MESSAGE", role, content=MARKUP, cause_by=MARKUP, sent_from=MARKUP, send_to=[MARKUP], id=MARKUP),
        event(7, "MESSAGE", "<b>Nobody</b>", content=LONG_LINE, cause_by="", sent_from="", send_to=[]),
        event(8, "MESSAGE", role, content='{"a": "' + MARKUP, message=MARKUP, cause_by="", sent_from="", send_to=[]),
        event(9, "ARTIFACT", role, **file),
        event(10, "LOG", level=MARKUP, logger=MARKUP, message=MARKUP),
        event(11, "ERROR", role, error_type=MARKUP, message=MARKUP, traceback=MARKUP, fatal=True),
        event(12, "LLM_CALL", role, call=call, model=MARKUP, error=MARKUP, cost_usd=None),
        event(13, "INPUT_REQUEST", role, request_id="1", question=MARKUP, choices=[MARKUP, BIDI], role=role),
        event(14, "RESULT", message=MARKUP, final_result={"project": MARKUP, "artifacts": [file]}),
        event(15, "AGENT_COMPLETE", role, summary=MARKUP),
        event(16, "A_TYPE_OF_THE_FUTURE", role, anything={}),
    ]


def _said(event_id: int, content: str) -> Json:
    return event(event_id, "MESSAGE", "Engineer", content=content, cause_by="", sent_from="", send_to=[])


async def expect_unharmed(page: Page) -> None:
    assert await page.evaluate("() => globalThis.attacked") is None
    for tag in ("script", "img", "iframe", "b", "a[href^=javascript]", "a[href^=data]"):
        assert await page.locator(f"body {tag}").count() == 0
    assert await overflow(page) <= 0


async def test_a_hostile_log_is_only_text(demo_server: Server, new_page: NewPage) -> None:
    """Markup in every field of every event, in names of roles and files, is shown as it was written."""
    waiting = {"request_id": "1", "question": MARKUP, "choices": [MARKUP], "deadline": None, "role": MARKUP}
    task = MadeUpTask(hostile_log(), title=MARKUP + BIDI, input_prompt=MARKUP, waiting=waiting, status="WAITING")
    for width in (1280, 360):
        page = await new_page(viewport=TALL | {"width": width})
        await task.attach(page)
        await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
        await expect(page.locator(".card.error.fatal")).to_contain_text(MARKUP)
        await expect(page.locator(".card.message").first).to_contain_text(MARKUP)
        for title in await page.locator("details:not(.menu) > summary").all():
            await title.click()
        await page.evaluate(
            "() => document.querySelectorAll('.card .fold:not([hidden])').forEach((fold) => fold.click())"
        )
        await expect(page.locator(".rest").first).to_contain_text("more characters are in the log")
        await expect_unharmed(page)


async def test_hostile_markdown_is_only_text(demo_server: Server, new_page: NewPage) -> None:
    """Read as Markdown, markup stays text, links lead nowhere but out, images and scripts are not loaded, and no words
    are turned round.
    """
    page = await new_page()
    await MadeUpTask([_said(1, MARKDOWN), _said(2, ANSI), _said(3, BIDI), _said(4, "[" * 50_000)]).attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    card = page.locator(".card.message").first
    await expect(card.locator("h3")).to_have_text("<b>Heading</b>")
    await expect(card.locator("td code")).to_have_text("<script>globalThis.attacked = 10</script>")
    await expect(card.locator("pre .hl-tag").first).to_contain_text("<script>")
    links = await card.locator(".prose a[href]").evaluate_all("(links) => links.map((link) => [link.href, link.rel])")
    assert links == [["https://example.com/pixel.png", "noopener noreferrer"]]
    await expect(page.locator(".card.message").nth(1)).to_contain_text("␛[31mred␛[0m␛]0;title␇")
    await expect(page.locator(".card.message").nth(2)).to_contain_text(r"safe\u202egnp.exe")
    await expect_unharmed(page)


async def test_a_hostile_diagram_is_only_a_picture(demo_server: Server, browser: Browser) -> None:
    """Mermaid runs in a frame that reaches nothing, and what it draws is an image: in one, nothing runs or loads."""
    page = await browser.new_page(viewport=TALL)  # type: ignore[arg-type] # not one that fails with errors: Chromium tells what it has refused the frame
    answered: list[str] = []
    page.on("response", lambda response: answered.append(response.url))
    broken = "classDiagram\n  this is <b>no</b> diagram"
    await MadeUpTask([_said(1, f"```mermaid\n{DIAGRAM}\n```"), _said(2, broken)]).attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator(".diagram img")).to_have_js_property("complete", True)
    drawn = unquote(await page.locator(".diagram img").get_attribute("src") or "")
    assert drawn.startswith("data:image/svg+xml") and "harmless" in drawn
    for harm in ("<script", "onerror", "javascript:", "<iframe"):
        assert harm not in drawn
    await expect(page.locator(".card.message").nth(1)).to_contain_text(broken)
    await expect(page.locator(".diagram-picture").nth(1)).to_contain_text("could not be drawn")
    frame = page.frame(url=re.compile("diagram-frame"))
    assert frame is not None
    assert await frame.evaluate("() => [origin, globalThis.attacked]") == ["null", None]
    assert await frame.evaluate("() => fetch('/healthz').then(() => 'reached', () => 'refused')") == "refused"
    assert await page.evaluate("() => globalThis.attacked") is None
    assert not [url for url in answered if "pixel" in url]
    await page.close()


async def test_a_diagram_that_hangs_is_given_up(demo_server: Server, new_page: NewPage) -> None:
    """A frame that does not answer is told of, and replaced for the next diagram."""
    page = await new_page()
    await page.route("**/diagram-frame.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    await MadeUpTask([_said(1, "classDiagram\n  class A")]).attach(page)
    await page.clock.install()
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator("iframe")).to_be_attached()
    await page.clock.fast_forward(30_000)
    await expect(page.locator(".diagram-picture")).to_contain_text("it took too long")
    await expect(page.locator("iframe")).to_have_count(0)


async def test_a_string_is_never_parsed_as_html(demo_server: Server, browser: Browser) -> None:
    """Were there a mistake in the page, the browser itself would refuse it."""
    async with await browser.new_page() as page:
        await page.goto(demo_server.url)
        refused = "() => { try { document.body.innerHTML = '<i></i>' } catch (error) { return error.name } }"
        assert await page.evaluate(refused) == "TypeError"


async def test_bidi_controls_in_names_are_made_visible(demo_server: Server, new_page: NewPage) -> None:
    """A file name or a title cannot be turned round to look like another one."""
    page = await new_page()
    await MadeUpTask(hostile_log(), title=BIDI).attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator(".task-title")).to_contain_text(r"safe\u202egnp.exe\u200b\u2066")
    await expect(page.locator(".file:not(.draft) .file-name")).to_contain_text(r"safe\u202egnp.exe")


async def test_a_hostile_file_is_shown_as_text(demo_server: Server, new_page: NewPage) -> None:
    """The viewer shows what is in a file, whatever type the answer claims to be."""
    page = await new_page()
    await MadeUpTask(hostile_log()).attach(page)
    await page.route("**/artifacts/**", lambda route: route.fulfill(body=MARKUP + BIDI, content_type="text/html"))
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await page.locator("button.file.draft").click()
    await expect(page.locator(".viewer .code")).to_contain_text(r"safe\u202egnp.exe")
    await page.keyboard.press("Escape")
    await page.locator("button.file:not(.draft)").click()
    await expect(page.locator(".viewer .code")).to_contain_text(MARKUP)
    await expect(page.locator(".viewer .code")).to_contain_text(r"safe\u202egnp.exe")
    await expect_unharmed(page)
    changes = f"--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-{MARKUP}\n+{LONG_LINE}\n+{BIDI}\n"
    await page.route("**/diff?*", lambda route: route.fulfill(body=changes, content_type="text/html"))
    await page.get_by_label("Compare with").select_option("0")
    await expect(page.locator(".diff")).to_contain_text(MARKUP)
    await expect(page.locator(".diff")).to_contain_text(r"safe\u202egnp.exe")
    await expect(page.locator(".diff")).to_contain_text("more characters")
    await expect_unharmed(page)
    await page.keyboard.press("Escape")
    await expect(page.locator(".viewer")).to_be_hidden()


async def test_a_hostile_idea_runs_as_text(demo_server: Server, new_page: NewPage) -> None:
    """The same through the real server: an idea full of markup goes through the whole team."""
    page = await new_page(viewport=TALL)
    await page.goto(demo_server.url)
    await start(page, MARKUP + BIDI)
    await expect_status(page, "SUCCEEDED")
    await expect(page.locator(".card.message").first).to_contain_text(MARKUP)
    await expect_unharmed(page)
