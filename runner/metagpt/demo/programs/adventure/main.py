"""Adventure.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import sys
from collections.abc import Iterator

from world import DIRECTIONS, World

TITLE = "Adventure"
HELP = "Commands: north, east, south, west, look, take <thing>, inventory, quit"
DEMO = ("north", "east", "take lamp", "south", "take key", "north", "west", "north")


def respond(game: World, line: str) -> str:
    """Carry out one command and say what happens."""
    command, _, thing = line.strip().lower().partition(" ")
    command = next((way for way in DIRECTIONS if command and way.startswith(command)), command)
    if command in DIRECTIONS:
        return game.go(command)
    match command:
        case "look":
            return str(game)
        case "take":
            return game.take(thing)
        case "inventory":
            return f"You carry: {', '.join(game.carried) or 'nothing'}."
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
    """Play with a person, or show a round."""
    game = World()
    print(f"{TITLE}\n{HELP}\n{game}")
    for line in typed() if sys.stdin.isatty() else shown():
        if line.strip() == "quit":
            break
        print(respond(game, line))
        if game.over:
            break


if __name__ == "__main__":
    main()
