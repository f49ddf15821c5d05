"""Todo.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from tasks import TaskList

TITLE = "To-do list"
HELP = "Commands: add <task>, add !<important task>, list, done <number>, quit"
FILE = Path("tasks.json")
DEMO = ("add Water the plants", "add !Pay the rent", "add Call Ada", "done 1", "list")


def respond(tasks: TaskList, line: str) -> str:
    """Carry out one command and say what came of it."""
    command, _, words = line.strip().partition(" ")
    if command == "add" and words.strip("! "):
        return f"Added {tasks.add(words).text}"
    if command == "list":
        return "\n".join([*map(str, tasks.ordered()), f"{tasks.left} left to do"])
    if command == "done":
        try:
            return f"Done: {tasks.finish(int(words)).text}"
        except (KeyError, ValueError):
            return f"There is no task with the number {words or '?'}."
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
    """Keep the list with a person, or show how it is done."""
    person = sys.stdin.isatty()
    try:
        tasks = TaskList(FILE if person else None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        sys.exit(f"{FILE} is there, but was not written by this program.")
    print(f"{TITLE}\n{HELP}")
    for line in typed() if person else shown():
        if line.strip() == "quit":
            break
        print(respond(tasks, line))


if __name__ == "__main__":
    main()
