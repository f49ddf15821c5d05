"""A hidden number, and what the guesses have shown about it."""

from enum import Enum


class Hint(Enum):
    HIGHER = "Higher."
    LOWER = "Lower."
    FOUND = "Found!"


class Guessing:
    """A round with a secret number from low to high, both included."""

    def __init__(self, secret: int, low: int = 1, high: int = 100) -> None:
        if not low <= secret <= high:
            raise ValueError(secret)
        self.secret = secret
        self.low = low
        self.high = high
        self.tries = 0
        self.over = False

    def guess(self, number: int) -> Hint:
        """Try a number and narrow the range to where the secret can still be."""
        self.tries += 1
        if number == self.secret:
            self.over = True
            return Hint.FOUND
        if number < self.secret:
            self.low = max(self.low, number + 1)
            return Hint.HIGHER
        self.high = min(self.high, number - 1)
        return Hint.LOWER

    def __str__(self) -> str:
        return f"It is from {self.low} to {self.high}."
