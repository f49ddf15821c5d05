"""What the process of an attempt is told when it begins: the task, and what its log knows of earlier attempts."""

from pathlib import Path

import msgspec

from runner.attempt import AttemptSpec, Checkpoint, Confinement, Llm, Options
from runner.base import Store
from runner.blobs import Blobs
from runner.checkpoint import read_checkpoint
from runner.files import Artifact
from runner.task import Task
from runner.versions import read_files, versions


class Briefing:
    """workspace: the folder in which the team works, empty at first."""

    def __init__(self, *, store: Store, blobs: Blobs, workspace: Path, confinement: Confinement, llm: Llm) -> None:
        self._store = store
        self._blobs = blobs
        self._workspace = workspace
        self._confinement = confinement
        self._llm = llm

    async def of(self, task: Task, *, asked: str | None) -> AttemptSpec:
        """asked: the id of the question that was open when the attempt began. The task's claim must be in its log: with
        it, all that was answered before is. What comes into the log later, the process does not know.
        """
        checkpoint, written = await self._earlier(task, asked)
        return AttemptSpec(
            task_id=task.id,
            attempt=task.attempt,
            input_prompt=task.input_prompt,
            options=_with_raised_budgets(task),
            workspace=str(self._workspace),
            confinement=self._confinement,
            llm=self._llm,
            project=task.project,
            checkpoint=checkpoint,
            used=task.usage,
            versions=written,
        )

    async def _earlier(self, task: Task, asked: str | None) -> tuple[Checkpoint, list[Artifact]]:
        """What the log knows of earlier attempts, and the versions of the files that they have written."""
        if task.attempt == 1:
            return Checkpoint(), []
        checkpoint = await read_checkpoint(self._store, self._blobs, task.id, asked=asked)
        return checkpoint, versions(await read_files(self._store, self._blobs, task.id))


def _with_raised_budgets(task: Task) -> Options:
    raised = {option: to for option, to in msgspec.structs.asdict(task.raised).items() if to is not None}
    return msgspec.structs.replace(task.options, **raised)
