"""Results, and how they are shown: as a table for the terminal, which is GitHub Markdown as well, and as JSON."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

Cell = str | int | float | None


class Check(msgspec.Struct, frozen=True):
    """A figure beside its target."""

    what: str
    value: str
    target: str
    met: bool


class Report(msgspec.Struct, kw_only=True):
    """What a benchmark has found. raw: every single measurement, for the JSON."""

    name: str
    title: str
    columns: Sequence[str]
    rows: list[Sequence[Cell]] = []
    checks: list[Check] = []
    notes: list[str] = []
    raw: list[dict[str, Any]] = []

    def check(self, what: str, value: float, target: float, *, at_least: bool, unit: str = "") -> None:
        met = value >= target if at_least else value <= target
        sign = ">=" if at_least else "<="
        self.checks.append(Check(what, f"{number(value)}{unit}", f"{sign} {number(target)}{unit}", met))

    def markdown(self) -> str:
        lines = [f"### {self.title}", "", *table(self.columns, self.rows), ""]
        if self.checks:
            rows = [(c.what, c.value, c.target, "yes" if c.met else "**no**") for c in self.checks]
            lines += [*table(("target", "measured", "wanted", "met"), rows), ""]
        lines += [f"- {note}" for note in self.notes]
        return "\n".join(lines).rstrip() + "\n"


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many per cent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def number(value: Cell) -> str:
    """A figure with as many digits as it deserves."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return f"{value:,}".replace(",", " ") if isinstance(value, int) else value
    size = abs(value)
    if size >= 10_000_000:
        return f"{value / 1e6:.0f} M"
    if size >= 1_000_000:
        return f"{value / 1e6:.2f} M"
    if size >= 10_000:
        return f"{value / 1e3:.0f} k"
    if size >= 1_000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if size >= 100 else f"{value:.3g}"


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    """Lines of a Markdown table, aligned for reading as they are. All columns but the first are right-aligned."""
    cells = [list(columns), *([number(cell) for cell in row] for row in rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        padded = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [line(cells[0]), line(rule), *(line(row) for row in cells[1:])]
