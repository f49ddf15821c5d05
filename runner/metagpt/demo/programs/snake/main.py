"""Snake.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import sys
from collections.abc import Iterator

from snake import Snake

TITLE = "Snake"
HELP = "Type w, a, s or d to turn, nothing to go on, or quit."
DEMO = ("w", "w", "w", "a", "", "s")


def respond(game: Snake, line: str) -> str:
    """Turn as a letter says, make a step and show the field."""
    letter = line.strip().lower()[:1]
    try:
        if letter:
            game.turn(letter)
    except KeyError:
        return HELP
    game.step()
    return f"{game}\nGame over." if game.over else str(game)


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
    game = Snake(seed=None if sys.stdin.isatty() else 1)
    print(f"{TITLE}\n{HELP}\n{game}")
    for line in typed() if sys.stdin.isatty() else shown():
        if line.strip() == "quit":
            break
        print(respond(game, line))
        if game.over:
            break


if __name__ == "__main__":
    main()
