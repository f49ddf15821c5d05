"""Textstats.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from statistics_of_text import measure

TITLE = "Text statistics"
HELP = "Type or paste text. Commands: stats, top, read <file>, clear, quit"
DEMO = ("The sea was calm, and the sky was clear.", "Was it the calm before a storm?", "Nobody knew.", "stats", "top")


def respond(lines: list[str], line: str) -> str:
    """Carry out one command, or take the line as text."""
    command, _, name = line.strip().partition(" ")
    match command, name:
        case "stats", "":
            return str(measure("\n".join(lines)))
        case "top", "":
            top = measure("\n".join(lines)).top
            return "\n".join(f"{count:6} {word}" for word, count in top) or "No words yet."
        case "clear", "":
            lines.clear()
            return "Cleared."
        case "help" | "", "":
            return HELP
        case "read", name if name:
            try:
                lines.append(Path(name).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                return f"The file {name} cannot be read."
            return f"Read {name}."
    lines.append(line)
    return f"{measure(line).words} words"


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
    """Measure a person's text, or show how it is done."""
    lines: list[str] = []
    print(f"{TITLE}\n{HELP}")
    for line in typed() if sys.stdin.isatty() else shown():
        if line.strip() == "quit":
            break
        print(respond(lines, line))


if __name__ == "__main__":
    main()
