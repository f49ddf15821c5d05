"""Replay of a long log over one WebSocket, beside reading as many rows and doing nothing with them."""

from tests.bench.fanout import client_load
from tests.bench.load import ROUND_LIMIT, Subscribers, production
from tests.bench.processes import python, temporary_folder
from tests.bench.tables import Report, median

SIZE = 512  # bytes
FILL_LIMIT = 300.0  # seconds


def measure(quick: bool) -> Report:
    events = 100_000 if quick else 1_000_000
    report = Report(
        name="replay",
        title=f"Replay of {events:,} events of {SIZE} bytes".replace(",", " "),
        columns=("way", "events/s", "shortest s", "longest s", "n"),
        notes=["From the connection to the last event, checked for gaps and duplicates by the client."],
    )
    replays: list[float] = []
    reads: list[float] = []
    cpu: list[float] = []
    shares: list[float] = []
    with temporary_folder() as folder, production(folder) as server:
        log = server.ask("fill", events, SIZE, limit=FILL_LIMIT)
        with python("reading", folder / "rows.db", events, SIZE) as reader:
            for _ in range(3 if quick else 7):
                used = server.cpu()
                with Subscribers(server, 1, task_id=log["task_id"]) as one:
                    received = one.until(events, limit=ROUND_LIMIT)
                cpu.append((server.cpu() - used) / events * 1e6)
                replays.append((received.last_ns - received.connect_ns) / 1e9)
                shares.append(received.cpu_s / received.wall_s)
                reads.append(reader.ask("read")["seconds"])
                if not received.exact or received.events != events:
                    report.notes.append(f"NOT EXACT: {received}")
    for what, times in (("replay over one WebSocket", replays), ("reference: sqlite3, reading a row per event", reads)):
        report.rows.append((what, events / median(times), min(times), max(times), len(times)))
        report.raw.append({"what": what, "events": events, "seconds": times})
    report.notes.append(f"The server's CPU for one replayed event: {median(cpu):.2f} us.")
    report.notes.append(client_load(shares))
    share = median(reads) / median(replays)
    report.check("of the bare read", share, 0.5, at_least=True)
    return report
