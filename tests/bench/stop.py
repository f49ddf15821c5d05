"""Stops: from POST /stop to its answer, which comes when nothing of the run is left."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psutil

from tests.bench.processes import ProgramFailed, temporary_folder
from tests.bench.serving import Served
from tests.bench.tables import Report, median, percentile

LANES = 8  # blocked runs at the same time: each stop of one waits for the grace, and costs nothing meanwhile
SLOW = 100  # pace of the demo model: no call of it comes to its end


def measure(quick: bool) -> Report:
    report = Report(
        name="stop",
        title="Stops",
        columns=("what the run is doing", "how", "p50 ms", "p99 ms", "longest", "n"),
        notes=[
            "In an LLM call: one run at a time, stopped after the first TOKEN of its first call.",
            f"Blocked: its process is frozen by SIGSTOP, so that nothing in it listens; {LANES} runs at a time. The "
            "grace that a stopped run has to end by itself, `--stop-grace`, is the default of 1.5 s.",
        ],
    )
    with temporary_folder() as folder, Served(folder, DEMO_PACE=SLOW, CONCURRENCY=LANES) as server:
        server.until_ready()
        asked = [_stop_in_a_call(server) for _ in range(10 if quick else 200)]
        _keep(report, "in an LLM call", "graceful", asked, 1000.0)
        with ThreadPoolExecutor(LANES) as lanes:
            blocked = list(lanes.map(_stop_blocked, [server] * (LANES if quick else LANES * 25)))
        _keep(report, "blocked", "killed", blocked, 2000.0)
    return report


def _keep(report: Report, what: str, how: str, seconds: list[float], target: float) -> None:
    """target: ms of the p99."""
    p50, p99 = median(seconds) * 1000, percentile(seconds, 99) * 1000
    report.rows.append((what, how, p50, p99, max(seconds) * 1000, len(seconds)))
    report.raw.append({"what": what, "how": how, "seconds": seconds})
    report.check(f"{what}, p99", p99, target, at_least=False, unit=" ms")


def _stop_in_a_call(server: Served) -> float:
    task_id = _started(server)
    return _stop(server, task_id, "graceful")


def _stop_blocked(server: Served) -> float:
    task_id = _started(server)
    workspace = server.call("GET", f"/api/tasks/{task_id}")["workspace"]
    child = next(
        child for child in psutil.Process(server.process.pid).children(recursive=True) if _is_in(child, workspace)
    )
    child.send_signal(signal.SIGSTOP)
    return _stop(server, task_id, "killed")


def _started(server: Served) -> str:
    """A task whose team waits for the model."""
    task_id = server.create()
    server.call("POST", f"/api/tasks/{task_id}/run")
    server.until_event(task_id, "TOKEN")
    return task_id


def _stop(server: Served, task_id: str, how: str) -> float:
    """The seconds that a stop took."""
    begun = time.perf_counter()
    stopped = server.call("POST", f"/api/tasks/{task_id}/stop")
    took = time.perf_counter() - begun
    if (stopped["status"], stopped["how"]) != ("CANCELLED", how):
        raise ProgramFailed(f"a stop that was to be {how} went {stopped}")
    return took


def _is_in(process: psutil.Process, workspace: str) -> bool:
    """Whether it works there; others end at any moment."""
    try:
        return process.cwd() == workspace
    except psutil.Error:
        return False
