"""Hangman.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import random
import sys
from collections.abc import Iterator

from hangman import WORDS, Hangman

TITLE = "Hangman"
HELP = "Type one letter at a time, or quit."
DEMO = ("e", "t", "l", "5", "k")


def respond(game: Hangman, line: str) -> str:
    """Play one letter and say what came of it."""
    try:
        found = game.guess(line.strip())
    except ValueError:
        return "A letter that was not tried yet, please."
    if game.won:
        return f"{game}\nYou found it: {game.word}!"
    if game.over:
        return f"{game}\nNo misses left. It was {game.word}."
    return f"{game}\n{'Well guessed.' if found else 'Not in the word.'}"


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
    game = Hangman(random.choice(WORDS) if sys.stdin.isatty() else "kettle")
    print(f"{TITLE}\n{HELP}\n{game}")
    for line in typed() if sys.stdin.isatty() else shown():
        if line.strip() == "quit":
            break
        print(respond(game, line))
        if game.over:
            break


if __name__ == "__main__":
    main()
