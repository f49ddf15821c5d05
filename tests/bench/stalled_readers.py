"""Readers that stop reading: what the others notice of it, what it costs in memory, and what arrives afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.fanout import client_load
from tests.bench.load import Received, Round, Subscribers, production
from tests.bench.processes import temporary_folder
from tests.bench.tables import Report, median

# What the kernel holds for a stalled connection is not the server's memory, but it must be full for the stall to count.
RECEIVE_BUFFER = 64 * 1024  # bytes
MEMORY_ALLOWED = (4 + 16) * 1024 * 1024  # bytes: the ring of a task, and 16 MB
CATCH_UP_LIMIT = 120.0  # seconds


class Case(NamedTuple):
    connections: int
    stalled: int
    size: int  # bytes
    rate: float  # events/s
    seconds: float  # with stalled readers


# Both write more than MEMORY_ALLOWED in a full round, or nothing would be shown by staying below it; and who takes
# nothing for the 20 s that it has to answer a ping is let go.
CASES = (Case(100, 50, 1024, 2000, 12), Case(1000, 100, 16_384, 72, 18))
QUICK = 3.0  # seconds, of a quick round
# The same at the pace at which the targets take every latency, once the buffers of the stalled ones are full.
FILLING = Case(1000, 100, 16_384, 72, 6)
PACED = Case(1000, 100, 256, 10, 8)  # 10 000 deliveries/s


def measure(quick: bool) -> Report:
    report = Report(
        name="stalled_readers",
        title="Stalled readers",
        columns=(
            "stalled",
            "p50 ms, none stalled",
            "p99 ms, none stalled",
            "p50 ms of the others",
            "p99 ms of the others",
            "p99 ratio",
            "memory grown, MB",
            "written meanwhile, MB",
            "s to catch up",
            "all exact",
        ),
        notes=["Memory: the server's resident memory after a round with stalled readers, less before it; the largest."],
    )
    for case in CASES:
        _measure_case(report, case, quick)
    _measure_paced(report, PACED, quick)
    return report


@contextmanager
def _watched(case: Case) -> Iterator[Subscribers]:
    """A server, warm, and all of its readers."""
    with (
        temporary_folder() as folder,
        production(Path(folder)) as server,
        Subscribers(server, case.connections, receive_buffer=RECEIVE_BUFFER) as watching,
    ):
        watching.round("paced", size=case.size, seconds=1, rate=case.rate)
        yield watching


def _measure_case(report: Report, case: Case, quick: bool) -> None:
    free: list[Round] = []
    beside: list[Round] = []
    grown: list[int] = []
    catch_up: list[float] = []
    everything: list[Received] = []
    seconds = QUICK if quick else case.seconds
    with _watched(case) as watching:
        for _ in range(1 if quick else 3):
            free.append(watching.round("paced", size=case.size, seconds=seconds, rate=case.rate, sample=1))
            before = watching.server.rss()
            watching.client.tell("stall", case.stalled)
            made = watching.round("paced", size=case.size, seconds=seconds, rate=case.rate, sample=1)
            beside.append(made)
            grown.append(watching.server.rss() - before)
            watching.client.ask("begin", 0)
            watching.client.tell("unstall")
            received = watching.until(made.last_id, limit=CATCH_UP_LIMIT)
            everything.append(received)
            catch_up.append(received.wall_s)
    report.notes.append(f"{case.connections} readers: {client_load(r.client_cpu for r in (*free, *beside))}")
    exact = all(round.exact for round in (*free, *beside)) and all(received.exact for received in everything)
    late = [median(r.received.p99_ms for r in rounds) for rounds in (free, beside)]
    early = [median(r.received.p50_ms for r in rounds) for rounds in (free, beside)]
    title = f"{case.stalled} of {case.connections}"
    written = case.size * case.rate * seconds / 1e6
    report.rows.append(
        (
            f"{title}, {case.rate:g} events/s of {case.size} B",
            *(early[0], late[0], early[1], late[1], late[1] / late[0]),
            *(max(grown) / 1e6, written, median(catch_up), "yes" if exact else "**no**"),
        )
    )
    report.raw.append(
        {"case": title, "p99_ms": [[r.received.p99_ms for r in made] for made in (free, beside)], "grown": grown}
    )
    report.check(f"{title}: p99 of the others", late[1] / late[0], 1.2, at_least=False, unit="x")
    report.check(f"{title}: memory grown", max(grown) / 1e6, MEMORY_ALLOWED / 1e6, at_least=False, unit=" MB")
    report.check(f"{title}: everything arrived, exact (1 is yes)", float(exact), 1.0, at_least=True)
    if written * 1e6 < MEMORY_ALLOWED:
        report.notes.append(f"{title}: too little was written to prove that memory is bounded; run it without --quick.")
    if not exact:
        report.notes.append(f"NOT EXACT: {everything} {[r.received for r in beside]}")


def _measure_paced(report: Report, case: Case, quick: bool) -> None:
    free: list[Received] = []
    beside: list[Received] = []
    everything: list[Received] = []
    with _watched(case) as watching:
        for _ in range(1 if quick else 3):
            made = watching.round("paced", size=case.size, seconds=case.seconds, rate=case.rate, sample=1)
            free.append(made.received)
            watching.client.tell("stall", case.stalled)
            watching.round("paced", size=FILLING.size, seconds=FILLING.seconds, rate=FILLING.rate)
            made = watching.round("paced", size=case.size, seconds=case.seconds, rate=case.rate, sample=1)
            beside.append(made.received)
            watching.client.ask("begin", 0)
            watching.client.tell("unstall")
            everything.append(watching.until(made.last_id, limit=CATCH_UP_LIMIT))
    exact = all(received.exact for received in (*free, *beside, *everything))
    (early, late), (early_beside, late_beside) = (
        (median(r.p50_ms for r in rounds), median(r.p99_ms for r in rounds)) for rounds in (free, beside)
    )
    title = f"{case.stalled} of {case.connections}, {case.rate:g} events/s of {case.size} B"
    times = (early, late, early_beside, late_beside, late_beside / late)
    written = FILLING.size * FILLING.rate * FILLING.seconds / 1e6
    report.rows.append((title, *times, "", written, median(r.wall_s for r in everything), "yes" if exact else "**no**"))
    report.raw.append({"case": title, "p99_ms": [[r.p99_ms for r in rounds] for rounds in (free, beside)]})
    report.check(f"{title}: p99 of the others", late_beside / late, 1.2, at_least=False, unit="x")
    report.check(f"{title}: everything arrived, exact (1 is yes)", float(exact), 1.0, at_least=True)
