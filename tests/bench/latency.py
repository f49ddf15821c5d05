"""From emit to receipt: paced deliveries beside the limit, and the child's whole way with and without the commit."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.fanout import LIMIT, OURS, Rounds, client_load, keep
from tests.bench.load import Received, Subscribers, production
from tests.bench.processes import native, temporary_folder
from tests.bench.tables import Report, median

DELIVERIES_PER_S = 10_000
MEMORY = "memory only"
COMMITTED = {"normal": 0.15, "full": 0.6}  # ms that a commit may add
CHILD_RATE = 200  # events/s
CHILD_SIZE = 512  # bytes


def measure(quick: bool) -> Report:
    report = Report(
        name="latency",
        title="Latency from emit to receipt",
        columns=("what", "p50 ms", "p99 ms", "reference p50 ms", "reference p99 ms", "p50 ratio", "p99 ratio"),
        notes=[
            f"Paced: {DELIVERIES_PER_S} deliveries/s of 256 bytes. From the child: {CHILD_RATE} events/s of "
            f"{CHILD_SIZE} bytes from a process of its own, through its channel, the pipe, the recorder and the hub to "
            "one subscriber.",
            "The reference of the paced rows is the limit, which stores nothing; of the child's rows the same "
            "server with a store that forgets.",
            "A bare commit: the same server with a store that puts the event into a table by aiosqlite's thread, and "
            "does nothing else. Whoever commits first, and has no event loop wait for the disk, adds that at least.",
        ],
    )
    for connections in (1, 100, 1000):
        _measure_paced(report, connections, quick)
    report.notes.append(client_load(r["client_cpu"] for r in report.raw))
    _measure_child(report, quick)
    return report


def _measure_paced(report: Report, connections: int, quick: bool) -> None:
    rounds: Rounds = {OURS: [], LIMIT: []}
    with temporary_folder() as folder, ExitStack() as stack:
        servers = {
            OURS: stack.enter_context(production(Path(folder))),
            LIMIT: stack.enter_context(native("fanout_limit")),
        }
        subscribers = {name: stack.enter_context(Subscribers(server, connections)) for name, server in servers.items()}
        for _ in range(2 if quick else 7):
            for name, watching in subscribers.items():
                seconds, rate = 0.7 if quick else 2.0, DELIVERIES_PER_S / connections
                rounds[name].append(watching.round("paced", size=256, seconds=seconds, rate=rate, sample=1))
    keep(report, rounds, connections=connections, mode="paced", size=256)
    p50 = {name: median(r.received.p50_ms for r in made) for name, made in rounds.items()}
    p99 = {name: median(r.received.p99_ms for r in made) for name, made in rounds.items()}
    ratios = p50[OURS] / p50[LIMIT], p99[OURS] / p99[LIMIT]
    report.rows.append(
        (f"paced, {connections} subscribers", p50[OURS], p99[OURS], p50[LIMIT], p99[LIMIT], ratios[0], ratios[1])
    )
    if connections == 1000:
        report.check("1000 subscribers, p50 over the limit", ratios[0], 1.25, at_least=False, unit="x")
        report.check("1000 subscribers, p99 over the limit", ratios[1], 1.25, at_least=False, unit="x")


def _measure_child(report: Report, quick: bool) -> None:
    servers: dict[str, Sequence[str]] = {MEMORY: ("--store", "memory")}
    for level in COMMITTED:
        servers[_bare(level)] = ("--store", "bare", "--durability", level)
        servers[_ours(level)] = ("--store", "ours", "--durability", level)
    received: dict[str, list[Received]] = {name: [] for name in servers}
    with temporary_folder() as folder, ExitStack() as stack:
        subscribers = {}
        for name, arguments in servers.items():
            server = stack.enter_context(production(Path(folder, name), *arguments))
            subscribers[name] = stack.enter_context(Subscribers(server, 1))
        for _ in range(3 if quick else 9):
            for name, watching in subscribers.items():
                watching.client.ask("begin", 1)
                made = watching.server.ask("child", 60 if quick else 400, CHILD_RATE, CHILD_SIZE)
                received[name].append(watching.until(made["last_id"]))
    p50 = {name: median(r.p50_ms for r in rounds) for name, rounds in received.items()}
    p99 = {name: median(r.p99_ms for r in rounds) for name, rounds in received.items()}
    for name, rounds in received.items():
        report.rows.append(
            (
                f"from the child, {name}",
                *(p50[name], p99[name], p50[MEMORY], p99[MEMORY]),
                *(p50[name] / p50[MEMORY], p99[name] / p99[MEMORY]),
            )
        )
        report.raw += [{"mode": "child", "store": name, "p50_ms": r.p50_ms, "p99_ms": r.p99_ms} for r in rounds]
    report.check("emit in the child to receipt, p50", p50[_ours("normal")], 1.0, at_least=False, unit=" ms")
    for level, limit in COMMITTED.items():
        ours, bare = (_added(received[name], received[MEMORY]) for name in (_ours(level), _bare(level)))
        report.check(f"commit first adds, {level.upper()}", ours, limit, at_least=False, unit=" ms")
        report.check(f"the same over a bare commit, {level.upper()}", ours / bare, 1.25, at_least=False, unit="x")


def _added(rounds: Sequence[Received], memory: Sequence[Received]) -> float:
    """ms. By rounds, since the machine's state may change between two of them."""
    return median(ours.p50_ms - none.p50_ms for ours, none in zip(rounds, memory, strict=True))


def _ours(level: str) -> str:
    return f"committed, {level.upper()}"


def _bare(level: str) -> str:
    return f"a bare commit, {level.upper()}"
