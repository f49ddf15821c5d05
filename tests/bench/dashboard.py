"""The dashboard in Chromium: to open a long run, to take a burst, to watch a steady run for a minute."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import Browser, Page, async_playwright

from runner.base import Commit, Placed
from runner.events import EventType
from runner.states import Status
from runner.store import SqliteStore
from tests.bench.processes import temporary_folder
from tests.bench.serving import Served
from tests.bench.tables import Report, median
from tests.browser.conftest import ARGS
from tests.browser.pages import TASK_ID, Json, MadeUpTask, busy_log, heap
from tests.logs import make_task

LONG = 100_000  # events
BATCH = 5_000  # events
BURST = 5_000  # events
RATE = 200  # events per second

# When the last message of the long run stands in the feed, as the page's own clock has it.
_OPENED = """(words) => new Promise((resolve) => {
  const look = () => {
    const cards = document.querySelectorAll(".card.message");
    const there = cards.length && cards[cards.length - 1].textContent.includes(words);
    there ? resolve(performance.now()) : requestAnimationFrame(look);
  };
  look();
})"""
_WATCH_FRAMES = """() => {
  globalThis.frames = [];
  let last = performance.now();
  const note = (now) => {
    frames.push(now - last);
    last = now;
    requestAnimationFrame(note);
  };
  requestAnimationFrame(note);
}"""


def measure(quick: bool) -> Report:
    return asyncio.run(_measure(quick))


async def _measure(quick: bool) -> Report:
    report = Report(
        name="dashboard",
        title="The dashboard in headless Chromium",
        columns=("what", "median", "worst", "unit"),
        notes=["Opened: from the navigation to the last card. A frame: from one animation frame to the next."],
    )
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with temporary_folder() as folder:
        await _fill(Path(folder, "data"))
        with Served(Path(folder)) as server:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=found, args=ARGS)
                address = f"http://{server.address}"
                _opened(report, [await _open(browser, address) for _ in range(3 if quick else 7)])
                _burst(report, [await _take_burst(browser, address) for _ in range(2 if quick else 5)])
                _steady(report, await _watch(browser, address, seconds=10 if quick else 60))
                await browser.close()
    return report


async def _fill(data: Path) -> None:
    """A data folder with a long run in it, that has ended."""
    data.mkdir()  # noqa: ASYNC240, nothing else is going on
    store = await SqliteStore.open(data / "metagpt-live.db")
    task = make_task(TASK_ID)
    await store.create_task(task, key=None, fingerprint="")
    for first in range(1, LONG + 1, BATCH):
        events = [_placed(event) for event in busy_log(first, first + BATCH - 1)]
        task = msgspec.structs.replace(task, head=events[-1].event_id, status=Status.SUCCEEDED)
        await store.append([Commit(task, events)])
    await store.aclose()


def _placed(event: Json) -> Placed:
    encoded = json.dumps(event, separators=(",", ":")).encode()
    return Placed(event["event_id"], EventType(event["event_type"]), event["agent_role"], encoded)


async def _open(browser: Browser, address: str) -> float:
    page = await browser.new_page(viewport={"width": 1280, "height": 800})
    await page.goto(f"{address}/tasks/{TASK_ID}", wait_until="commit")
    took: float = await page.evaluate(_OPENED, f"file_{(LONG - 1) // 10}.py")
    await page.close()
    return took


def _opened(report: Report, took: list[float]) -> None:
    report.rows.append((f"a run of {LONG} events is opened", median(took), max(took), "ms"))
    report.check(f"a run of {LONG} events is opened", median(took), 1_000, at_least=False, unit=" ms")
    report.raw.append({"what": "opened", "ms": took})


async def _made_up(browser: Browser, address: str) -> tuple[Page, MadeUpTask]:
    page = await browser.new_page(viewport={"width": 1280, "height": 800})
    task = MadeUpTask(busy_log(1, 100))
    await task.attach(page)
    await page.goto(f"{address}/tasks/{TASK_ID}")
    await page.evaluate(_OPENED, "file_9.py")
    await page.wait_for_timeout(1_000)  # for what comes with a first view: languages of the highlighter
    await page.evaluate(_WATCH_FRAMES)
    return page, task


async def _take_burst(browser: Browser, address: str) -> list[float]:
    page, task = await _made_up(browser, address)
    task.push(*busy_log(101, 100 + BURST))
    await page.evaluate(_OPENED, f"file_{(99 + BURST) // 10}.py")
    return await _frames(page)


def _burst(report: Report, frames: list[list[float]]) -> None:
    longest = [max(each) for each in frames]
    report.rows.append((f"longest frame of a burst of {BURST} events", median(longest), max(longest), "ms"))
    report.check(f"longest frame of a burst of {BURST}", median(longest), 100, at_least=False, unit=" ms")
    report.raw.append({"what": "burst", "longest_ms": longest})


async def _watch(browser: Browser, address: str, *, seconds: int) -> dict[str, Any]:
    page, task = await _made_up(browser, address)
    before = await heap(page)
    last = 100
    for _ in range(seconds * 10):
        task.push(*busy_log(last + 1, last + RATE // 10))
        last += RATE // 10
        await page.wait_for_timeout(100)
    await page.evaluate(_OPENED, f"file_{(last - 1) // 10}.py")
    grown = await heap(page) - before
    return {"frames": await _frames(page), "grown": grown, "seconds": seconds}


def _steady(report: Report, watched: dict[str, Any]) -> None:
    what = f"{RATE} events/s for {watched['seconds']} s"
    grown = watched["grown"] / 1e6
    report.rows.append((f"longest frame at {what}", median(watched["frames"]), max(watched["frames"]), "ms"))
    report.rows.append((f"memory after {what}", grown, grown, "MB more"))
    report.check(f"memory after {what}", grown, 8.0, at_least=False, unit=" MB")
    report.raw.append({"what": "steady", **watched})


async def _frames(page: Page) -> list[float]:
    frames: list[float] = await page.evaluate("() => frames")
    await page.close()
    return frames
