"""Calculator.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import math
import sys
from collections.abc import Iterator

from calculator import CalculationError, evaluate

TITLE = "Calculator"
HELP = "Type an expression; pi, e, sqrt(), abs(), round() and ans are known. Or quit."
DEMO = ("2 + 3 * 4", "ans / 7", "(1 + sqrt(5)) / 2", "12 / (3 - 3)", "2 ** 10")


names: dict[str, float] = {"pi": math.pi, "e": math.e, "ans": 0}


def respond(line: str) -> str:
    """Work out one expression and remember the result as ans."""
    try:
        names["ans"] = evaluate(line, names)
    except CalculationError as error:
        return f"Sorry, {error}."
    return f"= {names['ans']}"


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
    """Calculate with a person, or show how it is done."""
    print(f"{TITLE}\n{HELP}")
    for line in typed() if sys.stdin.isatty() else shown():
        if line.strip() == "quit":
            break
        print(respond(line))


if __name__ == "__main__":
    main()
