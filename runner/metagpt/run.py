"""The one object that everything about a run hangs on; each child process has exactly one."""

import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from runner.attempt import AttemptSpec, Say
from runner.confinement import Cell
from runner.events import EventType, short
from runner.files import Artifact
from runner.metagpt import phrases
from runner.metagpt.artifacts import Artifacts
from runner.metagpt.channel import ROLE, Channel
from runner.metagpt.guard import Guard
from runner.metagpt.parentage import Orphans
from runner.metagpt.progress import Progress
from runner.metagpt.questions import Questions
from runner.metagpt.recall import Recall

LOG_LIMIT = 2000  # characters of one log line
RESULT_CONTENT_LIMIT = 2000  # characters of a message's content in RESULT


@dataclass(slots=True, frozen=True)
class Revision:
    """A person's wish for other work than a role has done. previous: what it had written, by path."""

    words: str
    previous: dict[str, str]


@dataclass(slots=True)
class Turn:
    """A role's work between two looks into its mailbox."""

    id: str
    role: str
    revision: Revision | None = None
    started: float | None = None  # None until the role really acts
    action: str | None = None
    file: str | None = None
    output: str | None = None  # of the tests that the action has run, as JSON
    written: list[str] = field(default_factory=list)  # artifacts, by path
    prepared: int = 0  # how many of them were there before the role's last act, which is the one that counts
    held: list[Any] | None = None  # messages that wait for a person's approval; None if they need not


# The turn that runs in this context.
TURN: ContextVar[Turn | None] = ContextVar("TURN", default=None)


class Run:
    def __init__(self, spec: AttemptSpec, project: str, channel: Channel) -> None:
        self.spec = spec
        self.project = project
        self.channel = channel
        self.workspace = Path(spec.workspace).resolve()
        self.guard = Guard(self.workspace)
        self.cell = Cell(self.workspace, spec.confinement)
        self.recall = Recall(spec.checkpoint)
        self.questions = Questions(
            channel,
            self.recall,
            attempt=spec.attempt,
            reopened=spec.checkpoint.question,
            timeout=spec.options.answer_timeout_s,
        )
        self.orphans = Orphans()
        self.progress = Progress(code_review=spec.options.code_review, run_tests=spec.options.run_tests)
        self.artifacts = Artifacts(self.workspace, self._on_artifact, spec.versions)
        self.usage = spec.used
        self.messages: list[dict[str, Any]] = []
        self.said: dict[str, Say] = {}  # by a person, by id
        self._turns: dict[str, int] = {}

    @property
    def project_folder(self) -> Path:
        return self.workspace / self.project

    @property
    def document(self) -> str:
        """The name of new documents, without its ending; those of the task that this one continues have another."""
        return self.project if self.spec.project is None else f"{self.project}-{self.spec.task_id[:6]}"

    @property
    def scratch(self) -> Path:
        """For what is written on the way and is nobody's result; inside the workspace, beside the project."""
        return self.workspace / ".scratch"

    def log(self, level: str, message: str, logger: str = "runner.metagpt") -> None:
        message = short(message.replace(f"{self.workspace}/", ""), LOG_LIMIT)
        self.channel.emit(EventType.LOG, {"message": message, "level": level, "logger": logger})

    def named(self, paths: Sequence[str]) -> str:
        """Files of the project in words, without its folder's name."""
        return phrases.files([path.removeprefix(f"{self.project}/") for path in paths])

    def new_turn(self, role: str, revision: Revision | None) -> Turn:
        self._turns[role] = self._turns.get(role, 0) + 1
        held: list[Any] | None = [] if role in self.spec.options.review else None
        return Turn(f"{role}-{self._turns[role]}", role, revision, held=held)

    def start_turn(self, turn: Turn) -> None:
        """The role acts: at the first call of a turn, and maybe once more."""
        turn.prepared = len(turn.written)
        if turn.started is not None:
            return
        turn.started = time.monotonic()
        begins = "begins to work" if turn.revision is None else "works on the changes that were asked for"
        self.channel.emit(EventType.AGENT_START, {"message": f"{phrases.role(turn.role)} {begins}.", "turn": turn.id})

    def end_turn(self, turn: Turn, trouble: str | None, *, failed: bool) -> None:
        """Close a turn that has started. trouble: why it did not come to its end; failed: whether by its own fault."""
        if turn.started is None:
            return
        wrote = f"wrote {self.named(turn.written)}" if turn.written else None
        summary = trouble or (wrote and f"{wrote}.")
        done = f"is done: {wrote or 'changed no files'}"
        self.channel.emit(
            EventType.AGENT_COMPLETE,
            {
                "message": f"{phrases.role(turn.role)} {trouble or done}".rstrip(".") + ".",
                "turn": turn.id,
                "duration_ms": milliseconds_since(turn.started),
                "summary": summary and summary[0].upper() + summary[1:],
                "failed": failed,
                "cancelled": trouble is not None and not failed,
            },
        )

    def result(self) -> dict[str, Any]:
        """The `final_result` of a run that went well."""
        return {
            "project": self.project,
            "artifacts": [msgspec.to_builtins(a) for a in self.artifacts.existing()],
            "messages": [m | {"content": short(m["content"], RESULT_CONTENT_LIMIT)} for m in self.messages],
            "usage": msgspec.to_builtins(self.usage),
            "demo": self.spec.llm.demo,
        }

    def _on_artifact(self, artifact: Artifact) -> None:
        turn = TURN.get()
        if turn is not None and artifact.path not in turn.written:
            turn.written.append(artifact.path)
        message = phrases.written(ROLE.get(), self.named([artifact.path]), artifact.version)
        action = None if turn is None else turn.action
        self.channel.emit(EventType.ARTIFACT, {"message": message, **msgspec.to_builtins(artifact), "action": action})


def milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
