"""REST polls with nothing new, beside a naive route that asks SQLite each time."""

import http.client
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.fanout import client_load
from tests.bench.load import CLIENT_BOUND, Subscribers, production
from tests.bench.processes import Program, native, python, temporary_folder
from tests.bench.rows import fill_rows
from tests.bench.tables import Report, median

CONNECTIONS = 16
EVENTS = 1000  # in the log
WATCHED, UNWATCHED, CACHED, NAIVE = "watched", "unwatched", "cached", "naive"
TITLES = {
    WATCHED: "ours, 200, another client watches the task",
    UNWATCHED: "ours, 200, nobody watches the task",
    CACHED: "ours, 304 by ETag, another client watches",
    NAIVE: "reference: Starlette, aiosqlite, JSONResponse",
}


def measure(quick: bool) -> Report:
    polls: dict[str, list[dict[str, Any]]] = {kind: [] for kind in TITLES}
    cpu: dict[str, list[float]] = {kind: [] for kind in TITLES}
    with temporary_folder() as folder, ExitStack() as stack:
        server = stack.enter_context(production(Path(folder)))
        logs = {kind: server.ask("fill", EVENTS, 512) for kind in (WATCHED, UNWATCHED)}
        fill_rows(folder / "rows.db", EVENTS, 512)
        naive = stack.enter_context(python("naive_server", folder / "rows.db"))
        stack.enter_context(Subscribers(server, 1, task_id=logs[WATCHED]["task_id"]))
        paths = {kind: f"/api/tasks/{log['task_id']}/events?since_event_id={EVENTS}" for kind, log in logs.items()}
        header = f"If-None-Match: {_etag(server.port, paths[WATCHED])}"
        servers = {WATCHED: server, UNWATCHED: server, CACHED: server, NAIVE: naive}
        clients = {
            WATCHED: stack.enter_context(_client(server, paths[WATCHED])),
            UNWATCHED: stack.enter_context(_client(server, paths[UNWATCHED])),
            CACHED: stack.enter_context(_client(server, paths[WATCHED], header)),
            NAIVE: stack.enter_context(_client(naive, f"/events?since_event_id={EVENTS}")),
        }
        for _ in range(3 if quick else 7):
            for kind, client in clients.items():
                used = servers[kind].cpu()
                made = client.ask("run", 0.5 if quick else 1.5)
                cpu[kind].append((servers[kind].cpu() - used) / made["answers"] * 1e6)
                polls[kind].append(made)
    report = Report(
        name="poll",
        title="REST polls with nothing new",
        columns=("way", "polls/s", "server CPU us", "mean ms", "status", "over naive"),
        notes=[f"{CONNECTIONS} keep-alive connections, one request under way on each."],
    )
    rates = {kind: median(made["answers"] / made["seconds"] for made in found) for kind, found in polls.items()}
    for kind, found in polls.items():
        wait = median(made["mean_ms"] for made in found)
        over = rates[kind] / rates[NAIVE]
        report.rows.append((TITLES[kind], rates[kind], median(cpu[kind]), wait, found[-1]["status"], over))
        report.raw += [{"way": kind, **made} for made in found]
        if median(made["cpu_s"] / made["seconds"] for made in found) > CLIENT_BOUND:
            report.notes.append(f"The client was the bottleneck of: {TITLES[kind]}.")
    report.notes.append(client_load(made["cpu_s"] / made["seconds"] for found in polls.values() for made in found))
    for kind in (WATCHED, CACHED):
        report.check(f"{TITLES[kind]}: over naive", rates[kind] / rates[NAIVE], 2.5, at_least=True, unit="x")
    return report


def _client(server: Program, path: str, header: str = "") -> Program:
    return native("poll_client", server.port, path, CONNECTIONS, header)


def _etag(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    etag = connection.getresponse().headers["ETag"]
    connection.close()
    return str(etag)
