"""Guessing.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import random
import sys
from collections.abc import Iterator

from guessing import Guessing, Hint

TITLE = "Guess the number"
HELP = "Type a number, or quit."
DEMO = ("50", "75", "many", "62", "56", "59", "57", "58")


def respond(game: Guessing, line: str) -> str:
    """Play one guess and say what came of it."""
    try:
        hint = game.guess(int(line))
    except ValueError:
        return f"A whole number, please. {game}"
    if hint is Hint.FOUND:
        return f"{hint.value} It was {game.secret}, and you took {game.tries} guesses."
    return f"{hint.value} {game}"


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
    """Play with a person, or show a round."""
    game = Guessing(random.randint(1, 100) if sys.stdin.isatty() else 58)
    print(f"{TITLE}\n{HELP}\n{game}")
    for line in typed() if sys.stdin.isatty() else shown():
        if line.strip() == "quit":
            break
        print(respond(game, line))
        if game.over:
            break


if __name__ == "__main__":
    main()
