"""Starts: of the server until it serves and could run, and of a run until its first agent is seen at work."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.bench.processes import ROOT, ProgramFailed, temporary_folder
from tests.bench.tables import Report, median

READY_LIMIT = 30.0  # seconds
IMPORT = "import sys, pathlib; from runner.metagpt import preload; preload.load(pathlib.Path(sys.argv[1]))"


def measure(quick: bool) -> Report:
    report = Report(
        name="start",
        title="Starts",
        columns=("from ... to ...", "median ms", "shortest", "longest", "n"),
        notes=[
            "The runs are whole runs of the real team under the demo model at pace 0; one at a time, each to its end.",
            "MetaGPT's import is the adapter's: a team's modules alone. The whole of MetaGPT takes longer.",
        ],
    )
    serving: list[float] = []
    ready: list[float] = []
    imports: list[float] = []
    first: list[float] = []
    for _ in range(2 if quick else 5):
        with temporary_folder() as folder:
            imports.append(_import_metagpt(folder))
            with _serve(folder) as (address, took):
                serving.append(took)
                ready.append(took + _wait_until_ready(address))
                first += [_run(address) for _ in range(2 if quick else 3)]
    for what, times in (
        ("`metagpt-live serve` to serving", serving),
        ("`metagpt-live serve` to ready for a run", ready),
        ("POST /run to AGENT_START over WebSocket", first),
        ("reference: python to MetaGPT imported", imports),
    ):
        report.rows.append((what, median(times) * 1000, min(times) * 1000, max(times) * 1000, len(times)))
        report.raw.append({"what": what, "seconds": times})
    report.check("POST /run to AGENT_START", median(first) * 1000, 300.0, at_least=False, unit=" ms")
    report.check("serve to serving", median(serving) * 1000, 2000.0, at_least=False, unit=" ms")
    return report


def _import_metagpt(folder: Path) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORT, str(folder / "import")], cwd=ROOT, check=True)
    return time.perf_counter() - begun


@contextlib.contextmanager
def _serve(folder: Path) -> Iterator[tuple[str, float]]:
    """The real command. Gives its host:port, and the seconds until it said that it serves."""
    command = [sys.executable, "-m", "server", "serve", "--port", "0", "--data", str(folder / "data")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("METAGPT_LIVE_")}
    environment |= {"HOME": str(folder), "METAGPT_LIVE_LLM_MODEL": "demo", "METAGPT_LIVE_DEMO_PACE": "0"}
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"http://(\S+)", line):
                yield found[1], time.perf_counter() - begun
                return
        raise ProgramFailed(f"the server ended with {process.wait()}")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _wait_until_ready(address: str) -> float:
    begun = time.perf_counter()
    while time.perf_counter() - begun < READY_LIMIT:
        with contextlib.suppress(ProgramFailed):
            _call(address, "GET", "/readyz")
            return time.perf_counter() - begun
        time.sleep(0.005)
    raise ProgramFailed("the server does not become ready")


def _run(address: str) -> float:
    """A run from POST to its end; the seconds until its first AGENT_START was received."""
    task = _call(address, "POST", "/api/tasks", {"input_prompt": "Write a small tool that counts words"})
    first: float | None = None
    path = f"/api/tasks/{task['id']}"
    with connect(f"ws://{address}{path}/events", compression=None, max_size=None) as socket:
        begun = time.perf_counter()
        _call(address, "POST", f"{path}/run")
        for text in socket:
            if first is None and '"AGENT_START"' in str(text):
                first = time.perf_counter() - begun
            frame = json.loads(text)
            if frame["op"] == "end":
                assert frame["status"] == "SUCCEEDED", frame
                break
    assert first is not None
    return first


def _call(address: str, method: str, path: str, body: object = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection(address, timeout=READY_LIMIT)
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status >= 400:
            raise ProgramFailed(f"{method} {path}: {response.status} {answer}")
        return answer
    finally:
        connection.close()
