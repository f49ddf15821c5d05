"""The places to run: how many attempts may be at work at the same time.

An attempt that waits for a person gives its place back, so that unanswered questions hold nobody up; its process stays,
since it holds what was paid for. Once it is answered it goes on at once, beside the places if all are taken, and
nothing new starts until there is a free one again. Processes that wait cost memory: only so many of them may be without
a place, and what waits beyond that keeps its own.
"""

WAITING_LIMIT = 16  # attempts that may wait for a person without a place, unless it is said otherwise


class Places:
    """count: attempts that may be at work. waiting_limit: how many may wait for a person without a place."""

    def __init__(self, count: int, *, waiting_limit: int) -> None:
        self.count = count
        self._waiting_limit = waiting_limit
        self._attempts: set[object] = set()
        self._waiting: set[object] = set()  # of the attempts

    def take(self, attempt: object) -> None:
        """Have an attempt begin."""
        self._attempts.add(attempt)

    def give_back(self, attempt: object) -> None:
        """Have an attempt wait for a person."""
        self._waiting.add(attempt)

    def go_on(self, attempt: object) -> None:
        """Have an attempt wait for nobody any more."""
        self._waiting.discard(attempt)

    def leave(self, attempt: object) -> None:
        """Have an attempt end."""
        self._waiting.discard(attempt)
        self._attempts.remove(attempt)

    @property
    def free(self) -> int:
        """Places that may be taken."""
        return max(0, self.count - self._taken)

    def reason(self) -> str:
        """Why there is none that may be taken."""
        words, limit = f"All places are taken ({self.count})", self._waiting_limit
        if kept := self._kept:
            words += f", {kept} by tasks that wait for a person, since at most {limit} may without a place"
        if beside := self._taken - self.count:
            words += f", with {beside} more at work since a person has answered"
        return words

    @property
    def _taken(self) -> int:
        return len(self._attempts) - len(self._waiting) + self._kept

    @property
    def _kept(self) -> int:
        """Places of attempts that wait for a person."""
        return max(0, len(self._waiting) - self._waiting_limit)
