"""A timer that runs through phases of work and rest."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    name: str
    seconds: int


PLAN = (
    Phase("work", 25 * 60),
    Phase("break", 5 * 60),
    Phase("work", 25 * 60),
    Phase("long break", 15 * 60),
)


class Timer:
    """Runs through a plan, again and again, while it is started. clock: tells the time in seconds."""

    def __init__(self, plan: tuple[Phase, ...] = PLAN, clock: Callable[[], float] = time.monotonic) -> None:
        self.plan = plan
        self.clock = clock
        self.passed = 0.0
        self.since: float | None = None

    @property
    def running(self) -> bool:
        return self.since is not None

    @property
    def elapsed(self) -> float:
        """Seconds that the timer has run, without pauses."""
        return self.passed + (self.clock() - self.since if self.since is not None else 0)

    def start(self) -> None:
        if self.since is None:
            self.since = self.clock()

    def pause(self) -> None:
        self.passed, self.since = self.elapsed, None

    def skip(self) -> None:
        """Go to the next phase."""
        self.passed += self.status()[1]

    def status(self) -> tuple[Phase, float, int]:
        """The phase, the seconds left of it, and how many phases of work are behind."""
        left, worked, n = self.elapsed, 0, 0
        while left >= self.plan[n % len(self.plan)].seconds:
            phase = self.plan[n % len(self.plan)]
            left -= phase.seconds
            worked += phase.name == "work"
            n += 1
        phase = self.plan[n % len(self.plan)]
        return phase, phase.seconds - left, worked

    def __str__(self) -> str:
        phase, left, worked = self.status()
        minutes, seconds = divmod(round(left), 60)
        state = "" if self.running else " (paused)"
        return f"{phase.name}{state}: {minutes}:{seconds:02} left, stretches of work done: {worked}"
