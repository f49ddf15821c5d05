"""What a long log costs: to open it having missed little, and to append to it."""

from contextlib import ExitStack
from pathlib import Path

from tests.bench.load import Subscribers, production
from tests.bench.processes import Program, temporary_folder
from tests.bench.tables import Report, median

MISSED = 10  # events
SIZE = 512  # bytes
GROWTH = 5000  # events
FILL_LIMIT = 300.0  # seconds


def measure(quick: bool) -> Report:
    lengths = (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000)
    report = Report(
        name="log_length",
        title=f"A long log, for a client that missed {MISSED} events",
        columns=("events in the log", "first frame ms", "longest ms", "append: us per event", "CPU us per event"),
        notes=["First frame: from connect(), so with the handshake, to the first event."],
    )
    first: dict[int, list[float]] = {length: [] for length in lengths}
    wall: dict[int, list[float]] = {length: [] for length in lengths}
    cpu: dict[int, list[float]] = {length: [] for length in lengths}
    with temporary_folder() as folder, ExitStack() as stack:
        servers: dict[int, Program] = {}
        heads: dict[int, int] = {}
        tasks: dict[int, str] = {}
        for length in lengths:
            servers[length] = stack.enter_context(production(Path(folder, str(length))))
            log = servers[length].ask("fill", length, SIZE, limit=FILL_LIMIT)
            heads[length], tasks[length] = log["last_id"], log["task_id"]
        for _ in range(5 if quick else 15):
            for length, server in servers.items():
                start = heads[length] - MISSED
                with Subscribers(server, 1, task_id=tasks[length], start=start) as one:
                    received = one.until(heads[length])
                first[length].append((received.first_ns - received.connect_ns) / 1e6)
                if not received.exact or received.events != MISSED:
                    report.notes.append(f"NOT EXACT: {received}")
                used = server.cpu()
                log = server.ask("grow", GROWTH, SIZE)
                cpu[length].append((server.cpu() - used) / GROWTH * 1e6)
                wall[length].append(log["seconds"] / GROWTH * 1e6)
                heads[length] = log["last_id"]
    for length in lengths:
        row = (median(first[length]), max(first[length]), median(wall[length]), median(cpu[length]))
        report.rows.append((length, *row))
        report.raw.append(
            {"events": length, "first_ms": first[length], "append_us": wall[length], "cpu_us": cpu[length]}
        )
        if length == lengths[-1]:
            report.check(f"first frame at {length} events", row[0], 20.0, at_least=False, unit=" ms")
        if length > lengths[0]:
            growth = median(cpu[length]) / median(cpu[lengths[0]])
            report.check(f"CPU per appended event, {length} over {lengths[0]}", growth, 1.1, at_least=False, unit="x")
    return report
