"""The longest time that the server's event loop does nothing else, while many connect and while it fans out to them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

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


class Stall(NamedTuple):
    """The longest time between two turns of a loop, and the most CPU that its thread has used in between, in ms."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} ({self.cpu:.1f})"


def measure(quick: bool) -> Report:
    connections = 1000 if quick else 5000
    report = Report(
        name="loop_stall",
        title=f"The longest stall of the event loop, {connections} subscribers",
        columns=("meanwhile", *(f"{server}, ms (of its own CPU)" for server in SERVERS)),
        notes=[
            "The longest time between two turns of a task that sleeps for 1 ms, in each round; medians of rounds. It "
            "holds what the operating system gave to the client; in brackets, the most that the loop's thread has "
            "itself worked between two turns. Each server runs alone: the pings of thousands of idle connections to "
            "another one would take its core."
        ],
    )
    longest: dict[str, dict[str, Stall]] = {}
    for name, start in SERVERS.items():
        with temporary_folder() as folder, start(Path(folder)) as server:
            longest[name] = _measure_server(report, name, server, connections, quick)
    for what in (CONNECTING, *(TITLES[mode] for mode in ("tick", "burst"))):
        report.rows.append((what, *(str(longest[name][what]) for name in SERVERS)))
        if what != CONNECTING:
            wall = longest[OURS][what].wall
            report.check(f"{connections} subscribers, {what}", wall, 8.0, at_least=False, unit=" ms")
    return report


def _measure_server(report: Report, name: str, server: Program, connections: int, quick: bool) -> dict[str, Stall]:
    """The longest stalls of one server."""
    found: dict[str, Stall] = {}
    server.ask("sample", "begin")
    with Subscribers(server, connections) as subscribers:
        found[CONNECTING] = _longest([server.ask("sample", "end")])
        for mode in ("tick", "burst"):
            rounds: Rounds = {name: []}
            samples: list[dict[str, float]] = []
            for _ in range(2 if quick else 7 if name == OURS else 3):
                server.ask("sample", "begin")
                rounds[name].append(subscribers.round(mode, size=256, seconds=0.5 if quick else 1))
                samples.append(server.ask("sample", "end"))
            keep(report, rounds, connections=connections, mode=mode)
            report.raw.append({"mode": mode, "server": name, "samples": samples})
            found[TITLES[mode]] = _longest(samples)
    return found


def _longest(samples: Sequence[dict[str, float]]) -> Stall:
    """The medians of some rounds."""
    return Stall(*(median([sample[key] for sample in samples]) for key in ("longest_ms", "longest_cpu_ms")))
