"""Fan-out: deliveries per second and the server's CPU for each, beside the limit, `broadcast` and the naive loop."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from tests.bench.load import CLIENT_BOUND, Round, Subscribers, production
from tests.bench.processes import Program, native, python, temporary_folder
from tests.bench.tables import Cell, Report, median, number

OURS, LIMIT, BROADCAST, NAIVE = "ours", "limit: bare send()", "websockets.broadcast", "naive send_json"
SERVERS = (OURS, LIMIT, BROADCAST, NAIVE)
TITLES = {
    "single": "single: one event, the next when it is on its way",
    "tick": "one event per turn of the loop",
    "burst": "bursts of 64, the next when it is on its way",
    "bursts": "bursts of 64, one per turn of the loop",
}

Rounds = dict[str, list[Round]]


def measure(quick: bool) -> Report:
    report = Report(
        name="fanout",
        title="Fan-out to WebSocket subscribers",
        columns=(
            "subscribers, events",
            *(f"{server}: deliveries/s (CPU us)" for server in SERVERS),
            "CPU of limit / ours",
            "events per frame",
        ),
        notes=[
            "ours: every event is in SQLite before anybody sees it; the others store nothing. CPU us: of the server, "
            "all threads, for one delivery. Events per frame: ours; the limit sends 1, or 64 in bursts, the others 1.",
            "Every subscriber checked that ids are contiguous: no gap, no duplicate, nothing missing at the end.",
        ],
    )
    for connections in (1, 100, 1000) if quick else (1, 100, 1000, 5000):
        with servers(connections) as subscribers:
            for size in (256,) if quick else (256, 1024):
                for mode in TITLES:
                    _measure_row(report, subscribers, connections, mode, size, quick)
    report.notes.append(client_load(r["client_cpu"] for r in report.raw))
    return report


def _measure_row(
    report: Report, subscribers: dict[str, Subscribers], connections: int, mode: str, size: int, quick: bool
) -> None:
    rounds: Rounds = {server: [] for server in subscribers}
    for _ in range(1 if quick else 3):
        for server, watching in subscribers.items():
            rounds[server].append(watching.round(mode, size=size, seconds=0.3 if quick else 0.6))
    keep(report, rounds, connections=connections, mode=mode, size=size)
    cpu = {server: median(r.cpu_us for r in made) for server, made in rounds.items()}
    speed = {server: median(r.deliveries_per_s for r in made) for server, made in rounds.items()}
    cells: list[Cell] = [f"{number(connections)}, {size} B, {TITLES[mode]}"]
    cells += [_cell(rounds[server]) for server in SERVERS]
    report.rows.append([*cells, cpu[LIMIT] / cpu[OURS], median(r.events_per_frame for r in rounds[OURS])])
    if size != 256:
        return
    where = f"{connections} subscribers, {TITLES[mode].partition(':')[0]}"
    if connections == 1000 and mode == "bursts":
        report.check(f"{where}: CPU of limit / ours", cpu[LIMIT] / cpu[OURS], 0.8, at_least=True)
        report.check(f"{where}: deliveries/s over naive", speed[OURS] / speed[NAIVE], 80.0, at_least=True, unit="x")
    if mode == "tick" and connections in (100, 1000):
        target = 0.9 if connections == 100 else 0.75
        report.check(f"{where}: CPU of limit / ours", cpu[LIMIT] / cpu[OURS], target, at_least=True)


def _cell(rounds: list[Round]) -> str:
    speed = median(r.deliveries_per_s for r in rounds)
    shown = f"{speed / 1e6:.2f} M" if speed >= 1e6 else f"{speed / 1e3:.3g} k"
    bound = " *" if median(r.client_cpu for r in rounds) > CLIENT_BOUND else ""
    return f"{shown}{bound} ({median(r.cpu_us for r in rounds):.3g})"


def keep(report: Report, rounds: Rounds, **about: object) -> None:
    """Keep single rounds for the JSON, and say what a reader has to know of them."""
    for server, made in rounds.items():
        for r in made:
            report.raw.append({**about, "server": server, **msgspec.to_builtins(r)})
            if not r.exact:
                note = f"NOT EXACT: {server} at {about}: {r.received}"
                report.notes.append(note)
        if median(r.client_cpu for r in made) > CLIENT_BOUND:
            note = "*: the client used more than 90 % of a core; the figure is a lower bound, CPU per delivery is not."
            if note not in report.notes:
                report.notes.append(note)


def client_load(shares: Iterable[float]) -> str:
    """Whether the load was enough. shares: of a core, that the client used in each round."""
    every = list(shares)
    free = [share for share in every if share <= CLIENT_BOUND]
    most = f", using at most {max(free):.0%} of a core" if free else ""
    return (
        f"Load is made by a process of its own. It was not the bottleneck in {len(free)} of {len(every)} rounds{most}."
    )


@contextmanager
def servers(connections: int) -> Iterator[dict[str, Subscribers]]:
    """All four, each with its own subscribers; those whose turn it is not are idle."""
    with temporary_folder() as folder, ExitStack() as stack:
        programs: dict[str, Program] = {
            OURS: stack.enter_context(production(Path(folder))),
            LIMIT: stack.enter_context(native("fanout_limit")),
            BROADCAST: stack.enter_context(python("broadcast_server")),
            NAIVE: stack.enter_context(python("naive_server")),
        }
        yield {name: stack.enter_context(Subscribers(server, connections)) for name, server in programs.items()}
