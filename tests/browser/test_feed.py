"""Reading along in the feed: what grows, what stands still, what is found."""

import re
from urllib.parse import urlsplit

from playwright.async_api import Locator, Route, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TASK_ID, Json, MadeUpTask, busy_log, event, scroll_feed
from tests.support import Server

PRD = (
    '{"Language": "en_us", "Goals": ["Fast", "Small"], "Pool": [["P0", "Must"], ["P1", "May"]], '
    '"Chart": "classDiagram\\n  class Snake"}'
)
CODE = "## Code: main.py\n\nIt **starts** here.\n\n```python\ndef main() -> None:\n    return None\n```\n"


def _token(event_id: int, delta: str) -> Json:
    return event(event_id, "TOKEN", "Engineer", call="call-1", delta=delta)


async def test_markdown_while_it_is_written(demo_server: Server, new_page: NewPage) -> None:
    """Blocks that are complete are read as they come, once each; what is left is read when the step ends."""
    task = MadeUpTask([event(1, "ACTION_START", "Engineer", action="WriteCode", file="main.py")])
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    card = page.locator(".card.step")
    await expect(card).to_be_visible()
    task.push(*[_token(number, character) for number, character in enumerate(CODE[:-4], 2)])
    head = len(task.events)
    await expect(card.locator("h4")).to_have_text("Code: main.py")
    await card.locator("h4").evaluate("(node) => (node.dataset.kept = 'yes')")
    await expect(card.locator("strong")).to_have_text("starts")
    await expect(card.locator("pre code")).to_have_text("def main() -> None:\n    return None\n")
    finished = event(head + 2, "ACTION_COMPLETE", "Engineer", action="WriteCode", duration_ms=3)
    task.push(_token(head + 1, "```\n"), finished)
    await expect(card.locator("pre .hl-keyword").first).to_have_text("def")
    await expect(card.locator("h4[data-kept]")).to_have_count(1)
    await expect(card.locator(".prose")).not_to_contain_text("```")


async def test_a_document_and_its_diagram(demo_server: Server, new_page: NewPage) -> None:
    """MetaGPT's JSON is shown as a document, the mermaid in it as a picture, and what it took beside its name."""
    page = await new_page()
    log = [
        event(1, "ACTION_START", "ProductManager", action="WritePRD"),
        event(2, "TOKEN", "ProductManager", call="call-1", delta=f"[CONTENT]\n{PRD}\n[/CONTENT]"),
        event(3, "LLM_CALL", "ProductManager", call="call-1", prompt_tokens=900, completion_tokens=600, cost_usd=0.25),
        event(4, "ACTION_COMPLETE", "ProductManager", action="WritePRD", duration_ms=3),
    ]
    await MadeUpTask(log).attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    card = page.locator(".card.step")
    await expect(card.locator(".card-used")).to_have_text("1,500 tokens · $0.2500")
    await expect(card.locator(".part.short")).to_contain_text(["Languageen_us"])
    await expect(card.locator("li", has_text="Small")).to_be_visible()
    await expect(card.locator("tr").nth(1)).to_contain_text("P1May")
    picture = card.get_by_role("img", name="Diagram (classDiagram)")
    await expect(picture).to_be_attached()
    assert await picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 20


async def _top(card: Locator) -> float:
    top: float = await card.evaluate("(node) => node.getBoundingClientRect().top")
    return top


async def test_json_is_read_along(demo_server: Server, new_page: NewPage) -> None:
    """While it is written, line ends and quotes in MetaGPT's JSON are such, in the feed and on the role's card, also
    where an escape comes in two parts; what would deceive is seen.
    """
    parts = (r'{"Flow": "a\\b', "\\", r"nsays \"hi\"\u00", r"e9 \u202e \\", "n")
    written = [_token(number, part) for number, part in enumerate(parts, 2)]
    task = MadeUpTask([event(1, "ACTION_START", "Engineer", action="WriteDesign"), written[0]])
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    code = page.locator(".card.step pre code")
    await expect(code).to_have_text(r'{"Flow": "a\b')
    for token in written[1:]:
        task.push(token)
        await page.evaluate("() => new Promise(requestAnimationFrame)")
    await expect(code).to_contain_text(r"\n")
    assert await code.text_content() == '{"Flow": "a\\b\nsays "hi"\u00e9 \\u202e \\n'
    await expect(page.locator(".agent[data-role=Engineer] .agent-tail")).to_contain_text('says "hi"\u00e9')


async def test_the_end_of_long_json_is_read_along(demo_server: Server, new_page: NewPage) -> None:
    """The end of it that a role's card shows neither begins nor ends amid an escape."""
    line = r"\u00e9\n"
    written = [_token(number, part) for number, part in enumerate(['{"Flow": "', *line * 40, "\\"], 2)]
    task = MadeUpTask([event(1, "ACTION_START", "Engineer", action="WriteDesign"), *written])
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator(".agent[data-role=Engineer] .agent-tail")).to_have_text(re.compile("^(\u00e9\\s*)+$"))


