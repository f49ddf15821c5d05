"""Timer.

Written by the metagpt-live demo model. Run it with: python main.py
"""

import sys
from collections.abc import Iterator

from timer import Timer

TITLE = "Pomodoro timer"
HELP = "Commands: start, pause, status, skip, quit"
DEMO = ("start", "status", "skip", "status", "pause", "status")


def respond(timer: Timer, line: str) -> str:
    """Carry out one command and tell the time that is left."""
    match line.strip():
        case "start":
            timer.start()
        case "pause":
            timer.pause()
        case "skip":
            timer.skip()
        case "status":
            pass
        case _:
            return HELP
    return str(timer)


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
    """Time a person's work, or show how it is done."""
    timer = Timer()
    print(f"{TITLE}\n{HELP}")
    for line in typed() if sys.stdin.isatty() else shown():
        if line.strip() == "quit":
            break
        print(respond(timer, line))


if __name__ == "__main__":
    main()
