"""Why a run can fail, in words for the person who reads the ERROR event. Whatever is not one of these is a fault.

- RunFailed
  - LlmFailed
  - MalformedAnswer
  - Misconfigured
  - NoCode
  - OutsideWorkspace
  - RoleFailed
  - Unanswered
"""

import traceback
from collections.abc import Iterable
from typing import Any

from runner.events import short
from runner.redact import Redactor
from runner.speech import unanswered

_FRAMES = 6
_LIMIT = 2000  # characters, of a message and of a traceback


class RunFailed(Exception):
    """The run ends here; trying the same step again would not help."""


class LlmFailed(RunFailed):
    """The model's endpoint cannot be used; see `runner.metagpt.faults` for the words."""


class MalformedAnswer(RunFailed):
    def __init__(self, attempts: int, cause: BaseException) -> None:
        detail = short(str(cause), 300) or type(cause).__name__
        super().__init__(f"The model's answer was not in the form that was asked for, {attempts} times: {detail}")


class Misconfigured(RunFailed):
    def __init__(self, faults: Iterable[str]) -> None:
        super().__init__(f"MetaGPT refuses the configuration of the model: {'; '.join(faults)}.")


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


def error_payload(error: BaseException, redactor: Redactor, *, fatal: bool) -> dict[str, Any]:
    """What an ERROR event tells of this."""
    cause = error.cause if isinstance(error, RoleFailed) else error
    message = str(error) if isinstance(error, RunFailed) else f"{type(error).__name__}: {error}"
    # Half of a secret, which is what may be left where a text is cut, would not be recognised.
    frames = redactor.text("".join(traceback.format_exception(cause, limit=-_FRAMES, chain=False)))
    return {
        "message": short(redactor.text(message), _LIMIT),
        "error_type": type(cause).__name__,
        "traceback": frames[-_LIMIT:],
        "fatal": fatal,
    }
