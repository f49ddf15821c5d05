"""Merge.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import sys
from collections.abc import Iterator

from grid import Grid

TITLE = "Merge the tiles"
HELP = "Type w, a, s or d to slide, or quit."
DEMO = ("a", "s", "d", "s", "a", "a")


def respond(game: Grid, line: str) -> str:
    """Make one move and show the grid."""
    try:
        moved = game.move(line.strip().lower())
    except KeyError:
        return HELP
    if not moved:
        return "Nothing moves that way."
    return f"{game}\nNo move is left." if game.over else str(game)


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
    game = Grid(seed=None if sys.stdin.isatty() else 2048)
    print(f"{TITLE}\n{HELP}\n{game}")
    for line in typed() if sys.stdin.isatty() else shown():
        if line.strip() == "quit":
            break
        print(respond(game, line))
        if game.over:
            break


if __name__ == "__main__":
    main()
