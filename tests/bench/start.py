"""Starts: of the server until it serves and could run, and of a run until its first agent is seen at work."""

import json
import subprocess
import sys
import time
from pathlib import Path

from websockets.sync.client import connect

from tests.bench.processes import ROOT, temporary_folder
from tests.bench.serving import Served
from tests.bench.tables import Report, median

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
            with Served(folder) as server:
                serving.append(server.took)
                ready.append(server.took + server.until_ready())
                first += [_run(server) for _ in range(2 if quick else 3)]
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


def _run(server: Served) -> float:
    """A run from POST to its end; the seconds until its first AGENT_START was received."""
    first: float | None = None
    path = f"/api/tasks/{server.create()}"
    with connect(f"ws://{server.address}{path}/events", compression=None, max_size=None) as socket:
        begun = time.perf_counter()
        server.call("POST", f"{path}/run")
        for text in socket:
            if first is None and '"AGENT_START"' in str(text):
                first = time.perf_counter() - begun
            frame = json.loads(text)
            if frame["op"] == "end":
                assert frame["status"] == "SUCCEEDED", frame
                break
    assert first is not None
    return first