async def test_what_is_read_stands_still(demo_server: Server, new_page: NewPage) -> None:
    """Whoever has scrolled up stays there while the run goes on, until they want the latest."""
    task = MadeUpTask(busy_log(1, 1_000))
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator(".card.message").last).to_contain_text("file_99.py")
    await scroll_feed(page, 0.4)
    await expect(page.get_by_role("button", name="Latest")).to_be_visible()
    seen = page.locator(".card.message", has_text="file_4").first
    await expect(seen).to_be_visible()
    name, top = await seen.inner_text(), await _top(seen)
    task.push(*busy_log(1_001, 1_500))
    await expect(page.locator("[data-figure=events] dd")).to_have_text("1,500")
    there = page.locator(".card.message", has_text=name.splitlines()[-1])
    assert abs(await _top(there) - top) < 2
    await page.get_by_role("button", name="Latest").click()
    await expect(page.locator(".card.message").last).to_contain_text("file_149.py")
    task.push(*busy_log(1_501, 1_600))
    await expect(page.locator(".card.message").last).to_contain_text("file_159.py")


async def test_what_is_unfolded_stays_where_it_is(demo_server: Server, new_page: NewPage) -> None:
    """A long text is unfolded in its place, also at the end of a feed that goes on; folded, its card is in view."""
    long = "\n\n".join(f"Paragraph {number}" for number in range(200))
    said = {"cause_by": "", "sent_from": "", "send_to": []}
    log = [*busy_log(1, 500), event(501, "MESSAGE", "Architect", content=long, **said)]
    task = MadeUpTask(log)
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    card = page.locator(".card.message[data-role=Architect]")
    await expect(card).to_be_in_viewport()
    fold = card.get_by_role("button", name="Show all 399 lines")
    top = await _top(card)
    await page.keyboard.press("j")
    await expect(card).to_have_attribute("aria-current", "true")
    top = await _top(card)
    await page.keyboard.press("o")
    less = card.get_by_role("button", name="Show less")
    await expect(less).to_have_attribute("aria-expanded", "true")
    task.push(*busy_log(502, 600))
    await expect(page.locator("[data-figure=events] dd")).to_have_text("600")
    assert abs(await _top(card) - top) < 2
    await card.get_by_text("Paragraph 100", exact=True).evaluate("(node) => node.scrollIntoView()")
    await expect(less).to_be_in_viewport(ratio=1)
    await less.click()
    await expect(fold).to_be_in_viewport()
    await expect(card.get_by_text("Paragraph 0", exact=True)).to_be_in_viewport()


async def test_words_that_are_marked_stay_so(demo_server: Server, new_page: NewPage) -> None:
    """Words marked at the end of a feed that goes on are not scrolled away, until the latest is wanted."""
    task = MadeUpTask(busy_log(1, 500))
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    words = page.locator(".feed").get_by_text("file_49.py is written")
    box = await words.bounding_box()
    assert box
    await page.mouse.move(box["x"] + 1, box["y"] + box["height"] / 2)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] / 2)
    task.push(*busy_log(501, 600))
    await page.mouse.up()
    latest = page.get_by_role("button", name="Latest")
    await expect(latest).to_be_visible()
    top = await _top(words)
    task.push(*busy_log(601, 1_000))
    await expect(page.locator("[data-figure=events] dd")).to_have_text("1,000")
    assert abs(await _top(words) - top) < 2
    assert "is written" in await page.evaluate("() => getSelection().toString()")
    await latest.click()
    await expect(page.locator(".card.message").last).to_contain_text("file_99.py")
    task.push(*busy_log(1_001, 1_100))
    await expect(page.locator(".card.message").last).to_contain_text("file_109.py")


async def test_words_that_are_marked_from_elsewhere_stay_so(demo_server: Server, new_page: NewPage) -> None:
    """A marking that began outside of the feed is kept, too."""
    task = MadeUpTask(busy_log(1, 500))
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    words = page.locator(".feed").get_by_text("file_49.py is written")
    await words.evaluate("(node) => getSelection().setBaseAndExtent(document.querySelector('.side h2'), 0, node, 1)")
    top = await _top(words)
    task.push(*busy_log(501, 1_000))
    await expect(page.locator("[data-figure=events] dd")).to_have_text("1,000")
    assert abs(await _top(words) - top) < 2


