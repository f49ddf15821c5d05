"""What the browser tests share: pages that report every error, and a task whose log a test makes up."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import Page, Route, WebSocketRoute, expect

Json = dict[str, Any]

TASK_ID = "made-up"
EPOCH = "an-epoch"
FRAME_EVENTS = 512
# A window in which all cards of a short run are in view: those that are not are not there.
TALL = {"width": 1280, "height": 6_000}

# Chromium's own words for requests that could not be made; expected only where a test cuts connections.
NETWORK_ERROR = re.compile(r"net::ERR_|WebSocket connection to|Failed to load resource")

_RECORD_IDS = """async () => {
  const { Cursor } = await import(document.querySelector("script[type=module]").src.replace("app.js", "cursor.js"));
  const { accept } = Cursor.prototype;
  globalThis.taken = [];
  Cursor.prototype.accept = function (events) {
    const result = accept.call(this, events);
    taken.push(...result.fresh.map((event) => event.event_id));
    return result;
  };
}"""


class Errors:
    """Everything that a page complained about: exceptions, console errors, violations of the policy."""

    def __init__(self, page: Page) -> None:
        self.seen: list[str] = []
        page.on("pageerror", lambda error: self.seen.append(str(error)))
        page.on("console", lambda line: self.seen.append(line.text) if line.type == "error" else None)

    @property
    def beside_network(self) -> list[str]:
        return [error for error in self.seen if not NETWORK_ERROR.search(error)]


async def start(page: Page, idea: str, *, options: Sequence[str] = ()) -> str:
    """Start a team through the form, on the page that shows it. Returns the task's id."""
    await page.get_by_label("Your idea").fill(idea)
    if options:
        await page.get_by_text("Options", exact=True).click()
        for option in options:
            await page.get_by_label(option).check()
    await page.keyboard.press("Control+Enter")
    await page.wait_for_url("**/tasks/*")
    return page.url.rsplit("/", 1)[1]


async def expect_status(page: Page, status: str) -> None:
    await expect(page.locator(".summary .status")).to_have_attribute("data-status", status)


async def see(page: Page, selector: str) -> None:
    """Wait for an element that may be there for a moment only: looked for at every animation frame."""
    await page.wait_for_function("(selector) => document.querySelector(selector)", arg=selector)


async def expect_mode(page: Page, mode: str) -> None:
    await expect(page.locator(".connection")).to_have_attribute("data-mode", mode)


async def record_ids(page: Page) -> None:
    """From now on, note the event_id of every event that the page takes."""
    await page.evaluate(_RECORD_IDS)


async def expect_taken(page: Page, head: int) -> None:
    """The page has taken the event with this id, since its ids are noted, and has had the time to show it."""
    await page.wait_for_function("(head) => taken.at(-1) >= head", arg=head)
    await next_frames(page)


async def next_frames(page: Page) -> None:
    """The page has drawn what it has heard so far."""
    for _ in range(3):
        await page.evaluate("() => new Promise(requestAnimationFrame)")


async def expect_every_id(page: Page) -> None:
    """The ids noted are 1, 2, 3, ... up to the head of the log of the task on the page, which has ended."""
    task_id = page.url.rsplit("/", 1)[1]
    state = await page.evaluate("async (id) => (await fetch(`/api/tasks/${id}/state`)).json()", task_id)
    head = state["head"]
    await page.wait_for_function("(head) => taken.at(-1) >= head", arg=head)
    assert await page.evaluate("() => taken") == list(range(1, head + 1))


async def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    width: int = await page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    return width


def event(event_id: int, event_type: str, agent: str | None = None, **payload: object) -> Json:
    return {
        "event_id": event_id,
        "task_id": TASK_ID,
        "timestamp": "2026-01-01T12:00:00.000000Z",
        "agent_role": agent,
        "event_type": event_type,
        "payload": {"message": "", **payload},
    }


def busy_log(first: int, last: int) -> list[Json]:
    """A team that writes file after file: of ten events one begins an action, one ends it, one is a message."""
    kinds = {0: "ACTION_START", 8: "ACTION_COMPLETE", 9: "MESSAGE"}
    events = []
    for number in range(first, last + 1):
        kind = kinds.get(number % 10, "TOKEN")
        file = f"file_{number // 10}.py"
        payload: Json = {"call": f"call-{number // 10}", "delta": "def do():\n    return 1\n"}
        if kind == "MESSAGE":
            payload = {"content": f"{file} is written", "cause_by": "WriteCode", "sent_from": "Engineer", "send_to": []}
        elif kind != "TOKEN":
            payload = {"action": "WriteCode", "file": file, "duration_ms": 12}
        events.append(event(number, kind, "Engineer", **payload))
    return events


async def scroll_feed(page: Page, share: float) -> None:
    """Scroll the feed: 0 is its beginning, 1 its end."""
    await page.locator(".feed-scroll").evaluate("(box, share) => (box.scrollTop = share * box.scrollHeight)", share)


