"""Cuts, refusals and restarts: the page says how it is connected, and no event is lost or shown twice."""

import json
import re
from pathlib import Path

from playwright.async_api import WebSocketRoute, expect

from tests.browser.conftest import PACE, NewPage
from tests.browser.pages import (
    EPOCH,
    TALL,
    TASK_ID,
    MadeUpTask,
    event,
    expect_every_id,
    expect_mode,
    expect_status,
    record_ids,
    start,
)
from tests.browser.proxy import Proxy
from tests.power import Disk
from tests.support import Server, client

_TIME_GOES_BY = """async () => {
  const { serverNow } = await import(document.querySelector("script[type=module]").src.replace("app.js", "api.js"));
  const before = serverNow();
  await new Promise((resolve) => setTimeout(resolve, 20));
  return serverNow() - before;
}"""


async def test_cuts_in_mid_run_lose_nothing(demo_server: Server, new_page: NewPage) -> None:
    """Whenever the connection is cut, the page comes back by itself and goes on from its cursor."""
    async with Proxy(demo_server.url) as proxy:
        page = await new_page(cuts=True, viewport=TALL)
        await page.goto(proxy.url)
        await record_ids(page)
        await start(page, "A snake game", options=["Write and run tests", "Review the code"])
        for action in ("WritePRD", "WriteTasks", "WriteCode"):
            await expect(page.locator(".card.step", has_text=action).first).to_be_attached()
            proxy.cut()
        await expect_status(page, "SUCCEEDED")
        await expect_mode(page, "live")
        await expect_every_id(page)


async def test_an_offline_browser_says_so_and_comes_back(demo_server: Server, new_page: NewPage) -> None:
    page = await new_page(cuts=True, viewport=TALL)
    await page.goto(demo_server.url)
    await record_ids(page)
    await start(page, "A snake game", options=["Write and run tests"])
    await expect(page.locator(".card.step", has_text="WritePRD")).to_be_attached()
    await page.context.set_offline(True)
    await expect_mode(page, "offline")
    await expect(page.locator(".connection-strip")).to_contain_text("This browser is offline")
    muted = await page.locator(".replay-where").evaluate("(node) => getComputedStyle(node).color")
    await expect(page.locator(".replay-now")).to_have_css("color", muted)  # green says that it is live
    assert await page.evaluate(_TIME_GOES_BY) == 0  # nobody knows how the run goes on
    await page.context.set_offline(False)
    await expect_mode(page, "live")
    await expect(page.locator(".connection-strip")).to_be_hidden()
    assert await page.evaluate(_TIME_GOES_BY) > 0
    await expect_status(page, "SUCCEEDED")
    await expect_every_id(page)


async def test_a_short_cut_moves_nothing(demo_server: Server, new_page: NewPage) -> None:
    """While the page tries again for the first time it says so over what stands below, which stays where it is."""
    page = await new_page()
    dialled: list[WebSocketRoute] = []

    def answer(socket: WebSocketRoute) -> None:
        dialled.append(socket)
        if len(dialled) == 1:
            socket.send(json.dumps({"op": "hello", "epoch": EPOCH}))

    await page.route_web_socket(re.compile(r"/ws$"), answer)
    await page.goto(demo_server.url)
    await expect_mode(page, "live")
    before = await page.locator("h1").bounding_box()
    await dialled[0].close(code=1012)
    await expect_mode(page, "reconnecting")
    await expect(page.locator(".connection-strip")).to_contain_text("The server is restarting")
    await expect(page.locator(".connection-strip")).to_be_in_viewport(ratio=1)
    assert await page.locator("h1").bounding_box() == before


async def test_without_websocket_it_polls_and_says_so(demo_server: Server, new_page: NewPage) -> None:
    """Behind a proxy that refuses WebSockets everything works over REST, list included."""
    async with Proxy(demo_server.url) as proxy:
        proxy.refuses_upgrades = True
        page = await new_page(cuts=True)
        await page.goto(proxy.url)
        await record_ids(page)
        await expect_mode(page, "polling")
        await expect(page.locator(".connection-strip")).to_contain_text("WebSocket could not be opened")
        await start(page, "A snake game")
        await expect_status(page, "SUCCEEDED")
        await expect_every_id(page)
        await expect_mode(page, "polling")
        await expect(page.locator("a.row[aria-current=page]")).to_contain_text("Succeeded")


async def test_the_transport_changes_in_mid_run(demo_server: Server, new_page: NewPage) -> None:
    """From polling to WebSocket and back, with one cursor: nothing lost, nothing twice, in order."""
    async with Proxy(demo_server.url) as proxy:
        proxy.refuses_upgrades = True
        page = await new_page(cuts=True, viewport=TALL)
        await page.goto(proxy.url)
        await record_ids(page)
        await expect_mode(page, "polling")
        await start(page, "A snake game", options=["Write and run tests", "Review the code"])
        await expect(page.locator(".card.step", has_text="WritePRD")).to_be_attached()
        proxy.refuses_upgrades = False
        # Not a click, for which the button may be gone already: it is tried now and then anyway.
        await page.locator(".connection-strip .link").dispatch_event("click")
        await expect_mode(page, "live")
        await expect(page.locator(".card.step", has_text="WriteDesign")).to_be_attached()
        proxy.refuses_upgrades = True
        proxy.cut()
        await expect_mode(page, "polling")
        await expect_status(page, "SUCCEEDED")
        await expect_every_id(page)


