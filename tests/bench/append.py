"""Append rate of the log: through the recorder, beside a commit per event and bare batches."""

from contextlib import ExitStack

from tests.bench.appending import LINES, RAW_BATCH, TASKS
from tests.bench.processes import python, temporary_folder
from tests.bench.tables import Report, median

TITLES = {
    "lines": f"ours: lines of the child, {LINES} at a time",
    "single": f"ours: {TASKS} tasks, each event waits for its commit",
    "each": "reference: aiosqlite, a commit per event",
    "raw": f"reference: sqlite3, executemany of {RAW_BATCH}",
}
SIZE = 512  # bytes
LEVELS = ("NORMAL", "FULL")


def measure(quick: bool) -> Report:
    rates: dict[tuple[str, str], list[float]] = {(way, level): [] for level in LEVELS for way in TITLES}
    cost: dict[str, float] = {}
    report = Report(
        name="append",
        title="Appending to the log",
        columns=("way", *(f"events/s, {level}" for level in LEVELS)),
        notes=[
            f"{SIZE}-byte events. Ours keeps a running hash too; its rows hold up to 64 events, the references' one."
        ],
    )
    with temporary_folder() as folder, ExitStack() as stack:
        programs = {(way, level): stack.enter_context(python("appending", folder, way, level)) for way, level in rates}
        for _ in range(2 if quick else 5):
            for key, program in programs.items():
                made = program.ask("run", 0.5 if quick else 2, SIZE)
                rates[key].append(made["events"] / made["seconds"])
                cost[key[0]] = made["bytes"] / made["events"]
                report.raw.append({"way": key[0], "synchronous": key[1], **made})
    rate = {key: median(found) for key, found in rates.items()}
    for way, title in TITLES.items():
        report.rows.append((title, *(rate[way, level] for level in LEVELS)))
    report.notes.append(f"On disk an event of {SIZE} bytes takes {cost['lines']:.0f} bytes, without the WAL.")
    for level in LEVELS:
        report.check(
            f"{level}: over a commit per event",
            rate["lines", level] / rate["each", level],
            20.0,
            at_least=True,
            unit="x",
        )
        report.check(
            f"{level}: of bare executemany of {RAW_BATCH}",
            rate["lines", level] / rate["raw", level],
            0.8,
            at_least=True,
        )
    return report
