"""What our hooks cost: a whole run with them beside the same team without, in the same process layout."""

from typing import Any

from tests.bench.processes import python, temporary_folder
from tests.bench.tables import Report, median


def measure(quick: bool) -> Report:
    made: dict[str, list[dict[str, Any]]] = {"hooked": [], "bare": []}
    with temporary_folder() as folder, python("bare_team", folder) as teams:
        for kind in made:
            teams.ask(kind)  # the first of each pays for what the others find in the page cache
        for _ in range(5 if quick else 31):
            for kind, runs in made.items():
                runs.append(teams.ask(kind))
    report = Report(
        name="hook_cost",
        title="A whole run with our hooks, and bare",
        columns=("team", "wall ms", "shortest", "CPU ms", "events", "files", "n"),
        notes=[
            "Four roles, the demo model at pace 0, forked from a process that has MetaGPT imported; medians, "
            "interleaved. An LLM that takes time makes the share smaller.",
        ],
    )
    for kind, runs in made.items():
        walls = [run["wall_s"] * 1000 for run in runs]
        cpu = median(run["cpu_s"] * 1000 for run in runs)
        events, files = int(median(run["lines"] for run in runs)), int(median(run["files"] for run in runs))
        report.rows.append((kind, median(walls), min(walls), cpu, events, files, len(runs)))
        report.raw += [{"team": kind, **run} for run in runs]
    for field, word in (("wall_s", "wall time"), ("cpu_s", "CPU time")):
        pairs = zip(made["hooked"], made["bare"], strict=True)
        more = [(hooked[field] / bare[field] - 1) * 100 for hooked, bare in pairs]
        if field == "wall_s":
            report.check(
                "wall time with hooks, more than bare (median of pairs)", median(more), 5.0, at_least=False, unit=" %"
            )
        else:
            report.notes.append(f"{word}: {median(more):.1f} % more than bare (median of pairs).")
    return report
