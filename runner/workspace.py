"""The workspace of a task on disk: a folder that each attempt finds as the first one did.

It is empty, or a copy of the project that the task continues. That copy is made once, beside the workspace: what
becomes of the other task does not matter any more.
"""

import shutil
from pathlib import Path

_BASE = "base"  # beside the workspace


def lay_out(workspace: Path) -> None:
    """Make the workspace what it is at the beginning of an attempt."""
    if workspace.exists():
        shutil.rmtree(workspace)
    workspace.mkdir(parents=True, mode=0o700)
    base = workspace.parent / _BASE
    if base.exists():
        shutil.copytree(base, workspace, symlinks=True, dirs_exist_ok=True)


def keep_base(workspace: Path, project: Path) -> None:
    """Have the workspace begin with a copy of another task's project. Raises `FileNotFoundError` if that is gone."""
    shutil.copytree(project, workspace.parent / _BASE / project.name, symlinks=True)
