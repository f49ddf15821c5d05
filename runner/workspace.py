"""The workspace of a task on disk: a folder that each attempt finds as the first one did.

It is empty, or a copy of the project that the task continues. That copy is made once, beside the workspace: what
becomes of the other task does not matter any more.
"""

import logging
import shutil
from contextlib import suppress
from pathlib import Path

from runner.disk import taken
from runner.trees import remove_tree, walk

_BASE = "base"  # beside the workspace
_DEEPEST = 100  # folders within each other that are copied
_DISCARDED = "deleted-"  # before the name of a task's folder

_log = logging.getLogger(__name__)


class NotCopied(Exception):
    """The files of a project cannot be copied; `str()` says why."""


def lay_out(workspace: Path) -> None:
    """Make the workspace what it is at the beginning of an attempt. Raises `OSError` and `NotCopied`."""
    remove_tree(workspace)
    workspace.mkdir(parents=True, mode=0o700)
    base = workspace.parent / _BASE
    if base.exists():
        _copy(base, workspace)


def keep_base(workspace: Path, project: Path, *, limit: int) -> None:
    """Have the workspace begin with a copy of another task's project.

    limit: bytes that it may have. Programs of that task may have put a link to anywhere in its place, which the copying
    would follow; files with holes, which it would fill; folders that are deeper than it goes. Raises
    `FileNotFoundError` if the project is gone, and `NotCopied`.
    """
    if project.is_symlink():
        raise FileNotFoundError(project)
    if taken(project, limit) > limit:
        raise NotCopied(f"they are larger than the {limit:,} bytes that a task's files may take")
    if any(depth > _DEEPEST for depth, _ in walk(project)):
        raise NotCopied("their folders are too deep")
    _copy(project, workspace.parent / _BASE / project.name)


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    except shutil.Error as error:
        *_, reason = error.args[0][0]
        raise NotCopied(reason) from error


def discard(folder: Path) -> None:
    """Delete a task's folder, if it is there; if that fails or is cut short, `unfinished` knows it by its name."""
    discarded = folder.with_name(_DISCARDED + folder.name.removeprefix(_DISCARDED))
    with suppress(FileNotFoundError):
        folder.rename(discarded)
    try:
        remove_tree(discarded)
    except OSError as error:
        _log.error("what is left of a task could not be removed (%s); the next start will try again", error)


def unfinished(tasks: Path) -> list[Path]:
    """Folders of tasks in `tasks` that were being deleted, or where no team has worked yet.

    Others are no rubbish even if no task is known for them: they may be all that is left of it.
    """
    folders = [folder for folder in tasks.glob("*") if folder.is_dir()]
    return [folder for folder in folders if folder.name.startswith(_DISCARDED) or not (folder / "workspace").exists()]
