"""From emit to receipt: paced deliveries beside the limit, and the child's whole way with and without the commit."""

from contextlib import ExitStack
from pathlib import Path

from tests.bench.fanout import LIMIT, OURS, Rounds, client_load, keep
from tests.bench.load import Received, Subscribers, production
from tests.bench.processes import native, python, temporary_folder
from tests.bench.tables import Report, median

DELIVERIES_PER_S = 10_000
STORES = {"memory": "memory only", "normal": "committed, NORMAL", "full": "committed, FULL"}
COMMITTED = {"normal": 0.15, "full": 0.6}  # stores, and what they may add: ms
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
            "A bare commit: from asking aiosqlite's thread for one row in one transaction until it is done. Whoever "
            "commits first, and does not make the event loop wait for the disk, adds that at least.",
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
    received: dict[str, list[Received]] = {store: [] for store in STORES}
    bare: dict[str, list[float]] = {store: [] for store in COMMITTED}
    with temporary_folder() as folder, ExitStack() as stack:
        subscribers = {}
        for store in STORES:
            server = stack.enter_context(production(Path(folder, store), store=store))
            subscribers[store] = stack.enter_context(Subscribers(server, 1))
        committing = {
            store: stack.enter_context(python("committing", folder, STORES[store].split()[-1])) for store in COMMITTED
        }
        for _ in range(3 if quick else 9):
            for store, program in committing.items():
                bare[store].append(program.ask("run", 60 if quick else 400, CHILD_RATE, CHILD_SIZE)["p50_ms"])
            for store, watching in subscribers.items():
                watching.client.ask("begin", 1)
                made = watching.server.ask("child", 60 if quick else 400, CHILD_RATE, CHILD_SIZE)
                received[store].append(watching.until(made["last_id"]))
    p50 = {store: median(r.p50_ms for r in received[store]) for store in STORES}
    p99 = {store: median(r.p99_ms for r in received[store]) for store in STORES}
    for store, title in STORES.items():
        report.rows.append(
            (
                f"from the child, {title}",
                *(p50[store], p99[store], p50["memory"], p99["memory"]),
                *(p50[store] / p50["memory"], p99[store] / p99["memory"]),
            )
        )
        report.raw += [
            {"mode": "child", "store": store, "p50_ms": r.p50_ms, "p99_ms": r.p99_ms} for r in received[store]
        ]
    report.check("emit in the child to receipt, p50", p50["normal"], 1.0, at_least=False, unit=" ms")
    for store, limit in COMMITTED.items():
        level, added, commit = STORES[store].split()[-1], p50[store] - p50["memory"], median(bare[store])
        report.notes.append(f"{level}: a bare commit takes {commit:.3f} ms.")
        report.check(f"commit first adds, {level}", added, limit, at_least=False, unit=" ms")
        report.check(f"commit first adds, {level}, over a bare commit", added / commit, 1.25, at_least=False, unit="x")
