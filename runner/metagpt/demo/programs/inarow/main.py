"""Inarow.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import sys
from collections.abc import Iterator

from board import Board

TITLE = "Three in a row"
HELP = "You are X. Type the number of a place, or quit."
DEMO = ("1", "1", "9", "2", "7")
PLAYER, COMPUTER = "X", "O"


def respond(game: Board, line: str) -> str:
    """Play a place for the person and one for the computer, and say how it stands."""
    try:
        game.play(int(line), PLAYER)
    except ValueError:
        return "The number of a free place, please."
    if not game.over:
        game.play(game.choose(COMPUTER, PLAYER), COMPUTER)
    if not game.over:
        return str(game)
    return f"{game}\n{f'{game.winner} wins.' if game.winner else 'A draw.'}"


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
    game = Board()
    print(f"{TITLE}\n{HELP}\n{game}")
    for line in typed() if sys.stdin.isatty() else shown():
        if line.strip() == "quit":
            break
        print(respond(game, line))
        if game.over:
            break


if __name__ == "__main__":
    main()
