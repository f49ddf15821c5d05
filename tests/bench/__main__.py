"""The benchmarks: `python -m tests.bench [NAMES] [--quick] [--json FILE]`, also as `make bench ARGS="..."`.

Each figure stands beside its reference, measured in turn with it on the same machine: ratios are what counts. Load is
made by processes of its own.
"""

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.bench import machine
from tests.bench.processes import ProgramFailed, raise_file_limit
from tests.bench.tables import Report, table

# In the order in which they run. Each is a module with a function `measure(quick) -> Report`.
BENCHMARKS = (
    "fanout",
    "latency",
    "start",
    "stop",
    "recovery",
    "hook_cost",
    "append",
    "disk_size",
    "replay",
    "poll",
    "memory",
    "stalled_readers",
    "stalled_memory",
    "log_length",
    "loop_stall",
    "dashboard",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run, all if none: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: noisy, for a first look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single measurement there")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    raise_file_limit()
    about = machine.describe()
    print(f"Machine: {machine.in_words(about)}\n", flush=True)
    failed = False
    results: list[dict[str, Any]] = []
    for name in [name for name in BENCHMARKS if not arguments.names or name in arguments.names]:
        begun = time.monotonic()
        try:
            report: Report = importlib.import_module(f"tests.bench.{name}").measure(arguments.quick)
        except ProgramFailed as error:  # the others may have something to say
            print(f"### {name}: FAILED\n\n- {error}\n", flush=True)
            failed = True
            continue
        took = time.monotonic() - begun
        print(f"{report.markdown()}- Took {took:.0f} s.\n", flush=True)
        results.append({**msgspec.to_builtins(report), "took_s": took})
    print(_summary(results), flush=True)
    if arguments.json is not None:
        everything = {"machine": about, "quick": arguments.quick, "benchmarks": results}
        arguments.json.write_text(json.dumps(everything, indent=1))
    return int(failed)


def _summary(results: list[dict[str, Any]]) -> str:
    """All targets in one table."""
    checks = [(result["name"], check) for result in results for check in result["checks"]]
    rows = [(name, c["what"], c["value"], c["target"], "yes" if c["met"] else "**no**") for name, c in checks]
    met = sum(check["met"] for _, check in checks)
    head = f"### Targets: {met} of {len(checks)} met"
    return "\n".join([head, "", *table(("benchmark", "target", "measured", "wanted", "met"), rows)])


if __name__ == "__main__":
    sys.exit(main())