async def test_a_killed_server_comes_back(slow_server: Server, new_page: NewPage) -> None:
    """After kill -9 and a restart on the same data the page shows that the run goes on, to its end."""
    with Server(slow_server.data.parent / "killed", DEMO_PACE=100) as server:
        async with Proxy(server.url) as proxy:
            page = await new_page(cuts=True)
            await page.goto(proxy.url)
            await start(page, "A snake game")
            await expect_status(page, "RUNNING")
            server.kill()
            await expect_mode(page, "offline")
            await expect(page.locator(".connection-strip")).to_contain_text("The server does not answer")
            with Server(server.data, DEMO_PACE=PACE) as again:
                proxy.target = again.url
                await expect_mode(page, "live")
                await expect_status(page, "SUCCEEDED")
                await expect(page.locator(".attempt")).to_have_text("Attempt 2")


async def test_a_page_that_slept_catches_up_without_a_storm(demo_server: Server, new_page: NewPage) -> None:
    """A tab that was frozen while its run went on has all of it when it wakes, and asks for hardly anything."""
    page = await new_page(viewport=TALL)
    await page.goto(demo_server.url)
    await record_ids(page)
    task_id = await start(page, "A snake game", options=["Write and run tests"])
    await expect(page.locator(".card.step", has_text="WritePRD")).to_be_attached()
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    async with client(demo_server) as api:
        await api.until_succeeded(task_id)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await devtools.send("Page.setWebLifecycleState", {"state": "active"})
    await expect_status(page, "SUCCEEDED")
    await expect_every_id(page)
    assert len(asked) < 10


async def test_a_hole_is_asked_for_again(demo_server: Server, new_page: NewPage) -> None:
    """Of an overlapping frame only what is new is taken, of one after a hole nothing: the page asks again, once."""
    events = [event(number, "LOG", level="INFO", logger="test") for number in range(1, 31)]

    class Holey(MadeUpTask):
        def frames(self, events: object) -> list[object]:  # type: ignore[override]
            whole = list(self.events)
            if len(self.subscribed_from) == 1:
                return [whole[:10], whole[5:12], whole[20:], whole[25:]]
            return [whole[self.subscribed_from[-1] - 3 :]]

    task = Holey(events)
    page = await new_page()
    await task.attach(page)
    await page.goto(demo_server.url)
    await record_ids(page)
    await page.locator("a.row").click()
    await page.wait_for_function("() => taken.length >= 30")
    assert await page.evaluate("() => taken") == list(range(1, 31))
    assert task.subscribed_from == [0, 12]


async def test_a_new_epoch_starts_from_zero(demo_server: Server, new_page: NewPage) -> None:
    """A log that is another one since the last connection is read anew, and nothing of the old one stays."""
    task = MadeUpTask([event(1, "ERROR", message="of the old log", error_type="Old", fatal=False)])
    page = await new_page()
    await task.attach(page)
    sockets: list[WebSocketRoute] = []
    answer = task._socket

    def socket(route: WebSocketRoute) -> None:
        sockets.append(route)
        answer(route)

    await page.route_web_socket("**/ws", socket)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.get_by_text("of the old log")).to_be_visible()
    task.events = [event(1, "ERROR", message="of the new log", error_type="New", fatal=False)]
    sockets[0].send(json.dumps({"op": "hello", "epoch": f"not {EPOCH}"}))
    await expect(page.get_by_text("of the new log")).to_be_visible()
    await expect(page.get_by_text("of the old log")).to_have_count(0)


async def test_a_power_failure_is_told_to_who_polls(tmp_path: Path, new_page: NewPage) -> None:
    """A page that polls, and holds events that were lost and whose ids are others' now, reads the log from 0."""
    with Server(tmp_path / "data", DEMO_PACE=100) as server:
        async with Proxy(server.url) as proxy, client(server) as api:
            proxy.refuses_upgrades = True
            task_id = await api.create("A snake game")
            disk = Disk(server.data)
            await api.run(task_id)
            page = await new_page(cuts=True)
            await page.goto(proxy.url)
            await record_ids(page)
            await page.locator("a.row").click()
            await expect_status(page, "RUNNING")
            await expect_mode(page, "polling")
            server.kill()
            disk.lose_power()
            with Server(server.data) as again:
                async with client(again) as api_again:
                    await api_again.run(task_id)
                    await api_again.until_event(task_id, "ACTION_COMPLETE")  # the page's cursor is within this log
                proxy.target = again.url
                await page.wait_for_function("() => taken.filter((id) => id === 1).length === 2")
                await expect_status(page, "SUCCEEDED")
