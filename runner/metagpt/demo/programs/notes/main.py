"""Notes.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from notebook import Notebook

TITLE = "Notebook"
HELP = "Commands: write <note with #tags>, list, search <words>, tags, quit"
FILE = Path("notes.json")
DEMO = (
    "write Try the bread recipe with rye #kitchen",
    "write Ask Ada about the #garden fence",
    "write Onions go in first #kitchen",
    "search #kitchen rye",
    "tags",
)


def respond(notebook: Notebook, line: str) -> str:
    """Carry out one command and say what came of it."""
    command, _, words = line.strip().partition(" ")
    if command == "write" and words:
        return f"Noted: {notebook.write(words, date.today().isoformat()).text}"
    if command == "list" or (command == "search" and words):
        return "\n".join(map(str, notebook.search(words))) or "No note found."
    if command == "tags":
        return "\n".join(f"#{tag} ({count})" for tag, count in notebook.tags()) or "No tags yet."
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
    """Keep the notebook with a person, or show how it is done."""
    person = sys.stdin.isatty()
    try:
        notebook = Notebook(FILE if person else None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        sys.exit(f"{FILE} is there, but was not written by this program.")
    print(f"{TITLE}\n{HELP}")
    for line in typed() if person else shown():
        if line.strip() == "quit":
            break
        print(respond(notebook, line))


if __name__ == "__main__":
    main()
