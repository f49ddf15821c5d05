"""The longest time that the server's event loop does nothing else, while it fans out to many subscribers."""

from tests.bench.fanout import BROADCAST, LIMIT, NAIVE, OURS, TITLES, Rounds, keep, servers
from tests.bench.tables import Report, median


def measure(quick: bool) -> Report:
    connections = 1000 if quick else 5000
    report = Report(
        name="loop_stall",
        title=f"The longest stall of the event loop, {connections} subscribers",
        columns=("events", *(f"{server}, ms" for server in (OURS, BROADCAST, NAIVE))),
        notes=[
            "The longest time between two turns of a task that sleeps for 1 ms, in each round; medians of rounds. It "
            "holds what the operating system gave to other processes, the client among them."
        ],
    )
    with servers(connections) as all_servers:
        watching = {name: subscribers for name, subscribers in all_servers.items() if name != LIMIT}
        for mode in ("tick", "burst"):
            rounds: Rounds = {name: [] for name in watching}
            longest: dict[str, list[float]] = {name: [] for name in watching}
            for _ in range(2 if quick else 7):
                for name, subscribers in watching.items():
                    subscribers.server.ask("sample", "begin")
                    rounds[name].append(subscribers.round(mode, size=256, seconds=0.5 if quick else 1))
                    longest[name].append(subscribers.server.ask("sample", "end")["longest_ms"])
            keep(report, rounds, connections=connections, mode=mode)
            report.raw.append({"mode": mode, "longest_ms": longest})
            report.rows.append((TITLES[mode], *(median(longest[name]) for name in watching)))
            title = f"{connections} subscribers, {TITLES[mode]}"
            report.check(title, median(longest[OURS]), 8.0, at_least=False, unit=" ms")
    return report
