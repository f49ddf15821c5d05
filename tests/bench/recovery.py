"""Recovery: from `kill -9` of a server that was at work to a new one that serves, and to the work going on."""

import time

from tests.bench.processes import temporary_folder
from tests.bench.serving import Served
from tests.bench.tables import Report, median

TASKS = 4
SLOW = 100  # pace of the demo model: no run comes to its end
TERMINAL = ("SUCCEEDED", "FAILED", "CANCELLED")


def measure(quick: bool) -> Report:
    report = Report(
        name="recovery",
        title="Recovery",
        columns=("from kill -9 of the server to ...", "median ms", "shortest", "longest", "n"),
        notes=[
            f"{TASKS} runs are under way. The new server is started at once, as a service manager would.",
            "At work again: the first AGENT_START of the next attempt of every run was read.",
        ],
    )
    serving: list[float] = []
    working: list[float] = []
    for _ in range(3 if quick else 20):
        _measure_once(serving, working)
    _keep(report, "a new one that serves", serving, 2000.0)
    if working:
        _keep(report, "all runs at work again", working, 3000.0)
    else:
        report.rows.append(("all runs at work again", None, None, None, 0))
        report.notes.append("Not available: interrupted runs do not go on by themselves.")
    return report


def _measure_once(serving: list[float], working: list[float]) -> None:
    """Adds the seconds of one kill; to `working` only if the runs go on."""
    with temporary_folder() as folder:
        with Served(folder, DEMO_PACE=SLOW, CONCURRENCY=TASKS) as server:
            tasks = [server.create() for _ in range(TASKS)]
            for task_id in tasks:
                server.call("POST", f"/api/tasks/{task_id}/run")
            for task_id in tasks:
                server.until_event(task_id, "TOKEN")
            killed = time.perf_counter()
            server.process.kill()
            server.process.wait()
        with Served(folder, DEMO_PACE=SLOW, CONCURRENCY=TASKS) as server:
            server.call("GET", "/healthz")
            serving.append(time.perf_counter() - killed)
            for task_id in tasks:
                state = server.call("GET", f"/api/tasks/{task_id}/state")
                if state["status"] in TERMINAL:
                    return
            for task_id in tasks:
                server.until_event(task_id, "AGENT_START", after=_interruption(server, task_id))
            working.append(time.perf_counter() - killed)


def _interruption(server: Served, task_id: str) -> int:
    """The event_id of the terminal STATUS of the attempt that was interrupted."""
    page = server.call("GET", f"/api/tasks/{task_id}/events?types=STATUS")
    return int(next(e["event_id"] for e in page["events"] if e["payload"]["status"] in TERMINAL))


def _keep(report: Report, what: str, seconds: list[float], target: float) -> None:
    """target: ms of the longest."""
    report.rows.append((what, median(seconds) * 1000, min(seconds) * 1000, max(seconds) * 1000, len(seconds)))
    report.raw.append({"what": what, "seconds": seconds})
    report.check(f"{what}, longest", max(seconds) * 1000, target, at_least=False, unit=" ms")