async def test_words_are_marked_in_what_is_being_written(demo_server: Server, new_page: NewPage) -> None:
    """A marking stays when its card goes on and ends; once it is taken back, the card is as it is now."""
    begun = event(1, "ACTION_START", "Engineer", action="WriteCode", file="main.py")
    task = MadeUpTask([begun, _token(2, "It **starts** here")])
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    words = page.locator(".card.step .prose")
    await expect(words).to_contain_text("here")
    await words.evaluate("(node) => getSelection().selectAllChildren(node)")
    task.push(_token(3, ", and ends there"), event(4, "ACTION_COMPLETE", "Engineer", action="WriteCode", duration_ms=3))
    await expect(page.locator("[data-figure=events] dd")).to_have_text("4")
    assert (await page.evaluate("() => getSelection().toString()")).strip() == "It **starts** here"
    await page.locator("h1").click()
    await expect(words.locator("strong")).to_have_text("starts")
    await expect(words).to_contain_text("and ends there")


async def test_the_feed_is_filtered(demo_server: Server, new_page: NewPage) -> None:
    """By role, by kind and by words, each with the others; the number of what is left is said."""
    said = {"cause_by": "", "sent_from": "", "send_to": []}
    log = [
        event(1, "MESSAGE", "Architect", content="a snake in a box", **said),
        event(2, "MESSAGE", "Engineer", content="the snake is written", **said),
        event(3, "ERROR", "Engineer", message="the snake bit", error_type="Bite", fatal=False),
        event(4, "MESSAGE", "Engineer", content="done", **said),
    ]
    page = await new_page()
    await MadeUpTask(log).attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    cards = page.locator(".card")
    await expect(cards).to_have_count(4)
    await page.get_by_label("Filter by words").fill("SNAKE")
    await expect(cards).to_have_count(3)
    await expect(page.locator(".filter-count")).to_have_text("3 of 4")
    await page.locator(".agent[data-role=Engineer]").click()
    await expect(page.get_by_label("Role", exact=True)).to_have_value("Engineer")
    await expect(cards).to_have_count(2)
    await page.get_by_label("Kind", exact=True).select_option("Problems")
    await expect(cards).to_have_count(1)
    await expect(cards).to_contain_text("the snake bit")
    await page.get_by_label("Filter by words").fill("elephant")
    await expect(page.get_by_text("Nothing matches the filter.")).to_be_visible()
    await page.get_by_role("button", name="Show all").click()
    await expect(cards).to_have_count(4)
    await expect(page.locator(".agent[data-role=Engineer]")).to_have_attribute("aria-pressed", "false")


async def test_a_time_is_an_address(demo_server: Server, new_page: NewPage) -> None:
    """The time of a card, and of what stands between cards, leads to its event, and back again."""
    page = await new_page()
    await MadeUpTask([event(1, "STATUS", status="RUNNING", attempt=1), event(2, "MESSAGE", content="hello")]).attach(
        page
    )
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    for kind, number in ((".card", 2), (".milestone", 1)):
        await page.locator(f"{kind} .when").click()
        await expect(page.locator(f"{kind}[aria-current]")).to_be_visible()
        await expect(page).to_have_url(f"{demo_server.url}/#/tasks/{TASK_ID}/events/{number}")
    await page.go_back()
    await expect(page.locator(".card[aria-current]")).to_be_visible()


async def test_an_excerpt(demo_server: Server, new_page: NewPage) -> None:
    """Where the log has only a part of what was said, there is a link to all of it."""
    whole = {"path": ".payloads/1.json", "version": 1, "size": 9, "sha256": "0" * 64}
    said = {"cause_by": "", "sent_from": "", "send_to": []}
    page = await new_page()
    await MadeUpTask([event(1, "MESSAGE", "Architect", content="So…", whole=whole, **said)]).attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    link = page.get_by_role("link", name="This is an excerpt; a file has all of it")
    await expect(link).to_have_attribute("href", f"/api/tasks/{TASK_ID}/artifacts/.payloads/1.json")


async def test_a_file_is_shown_as_what_it_is(demo_server: Server, new_page: NewPage) -> None:
    """Of the files that the team wrote Markdown is read, code is coloured, and a diagram is drawn."""
    contents = {
        "notes.md": "# Notes\n\n- **one**",
        "main.py": "import sys",
        "design.mmd": "classDiagram\n  class Snake",
    }
    page = await new_page()
    await MadeUpTask(
        [event(n, "ARTIFACT", "Engineer", path=path, version=1, size=9) for n, path in enumerate(contents, 1)]
    ).attach(page)

    async def answer(route: Route) -> None:
        await route.fulfill(body=contents[urlsplit(route.request.url).path.rsplit("/", 1)[1]])

    await page.route("**/artifacts/*?*", answer)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    viewer = page.locator(".viewer")
    for path, shown in {"notes.md": "li strong", "main.py": ".hl-keyword", "design.mmd": "img"}.items():
        await page.locator("button.file", has_text=path).click()
        await expect(viewer.locator(shown)).to_be_visible()
        await page.keyboard.press("Escape")
