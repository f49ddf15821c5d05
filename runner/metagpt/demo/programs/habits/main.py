"""Habits.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from habits import Habits

TITLE = "Habit tracker"
HELP = "Commands: check <habit>, list, quit"
FILE = Path("habits.json")
DEMO = ("check read ten pages", "check go for a walk", "check read ten pages", "list")


def respond(habits: Habits, line: str) -> str:
    """Carry out one command for today and say what came of it."""
    command, _, name = line.strip().partition(" ")
    today = date.today()
    if command == "check" and name:
        new = habits.check(name, today)
        return f"{'Checked' if new else 'Already checked'}: {name}, streak {habits.streak(name, today)}"
    if command == "list":
        lines = [f"{habits.week(name, today)}  {name} ({habits.streak(name, today)})" for name in habits.days]
        return "\n".join(lines) or "No habits yet."
    return HELP


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
    """Keep the record with a person, or show how it is done."""
    person = sys.stdin.isatty()
    try:
        habits = Habits(FILE if person else None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        sys.exit(f"{FILE} is there, but was not written by this program.")
    print(f"{TITLE}\n{HELP}")
    for line in typed() if person else shown():
        if line.strip() == "quit":
            break
        print(respond(habits, line))


if __name__ == "__main__":
    main()
