"""The files that a run has written in its project folder, with a version per change."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from runner.base import Artifact

# Not the team's work: git's own, what Python leaves behind, and MetaGPT's notes on which file came from which.
IGNORED_FOLDERS = frozenset({".git", "__pycache__", ".pytest_cache"})
IGNORED_FILES = frozenset({".dependencies.json"})

Signature = tuple[int, int, int]  # inode, modification time, size


class Artifacts:
    """Knows each file's newest version; `on_written` is called with every new one.

    workspace: the folder, without symbolic links in its path.
    """

    def __init__(self, workspace: Path, on_written: Callable[[Artifact], None]) -> None:
        self._workspace = workspace
        self._on_written = on_written
        self._newest: dict[str, Artifact] = {}
        self._seen: dict[str, Signature] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._newest

    def existing(self) -> list[Artifact]:
        """The newest version of each file that is still there, by path."""
        root = str(self._workspace)
        return [a for path, a in sorted(self._newest.items()) if os.path.isfile(f"{root}/{path}")]

    def written(self, path: Path, content: bytes) -> None:
        """`path`, resolved, was just written with `content`."""
        name = path.relative_to(self._workspace).as_posix()
        self._seen[name] = _signature(path.lstat())
        self._record(name, len(content), hashlib.sha256(content).hexdigest())

    def scan(self, project: Path) -> None:
        """Find what was written without anybody telling: only files whose stat has changed are read."""
        prefix = len(str(self._workspace)) + 1
        for entry in _files(str(project)):
            with suppress(FileNotFoundError):  # removed by a program that still runs
                self._look_at(entry, entry.path[prefix:])

    def _look_at(self, entry: os.DirEntry[str], name: str) -> None:
        found = entry.stat(follow_symlinks=False)
        signature = _signature(found)
        if self._seen.get(name) == signature:
            return
        with open(entry.path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._seen[name] = signature
        self._record(name, found.st_size, digest)

    def _record(self, name: str, size: int, sha256: str) -> None:
        last = self._newest.get(name)
        if last is not None and last.sha256 == sha256:
            return
        artifact = Artifact(path=name, version=last.version + 1 if last else 1, size=size, sha256=sha256)
        self._newest[name] = artifact
        self._on_written(artifact)


def _files(project: str) -> list[os.DirEntry[str]]:
    """Regular files below `project`, by path; links are left out."""
    found, folders = [], [project]
    while folders:
        folder = folders.pop()
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in IGNORED_FOLDERS:
                        folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False) and entry.name not in IGNORED_FILES:
                    found.append(entry)
    return sorted(found, key=lambda entry: entry.path)


def _signature(found: os.stat_result) -> Signature:
    return found.st_ino, found.st_mtime_ns, found.st_size
