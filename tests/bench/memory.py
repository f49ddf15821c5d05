"""Memory of an idle subscriber, beside one of the websockets library alone."""

import time
from pathlib import Path

from tests.bench.load import Subscribers, production
from tests.bench.processes import Program, python, raise_file_limit, temporary_folder
from tests.bench.tables import Report

SETTLE = 1.0  # seconds
WARM_UP = 50  # connections, so that what is made once is not counted


def measure(quick: bool) -> Report:
    report = Report(
        name="memory",
        title="Memory of an idle subscriber",
        columns=("subscribers", "ours, kB each", "websockets alone, kB each", "ratio", "ours, s to open all"),
        notes=["Growth of the server's resident memory over the number of connections, each subscribed to one log."],
    )
    limit = raise_file_limit()
    for connections in (1000,) if quick else (1000, 5000, 10_000):
        if connections + 200 > limit:
            report.notes.append(f"{connections} connections were left out: this machine allows {limit} open files.")
            continue
        with temporary_folder() as folder, production(Path(folder)) as server:
            ours, opening = _grow(server, connections)
        with python("broadcast_server") as server:
            reference, _ = _grow(server, connections)
        report.rows.append((connections, ours / 1e3, reference / 1e3, ours / reference, opening))
        report.raw.append({"connections": connections, "ours": ours, "reference": reference, "opening_s": opening})
        if connections == (1000 if quick else 5000):
            report.check(f"kB per idle subscriber, of {connections}", ours / 1e3, 23.0, at_least=False)
    return report


def _grow(server: Program, connections: int) -> tuple[float, float]:
    """Bytes for each connection, and the seconds that all took to open."""
    with Subscribers(server, WARM_UP) as warm:
        task_id = warm.task_id
    time.sleep(SETTLE)
    before = server.rss()
    with Subscribers(server, connections, task_id=task_id) as idle:
        time.sleep(SETTLE)
        return (server.rss() - before) / connections, float(idle.client.hello["opening_s"])
