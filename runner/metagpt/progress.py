"""How far a run is, from the actions done and expected. No clock, no guess: None until the list of files is known.

A run takes the requirements, the design and the task list; then, per file, writing it, reviewing it if asked, and
writing and running its tests if asked (metagpt.md gives the formula). It comes to 1.0 only when the team has finished.
"""

from collections.abc import Iterable

Step = tuple[str, str | None]  # action, file

PLANNING: tuple[Step, ...] = (("WritePRD", None), ("WriteDesign", None), ("WriteTasks", None))
UNFINISHED = 0.99  # the most that a run shows that has not ended


class Progress:
    def __init__(self, *, code_review: bool, run_tests: bool) -> None:
        self._code_review = code_review
        self._run_tests = run_tests
        self._expected: set[Step] = set()
        self._done: set[Step] = set()
        self._shown = 0.0

    def expect(self, files: Iterable[str]) -> None:
        """The task list is known: these are the files that will be written."""
        self._expected |= set(PLANNING)
        for file in files:
            self._expected.add(("WriteCode", file))
            if self._code_review:
                self._expected.add(("WriteCodeReview", file))
            # The QA engineer tests Python files that are no tests themselves.
            if self._run_tests and file.endswith(".py") and "test" not in file:
                self._expected |= {("WriteTest", f"test_{file}"), ("RunCode", f"test_{file}")}

    def finish(self, action: str, file: str | None) -> None:
        """An action has ended well; doing the same again adds nothing."""
        self._done.add((action, file))

    @property
    def wrote_code(self) -> bool:
        return any(action == "WriteCode" for action, _ in self._done)

    @property
    def value(self) -> float | None:
        """Between 0 and 1, never less than before; None while it cannot be known."""
        if not self._expected:
            return None
        share = len(self._done & self._expected) / len(self._expected)
        self._shown = max(self._shown, round(min(share, UNFINISHED), 3))
        return self._shown
