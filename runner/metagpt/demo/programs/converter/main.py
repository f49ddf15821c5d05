"""Converter.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import re
import sys
from collections.abc import Iterator

from units import UnitError, convert, known

TITLE = "Unit converter"
HELP = "Ask for example “10 km in mi”; units lists them all. Or quit."
DEMO = ("10 km in mi", "451 f in c", "2.5 lb to kg", "3 kg in h", "units")
QUESTION = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*([a-z]+)\s+(?:in|to)\s+([a-z]+)\s*", re.IGNORECASE)


def respond(line: str) -> str:
    """Answer one question."""
    if line.strip() == "units":
        return known()
    question = QUESTION.fullmatch(line)
    if not question:
        return HELP
    amount, unit, target = float(question[1]), question[2].lower(), question[3].lower()
    try:
        return f"{amount:g} {unit} = {convert(amount, unit, target):.6g} {target}"
    except UnitError as error:
        return f"Sorry, {error}."


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
    """Convert for a person, or show how it is done."""
    print(f"{TITLE}\n{HELP}")
    for line in typed() if sys.stdin.isatty() else shown():
        if line.strip() == "quit":
            break
        print(respond(line))


if __name__ == "__main__":
    main()
