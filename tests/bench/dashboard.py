"""The dashboard in Chromium: to open a long run, to take a burst, to watch a steady run for a minute.

On a machine that is shared a frame waits for others, too. So beside the time between two frames there is the CPU time
of the longest task of the page's main thread: what the page itself would have a frame wait for.
"""

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
        columns=("what", "best", "median", "worst", "unit"),
        notes=[
            "Opened: until its last card is there. For the first time: in a browser that has nothing of the dashboard.",
            "A frame: from one animation frame to the next. A task: CPU time without a pause of its main thread.",
        ],
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


async def _open(browser: Browser, address: str) -> dict[str, float]:
    """Milliseconds of one browser profile: its first visit, the same again, and from the list of tasks."""
    page = await browser.new_page(viewport={"width": 1280, "height": 800})
    words = f"file_{(LONG - 1) // 10}.py"
    took = {}
    for visit in ("for the first time", "again"):
        await page.goto(f"{address}/tasks/{TASK_ID}", wait_until="commit")
        took[visit] = await page.evaluate(_OPENED, words)
    await page.goto(address)
    row = page.locator("a.row")
    await row.wait_for()
    await page.wait_for_load_state("networkidle")
    before = await row.evaluate("(row) => { const now = performance.now(); row.click(); return now; }")
    took["from the list"] = await page.evaluate(_OPENED, words) - before
    await page.close()
    return took


def _opened(report: Report, took: list[dict[str, float]]) -> None:
    for visit in took[0]:
        what = f"a run of {LONG} events is opened {visit}"
        measured = [each[visit] for each in took]
        _row(report, what, measured, "ms")
        # The first visit loads the dashboard: that has nothing to do with the length of the run.
        if visit != "for the first time":
            report.check(what, median(measured), 1_000, at_least=False, unit=" ms")
    report.raw.append({"what": "opened", "ms": took})


def _row(report: Report, what: str, measured: list[float], unit: str) -> None:
    report.rows.append((what, min(measured), median(measured), max(measured), unit))


async def _made_up(browser: Browser, address: str) -> tuple[Page, MadeUpTask]:
    page = await browser.new_page(viewport={"width": 1280, "height": 800})
    task = MadeUpTask(busy_log(1, 100))
    await task.attach(page)
    await page.goto(f"{address}/tasks/{TASK_ID}")
    await page.evaluate(_OPENED, "file_9.py")
    await page.wait_for_timeout(1_000)  # for what comes with a first view: languages of the highlighter
    return page, task


async def _take_burst(browser: Browser, address: str) -> dict[str, float]:
    page, task = await _made_up(browser, address)
    # "toplevel" holds the tasks of every thread, with the CPU time of each.
    await browser.start_tracing(page=page, categories=["-*", "toplevel"])
    await page.evaluate(_WATCH_FRAMES)  # not those that the tracing has held up
    task.push(*busy_log(101, 100 + BURST))
    await page.evaluate(_OPENED, f"file_{(99 + BURST) // 10}.py")
    frames: list[float] = await page.evaluate("() => frames")
    trace = json.loads(await browser.stop_tracing())
    await page.close()
    return {"frame": max(frames), "task": _longest_task(trace["traceEvents"])}


def _longest_task(trace: list[dict[str, Any]]) -> float:
    """CPU time in milliseconds, of the main threads of pages."""
    named = [event for event in trace if event["name"] == "thread_name"]
    main = {(each["pid"], each["tid"]) for each in named if each["args"]["name"] == "CrRendererMain"}
    tasks = [each for each in trace if each["name"].endswith("RunTask") and (each["pid"], each["tid"]) in main]
    return max(float(each.get("tdur", 0)) for each in tasks) / 1_000


def _burst(report: Report, bursts: list[dict[str, float]]) -> None:
    frames, tasks = ([burst[kind] for burst in bursts] for kind in ("frame", "task"))
    _row(report, f"longest frame of a burst of {BURST} events", frames, "ms")
    _row(report, f"longest task of a burst of {BURST} events", tasks, "ms CPU")
    report.check(f"longest task of a burst of {BURST}", median(tasks), 100, at_least=False, unit=" ms CPU")
    report.raw.append({"what": "burst", "ms": bursts})


async def _watch(browser: Browser, address: str, *, seconds: int) -> dict[str, Any]:
    page, task = await _made_up(browser, address)
    await page.evaluate(_WATCH_FRAMES)
    before = await heap(page)
    last = 100
    for _ in range(seconds * 10):
        task.push(*busy_log(last + 1, last + RATE // 10))
        last += RATE // 10
        await page.wait_for_timeout(100)
    await page.evaluate(_OPENED, f"file_{(last - 1) // 10}.py")
    grown = await heap(page) - before
    frames: list[float] = await page.evaluate("() => frames")
    await page.close()
    return {"frames": frames, "grown": grown, "seconds": seconds}


def _steady(report: Report, watched: dict[str, Any]) -> None:
    what = f"{RATE} events/s for {watched['seconds']} s"
    grown = watched["grown"] / 1e6
    _row(report, f"a frame at {what}", watched["frames"], "ms")
    _row(report, f"memory after {what}", [grown], "MB more")
    report.check(f"memory after {what}", grown, 8.0, at_least=False, unit=" MB")
    report.raw.append({"what": "steady", **watched})