async def heap(page: Page) -> int:
    """Bytes that the page's scripts hold, garbage excluded."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("HeapProfiler.collectGarbage")
    used: int = (await devtools.send("Runtime.getHeapUsage"))["usedSize"]
    await devtools.detach()
    return used


class MadeUpTask:
    """A task that exists only between a page and this test: REST and WebSocket are answered from here."""

    def __init__(self, events: Sequence[Json], **task: object) -> None:
        self.events = list(events)
        self.others: list[Json] = []
        """The tasks of the list that are newer than this one."""
        self.files: list[Json] = []
        """What the task has written, as the list of its artifacts has it."""
        self.team: Json = {"attempt": 1, "roles": [], "exchanges": []}
        """How the team stands, as its metrics have it."""
        self.expired = 0
        """The last event that was deleted."""
        self._sockets: list[WebSocketRoute] = []
        self.subscribed_from: list[int] = []
        self.task: Json = {
            "id": TASK_ID,
            "title": "Made up",
            "input_prompt": "Made up",
            "status": "RUNNING",
            "priority": 0,
            "attempt": 1,
            "head": len(events),
            "progress": None,
            "current_agent": None,
            "last_message": None,
            "reason": None,
            "created_at": "2026-01-01T12:00:00Z",
            "started_at": "2026-01-01T12:00:00Z",
            "completed_at": None,
            "model": "demo",
            "demo": True,
            "usage": {"llm_calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": 0},
            "waiting": None,
            "workspace": None,
            "final_result": None,
            "options": {"run_tests": False},
            **task,
        }

    async def attach(self, page: Page) -> None:
        await page.route(re.compile(r"/api/tasks\?"), self._list)
        await page.route(f"**/api/tasks/{TASK_ID}", self._one)
        await page.route(re.compile(rf"/api/tasks/{TASK_ID}/artifacts(\?.*)?$"), self._files)
        await page.route(f"**/api/tasks/{TASK_ID}/events?*", self._page)
        await page.route(f"**/api/tasks/{TASK_ID}/metrics*", self._metrics)
        await page.route_web_socket(re.compile(r"/ws$"), self._socket)

    async def _list(self, route: Route) -> None:
        tasks = [*self.others, self.task]
        counts = Counter(task["status"] for task in tasks)
        await route.fulfill(json={"tasks": tasks, "next_cursor": None, "counts": counts})

    async def _one(self, route: Route) -> None:
        await route.fulfill(json=self.task)

    async def _files(self, route: Route) -> None:
        await route.fulfill(json={"artifacts": self.files})

    async def _page(self, route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        since, limit = (int(query[name][0]) for name in ("since_event_id", "limit"))
        events = [known for known in self.events if known["event_id"] > since][:limit]
        await route.fulfill(json={"events": events, "head": self.task["head"], "gap": None, "epoch": EPOCH})

    async def _metrics(self, route: Route) -> None:
        await route.fulfill(json={"team": self.team})

    def push(self, *events: Json) -> None:
        """Append events, and send them at once to the pages that are there."""
        self.events += events
        self.task["head"] = events[-1]["event_id"]
        for socket in self._sockets:
            self._send(socket, events)

    def tell(self, **changes: object) -> None:
        """Change the task, and tell the lists that are there."""
        self.task = {**self.task, **changes}
        self._tell_of(self.task)

    def add_newer(self, **task: object) -> None:
        """Have another task in the list, and tell the lists that are there."""
        self.others.insert(0, {**self.task, "created_at": "2026-01-02T12:00:00Z", **task})
        self._tell_of(self.others[0])

    def _tell_of(self, task: Json) -> None:
        for socket in self._sockets:
            socket.send(json.dumps({"op": "state", "task_id": task["id"], "state": task}))

    def _socket(self, socket: WebSocketRoute) -> None:
        self._sockets.append(socket)
        socket.on_message(lambda text: self._answer(socket, json.loads(text)))
        socket.send(json.dumps({"op": "hello", "epoch": EPOCH}))

    def _answer(self, socket: WebSocketRoute, frame: Json) -> None:
        if frame["op"] != "subscribe":
            return
        since = frame["since_event_id"]
        self.subscribed_from.append(since)
        if since < self.expired:
            gap = {"from": since + 1, "to": self.expired, "reason": "retention"}
            socket.send(json.dumps({"op": "gap", "task_id": TASK_ID, **gap}))
        self._send(socket, [known for known in self.events if known["event_id"] > since])
        socket.send(json.dumps({"op": "caught_up", "task_id": TASK_ID, "event_id": self.task["head"]}))

    def _send(self, socket: WebSocketRoute, events: Sequence[Json]) -> None:
        for frame in self.frames(events):
            socket.send(json.dumps({"op": "events", "task_id": TASK_ID, "events": frame, "head": self.task["head"]}))

    def frames(self, events: Sequence[Json]) -> list[Sequence[Json]]:
        return [events[at : at + FRAME_EVENTS] for at in range(0, len(events), FRAME_EVENTS)]
