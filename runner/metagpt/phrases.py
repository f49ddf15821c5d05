"""Plain English for what a team does: roles, actions, lists of files."""

from collections.abc import Sequence

from runner.events import short
from runner.speech import EVERYONE, NAMES, PERSON, in_words

# By action: what the role does while it runs, and has done after it.
ACTIONS = {
    "PrepareDocuments": ("sets up the project folder", "set up the project folder"),
    "WritePRD": ("writes the product requirements", "wrote the product requirements"),
    "WriteDesign": ("designs the system", "designed the system"),
    "WriteTasks": ("breaks the work into tasks", "broke the work into tasks"),
    "WriteCodePlanAndChange": ("plans the changes to the code", "planned the changes to the code"),
    "WriteCode": ("writes {file}", "wrote {file}"),
    "WriteCodeReview": ("reviews {file}", "reviewed {file}"),
    "SummarizeCode": ("looks over the whole code", "looked over the whole code"),
    "WriteTest": ("writes the tests {file}", "wrote the tests {file}"),
    "RunCode": ("runs the tests {file}", "ran the tests {file}"),
    "DebugError": ("fixes the tests {file}", "fixed the tests {file}"),
}

# By action: what a message that it caused tells the team.
NEWS = {
    "WritePRD": "the product requirements are ready",
    "WriteDesign": "the system design is ready",
    "WriteTasks": "the task list is ready",
    "WriteCodePlanAndChange": "the changes to the code are planned",
    "WriteCode": "the code is written",
    "WriteCodeReview": "the code is written and reviewed",
    "SummarizeCode": "the code is ready to be tested",
    "WriteTest": "tests are written",
    "RunCode": "tests have been run",
    "DebugError": "tests have been fixed",
}

FILES_NAMED = 3
TEXT_SHOWN = 300  # characters of a note

NOBODY = "<none>"


def role(name: str | None) -> str:
    """The role as the subject of a sentence."""
    return f"The {NAMES.get(name or '', name or 'team')}"


def doing(who: str | None, action: str, file: str | None) -> str:
    return _action(who, action, file, 0)


def done(who: str | None, action: str, file: str | None) -> str:
    return _action(who, action, file, 1)


def written(who: str | None, file: str, version: int) -> str:
    """A new version of a file; of what nobody of the team wrote, such as the project that a task continues: nobody."""
    if who is None:
        return f"{file} is in the project."
    return f"{role(who)} wrote {file}." if version == 1 else f"{role(who)} wrote version {version} of {file}."


def message(sent_from: str, send_to: Sequence[str], cause_by: str, content: str) -> str:
    """A message of the team's queue. What roles write to each other is JSON: its cause tells more."""
    if sent_from == PERSON:
        return in_words(send_to, content)
    if list(send_to) == [NOBODY] and not content.startswith("{"):
        return f"{role(sent_from)} notes: {short(content, TEXT_SHOWN)}"
    return f"{role(sent_from)} tells {_receivers(send_to, sent_from)}: {NEWS.get(cause_by, cause_by)}."


def files(paths: Sequence[str]) -> str:
    """A list of files as words, the long ones cut: "a.py, b.py, c.py and 2 more files"."""
    named = list(paths[:FILES_NAMED])
    more = len(paths) - len(named)
    if more:
        return f"{', '.join(named)} and {more} more {'file' if more == 1 else 'files'}"
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def _receivers(send_to: Sequence[str], sent_from: str) -> str:
    if EVERYONE in send_to:
        return "everyone"
    others = [f"the {NAMES.get(name, name)}" for name in send_to if name not in (sent_from, NOBODY)]
    return " and ".join(others) or "itself"


def _action(who: str | None, action: str, file: str | None, tense: int) -> str:
    words = ACTIONS.get(action, (f"works on {action}", f"finished {action}"))[tense]
    return f"{role(who)} {words.format(file=file or 'a file')}."
