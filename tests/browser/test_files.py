"""The files of a team: every version, and what has changed between two."""

import re

from playwright.async_api import expect

from tests.browser.conftest import NewPage
from tests.browser.pages import expect_status
from tests.browser.test_looks import shoot
from tests.support import Server, client


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
        await version.select_option("2")
        await against.select_option("1")
        await expect(viewer.locator(".diff.split mark", has_text="birds").first).to_be_visible()
        await shoot(page, "files-split")
        await viewer.get_by_role("button", name="Unified").click()
        await expect(viewer.locator(".diff.unified td.sign[data-kind=now]").first).to_have_text("+")
        await shoot(page, "files-unified")
        await against.select_option("0")
        await expect(viewer.locator("td.sign[data-kind=old]")).to_have_count(0)
        await against.select_option("2")
        await expect(viewer).to_contain_text("These versions are the same.")
        await page.keyboard.press("Escape")
        await expect(viewer).to_be_hidden()
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
