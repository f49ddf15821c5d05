"""What a long log costs: to open it having missed little, to page through it backwards, and to append to it."""

import http.client
import json
import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench.load import Subscribers, production
from tests.bench.processes import Program, temporary_folder
from tests.bench.tables import Report, median

MISSED = 10  # events
SIZE = 512  # bytes
GROWTH = 5000  # events
PAGE = 500  # events, of a page backwards
FILL_LIMIT = 300.0  # seconds
ANSWER_LIMIT = 30.0  # seconds


def measure(quick: bool) -> Report:
    lengths = (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000)
    report = Report(
        name="log_length",
        title=f"A long log, for a client that missed {MISSED} events",
        columns=(
            "events in the log",
            "first frame ms",
            "longest ms",
            "last page ms",
            "page before the middle ms",
            "append: us per event",
            "CPU us per event",
        ),
        notes=[
            "First frame: from connect(), so with the handshake, to the first event.",
            f"Pages: {PAGE} events with `before=`, over one connection.",
        ],
    )
    with temporary_folder() as folder, ExitStack() as stack:
        logs = [_Log(stack.enter_context(production(Path(folder, str(length)))), length) for length in lengths]
        for _ in range(5 if quick else 15):
            for log in logs:
                log.open()
                log.turn_back()
                log.grow()
    for log in logs:
        pages = median(log.last_page_ms), median(log.middle_page_ms)
        report.rows.append(
            (log.length, median(log.first_ms), max(log.first_ms), *pages, median(log.append_us), median(log.cpu_us))
        )
        report.raw.append({"events": log.length, **log.measured})
        report.notes += [f"NOT EXACT: {what}" for what in log.wrong]
    longest, shortest = logs[-1], logs[0]
    for title, found in (
        ("first frame", longest.first_ms),
        ("last page", longest.last_page_ms),
        ("page before the middle", longest.middle_page_ms),
    ):
        report.check(f"{title} at {longest.length} events", median(found), 20.0, at_least=False, unit=" ms")
    for log in logs[1:]:
        growth = median(log.cpu_us) / median(shortest.cpu_us)
        what = f"CPU per appended event, {log.length} over {shortest.length}"
        report.check(what, growth, 1.1, at_least=False, unit="x")
    return report


class _Log:
    """A log of some length in a server of its own, and what was measured with it."""

    def __init__(self, server: Program, length: int) -> None:
        self.length = length
        self.first_ms: list[float] = []
        self.last_page_ms: list[float] = []
        self.middle_page_ms: list[float] = []
        self.append_us: list[float] = []
        self.cpu_us: list[float] = []
        self.wrong: list[str] = []
        self._server = server
        made = server.ask("fill", length, SIZE, limit=FILL_LIMIT)
        self._head: int = made["last_id"]
        self._task_id: str = made["task_id"]
        self._http = http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWER_LIMIT)

    @property
    def measured(self) -> dict[str, list[float]]:
        return {
            "first_ms": self.first_ms,
            "last_page_ms": self.last_page_ms,
            "middle_page_ms": self.middle_page_ms,
            "append_us": self.append_us,
            "cpu_us": self.cpu_us,
        }

    def open(self) -> None:
        """As a client that has missed a little."""
        with Subscribers(self._server, 1, task_id=self._task_id, start=self._head - MISSED) as one:
            received = one.until(self._head)
        self.first_ms.append((received.first_ns - received.connect_ns) / 1e6)
        if not received.exact or received.events != MISSED:
            self.wrong.append(str(received))

    def turn_back(self) -> None:
        """To the last page, and to one in the middle."""
        self.last_page_ms.append(self._page(self._head + 1))
        self.middle_page_ms.append(self._page(self._head // 2))

    def grow(self) -> None:
        used = self._server.cpu()
        made = self._server.ask("grow", GROWTH, SIZE)
        self.cpu_us.append((self._server.cpu() - used) / GROWTH * 1e6)
        self.append_us.append(made["seconds"] / GROWTH * 1e6)
        self._head = made["last_id"]

    def _page(self, before: int) -> float:
        """Milliseconds to get the page before an event."""
        begun = time.perf_counter()
        self._http.request("GET", f"/api/tasks/{self._task_id}/events?before={before}&limit={PAGE}")
        body = self._http.getresponse().read()
        took = time.perf_counter() - begun
        ids = [event["event_id"] for event in json.loads(body)["events"]]
        if ids != list(range(before - PAGE, before)):
            self.wrong.append(f"before {before}: {len(ids)} events")
        return took * 1e3
