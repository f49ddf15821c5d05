"""The longest time that the server's event loop does nothing else, while many connect and while it fans out to them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.bench.fanout import BROADCAST, NAIVE, OURS, TITLES, Rounds, keep
from tests.bench.load import Subscribers, production
from tests.bench.processes import Program, python, temporary_folder
from tests.bench.tables import Report, median

SERVERS: dict[str, Callable[[Path], AbstractContextManager[Program]]] = {
    OURS: production,
    BROADCAST: lambda _: python("broadcast_server"),
    NAIVE: lambda _: python("naive_server"),
}
CONNECTING = "all connect"


def measure(quick: bool) -> Report:
    connections = 1000 if quick else 5000
    report = Report(
        name="loop_stall",
        title=f"The longest stall of the event loop, {connections} subscribers",
        columns=("meanwhile", *(f"{server}, ms" for server in SERVERS)),
        notes=[
            "The longest time between two turns of a task that sleeps for 1 ms, in each round; medians of rounds. It "
            "holds what the operating system gave to the client. Each server runs alone: the pings of thousands of "
            "idle connections to another one would take its core."
        ],
    )
    longest: dict[str, dict[str, float]] = {}
    for name, start in SERVERS.items():
        with temporary_folder() as folder, start(Path(folder)) as server:
            longest[name] = _measure_server(report, name, server, connections, quick)
    for what in (CONNECTING, *(TITLES[mode] for mode in ("tick", "burst"))):
        report.rows.append((what, *(longest[name][what] for name in SERVERS)))
        if what != CONNECTING:
            report.check(f"{connections} subscribers, {what}", longest[OURS][what], 8.0, at_least=False, unit=" ms")
    return report


def _measure_server(report: Report, name: str, server: Program, connections: int, quick: bool) -> dict[str, float]:
    """The longest stalls of one server, in ms."""
    found: dict[str, float] = {}
    server.ask("sample", "begin")
    with Subscribers(server, connections) as subscribers:
        found[CONNECTING] = server.ask("sample", "end")["longest_ms"]
        for mode in ("tick", "burst"):
            rounds: Rounds = {name: []}
            longest: list[float] = []
            for _ in range(2 if quick else 7 if name == OURS else 3):
                server.ask("sample", "begin")
                rounds[name].append(subscribers.round(mode, size=256, seconds=0.5 if quick else 1))
                longest.append(server.ask("sample", "end")["longest_ms"])
            keep(report, rounds, connections=connections, mode=mode)
            report.raw.append({"mode": mode, "server": name, "longest_ms": longest})
            found[TITLES[mode]] = median(longest)
    return found
