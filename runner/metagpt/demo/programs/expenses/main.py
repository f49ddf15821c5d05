"""Expenses.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from ledger import Ledger, cents
from ledger import shown as money

TITLE = "Expense tracker"
HELP = "Commands: spend <amount> <category>, sums, budget <amount>, quit"
FILE = Path("expenses.json")
DEMO = ("budget 100", "spend 12.50 food", "spend 30 travel", "spend 8,20 food", "spend much fun", "sums")


def respond(ledger: Ledger, line: str) -> str:
    """Carry out one command and say what came of it."""
    command, _, words = line.strip().partition(" ")
    amount, _, category = words.partition(" ")
    try:
        if command == "spend" and category:
            ledger.spend(cents(amount), category)
            return left(ledger)
        if command == "budget":
            ledger.set_budget(cents(amount))
            return left(ledger)
    except ValueError:
        return f"An amount such as 12.50, please, not {amount or 'nothing'}."
    if command == "sums":
        rows = [*ledger.sums(), ("total", ledger.total)]
        return "\n".join(f"{money(amount):>12} {category}" for category, amount in rows)
    return HELP


def left(ledger: Ledger) -> str:
    """One line on how the budget stands."""
    if ledger.left is None:
        return f"Spent so far: {money(ledger.total)}"
    return f"Spent so far: {money(ledger.total)}, left of the budget: {money(ledger.left)}"


def typed() -> Iterator[str]:
    """The lines that a person types."""
    while True:
        try:
            yield input("> ")
        except (EOFError, KeyboardInterrupt):
            return


def shown() -> Iterator[str]:
    """The lines of a demonstration, for when nobody is there to type."""
    for line in DEMO:
        print(f"> {line}")
        yield line


def main() -> None:
    """Keep the ledger with a person, or show how it is done."""
    person = sys.stdin.isatty()
    try:
        ledger = Ledger(FILE if person else None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        sys.exit(f"{FILE} is there, but was not written by this program.")
    print(f"{TITLE}\n{HELP}")
    for line in typed() if person else shown():
        if line.strip() == "quit":
            break
        print(respond(ledger, line))


if __name__ == "__main__":
    main()
