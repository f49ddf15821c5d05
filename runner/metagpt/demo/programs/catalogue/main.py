"""Catalogue.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from catalogue import Catalogue

TITLE = "Catalogue"
NOUN = "entry"
PLURAL = "entries"
FILE = Path("catalogue.json")
HELP = "Commands: add <words>, list, search <words>, done <number>, remove <number>, quit"
DEMO = (f"add A first {NOUN}", f"add Another {NOUN}", "done 1", "list", "search another", "remove 2", "list")


def respond(catalogue: Catalogue, line: str) -> str:
    """Carry out one command and say what came of it."""
    command, _, words = line.strip().partition(" ")
    try:
        if command == "add" and words:
            return f"Added {catalogue.add(words).text}"
        if command == "done":
            return str(catalogue.tick(int(words)))
        if command == "remove":
            return f"Removed {catalogue.remove(int(words)).text}"
    except (IndexError, ValueError):
        return f"There is no {NOUN} with the number {words or '?'}."
    if command == "list" or (command == "search" and words):
        found = catalogue.search(words)
        return "\n".join(f"{number:3} {entry}" for number, entry in found) or f"No {PLURAL} found."
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
    """Keep the catalogue with a person, or show how it is done."""
    person = sys.stdin.isatty()
    try:
        catalogue = Catalogue(FILE if person else None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        sys.exit(f"{FILE} is there, but was not written by this program.")
    print(f"{TITLE}\n{HELP}")
    for line in typed() if person else shown():
        if line.strip() == "quit":
            break
        print(respond(catalogue, line))


if __name__ == "__main__":
    main()
