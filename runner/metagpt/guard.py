"""The first line of defence against paths that a model chose: a run writes and reads in its workspace only.

A path outside ends the run: MetaGPT's roles cannot go on without the file, and a model that was told to climb out of
its folder should be looked at by a person. This guards MetaGPT's own file calls; whatever passes by it, and
programs that the model wrote, the kernel holds in (runner/confinement.py).
"""

import os
from pathlib import Path

from runner.metagpt.failures import OutsideWorkspace

# Files in here can run commands (hooks, fsmonitor) the next time git is called.
FORBIDDEN_PART = ".git"


class Guard:
    """workspace: the folder, without symbolic links in its path."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._prefix = f"{self._workspace}{os.sep}"

    def inside(self, path: Path) -> Path:
        """`path` with its symbolic links resolved. Raises `OutsideWorkspace` if that is not in the workspace."""
        try:
            resolved = str(path) if self._is_plain(str(path)) else os.path.realpath(path)
        except ValueError as error:  # a NUL character
            raise OutsideWorkspace(str(path)) from error
        relative = resolved.removeprefix(self._prefix)
        if relative == resolved or FORBIDDEN_PART in relative.lower().split(os.sep):
            raise OutsideWorkspace(str(path))
        return Path(resolved)

    def _is_plain(self, path: str) -> bool:
        """Whether `path` is its own real path: below the workspace, and no part of it there leads elsewhere.

        It spares to ask for every folder from the root down, which MetaGPT's many calls would pay for.
        """
        if not path.startswith(self._prefix) or "\0" in path:
            return False
        walked = self._prefix[:-1]
        for part in path[len(self._prefix) :].split(os.sep):
            walked = f"{walked}{os.sep}{part}"
            if part in {"", os.curdir, os.pardir} or os.path.islink(walked):
                return False
        return True

    def project(self, path: Path) -> Path:
        """Like `inside`, for a project's folder: it lies directly in the workspace."""
        resolved = self.inside(path)
        if resolved.parent != self._workspace:
            raise OutsideWorkspace(str(path))
        return resolved
