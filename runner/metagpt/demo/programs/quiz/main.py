"""Quiz.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import sys
from collections.abc import Iterator

from quiz import Quiz

TITLE = "Quiz"
HELP = "Type your answer, or quit."
DEMO = ("Sydney", "6", "mercury", "au", "shakespeare", "Canberra")


def respond(game: Quiz, line: str) -> str:
    """Take one answer, and ask the next question."""
    card = game.answer(line)
    verdict = "Right." if card.accepts(line) else f"It is {card.answer}. You will meet it again."
    return f"{verdict}\n{game}"


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
    """Quiz a person, or show a round."""
    game = Quiz()
    print(f"{TITLE}\n{HELP}\n{game}")
    for line in typed() if sys.stdin.isatty() else shown():
        if line.strip() == "quit":
            break
        print(respond(game, line))
        if game.over:
            break


if __name__ == "__main__":
    main()
