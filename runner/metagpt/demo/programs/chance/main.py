"""Chance.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import random
import sys
from collections.abc import Iterator

from chance import password, pick, roll

TITLE = "Roll, draw and pick"
HELP = "Try: roll 2d6+1, password 16, pick tea or coffee, coin. Or quit."
DEMO = ("roll 2d6+1", "password 16", "pick tea, coffee or milk", "coin", "roll 0d6")
CHANCE = random.SystemRandom()


def respond(line: str) -> str:
    """Carry out one wish."""
    wish, _, words = line.strip().partition(" ")
    try:
        match wish:
            case "roll":
                return str(roll(words or "d6", CHANCE))
            case "password":
                return password(int(words or 16), CHANCE)
            case "pick":
                return pick(words, CHANCE)
            case "coin":
                return pick("heads or tails", CHANCE)
    except ValueError:
        return f"That makes no sense for {wish}. {HELP}"
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
    """Try a person's luck, or show how it is done."""
    print(f"{TITLE}\n{HELP}")
    for line in typed() if sys.stdin.isatty() else shown():
        if line.strip() == "quit":
            break
        print(respond(line))


if __name__ == "__main__":
    main()
