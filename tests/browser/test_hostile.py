"""What a model writes is untrusted: it is shown as text, it runs nowhere, and it cannot deform the page."""

from playwright.async_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TASK_ID, Json, MadeUpTask, event, expect_status, overflow, start
from tests.support import Server

MARKUP = (
    "<script>globalThis.attacked = 1</script><img src=x onerror='globalThis.attacked = 2'>"
    "<svg onload='globalThis.attacked = 3'></svg><a href='javascript:globalThis.attacked=4'>click</a>"
    "<iframe srcdoc='<script>parent.attacked = 5</script>'></iframe>"
)
BIDI = "safe\u202egnp.exe\u2066 \u2069"
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


async def expect_unharmed(page: Page) -> None:
    assert await page.evaluate("() => globalThis.attacked") is None
    for tag in ("script", "img", "iframe", "b", "a[href^=javascript]"):
        assert await page.locator(f"body {tag}").count() == 0
    assert await overflow(page) <= 0


async def test_a_hostile_log_is_only_text(demo_server: Server, new_page: NewPage) -> None:
    """Markup in every field of every event, in names of roles and files, is shown as it was written."""
    waiting = {"request_id": "1", "question": MARKUP, "choices": [MARKUP], "deadline": None, "role": MARKUP}
    task = MadeUpTask(hostile_log(), title=MARKUP + BIDI, input_prompt=MARKUP, waiting=waiting, status="WAITING")
    for size in ((1280, 800), (360, 740)):
        page = await new_page(viewport={"width": size[0], "height": size[1]})
        await task.attach(page)
        await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
        await expect(page.locator(".card.error.fatal")).to_contain_text(MARKUP)
        await expect(page.locator(".card.message").first).to_contain_text(MARKUP)
        for title in await page.locator("summary").all():
            await title.click()
        await page.evaluate(
            "() => document.querySelectorAll('.card .link:not([hidden])').forEach((link) => link.click())"
        )
        await expect(page.locator(".rest").first).to_contain_text("more characters are in the log")
        await expect_unharmed(page)


async def test_bidi_controls_in_names_are_made_visible(demo_server: Server, new_page: NewPage) -> None:
    """A file name or a title cannot be turned round to look like another one."""
    page = await new_page()
    await MadeUpTask(hostile_log(), title=BIDI).attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator(".task-title")).to_contain_text(r"safe\u202egnp.exe\u2066")
    await expect(page.locator(".file-name").first).to_contain_text(r"safe\u202egnp.exe")


async def test_a_hostile_file_is_shown_as_text(demo_server: Server, new_page: NewPage) -> None:
    """The viewer shows what is in a file, whatever type the answer claims to be."""
    page = await new_page()
    await MadeUpTask(hostile_log()).attach(page)
    await page.route("**/artifacts/**", lambda route: route.fulfill(body=MARKUP + BIDI, content_type="text/html"))
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await page.locator("button.file").click()
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
    page = await new_page()
    await page.goto(demo_server.url)
    await start(page, MARKUP + BIDI)
    await expect_status(page, "SUCCEEDED")
    await expect(page.locator(".card.message").first).to_contain_text(MARKUP)
    await expect_unharmed(page)
