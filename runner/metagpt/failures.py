"""Why a run can fail, in words for the person who reads the ERROR event. Whatever is not one of these is a fault.

- RunFailed
  - LlmFailed
  - MalformedAnswer
  - NoCode
  - OutsideWorkspace
  - RoleFailed
  - Unanswered
"""

from runner.events import short
from runner.speech import unanswered


class RunFailed(Exception):
    """The run ends here; trying the same step again would not help."""


class LlmFailed(RunFailed):
    """The model's endpoint cannot be used; see `runner.metagpt.faults` for the words."""


class MalformedAnswer(RunFailed):
    def __init__(self, attempts: int, cause: BaseException) -> None:
        detail = short(str(cause), 300) or type(cause).__name__
        super().__init__(f"The model's answer was not in the form that was asked for, {attempts} times: {detail}")


class NoCode(RunFailed):
    def __init__(self, rounds: int, *, idle: bool) -> None:
        used = f"The team stopped after {rounds} rounds" if idle else f"The team used its {rounds} rounds"
        advice = "Describe the task in more detail." if idle else "Allow more rounds (n_round)."
        super().__init__(f"{used} before any code was written. {advice}")


class OutsideWorkspace(RunFailed):
    def __init__(self, path: str) -> None:
        super().__init__(f"The model chose a path that the team may not use: {short(path, 200)}")


class RoleFailed(RunFailed):
    """What a role did raised something nobody foresaw. `cause` is what it raised."""

    def __init__(self, role: str, action: str | None, file: str | None, cause: Exception) -> None:
        where = f" in {action}" if action else ""
        what = f" of {file}" if file else ""
        detail = short(str(cause), 500) or "no further details"
        super().__init__(f"{role} failed{where}{what}: {type(cause).__name__}: {detail}")
        self.cause = cause


class Unanswered(RunFailed):
    """limit: seconds that a person had."""

    def __init__(self, question: str, limit: float) -> None:
        super().__init__(unanswered(question, limit))
