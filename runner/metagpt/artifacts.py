"""The files that a run has written in its project folder, with a version per change."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import BufferedReader, BytesIO
from pathlib import Path

from runner.blobs import stage
from runner.files import Artifact
from runner.inside import open_inside

# Not the team's work: git's own, what Python leaves behind, and MetaGPT's notes on which file came from which.
IGNORED_FOLDERS = frozenset({".git", "__pycache__", ".pytest_cache"})
IGNORED_FILES = frozenset({".dependencies.json"})

# A kernel counts modification times in ticks: what is written twice in one tick may look the same both times.
TICK = 20_000_000  # nanoseconds; more than any kernel's

PATH_LIMIT = 1000  # bytes; Linux takes no path of more than 4095, and macOS none of more than 1023

Signature = tuple[int, int, int]  # inode, modification time, size


class Artifacts:
    """Knows each file's newest version; `on_written` is called with every new one, and its bytes are staged then.

    workspace: the folder, without symbolic links in its path. earlier: the versions of earlier attempts; of each file
    the oldest first. Who writes them again, in their order, makes no new ones.
    """

    def __init__(
        self, workspace: Path, on_written: Callable[[Artifact], None], earlier: Iterable[Artifact] = ()
    ) -> None:
        self._workspace = workspace
        self._on_written = on_written
        self._earlier: dict[str, list[Artifact]] = {}
        for artifact in earlier:
            self._earlier.setdefault(artifact.path, []).append(artifact)
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
        self._see(name, path.lstat())
        self._record(name, BytesIO(content))

    def scan(self, project: Path) -> None:
        """Find what was written without anybody telling: only files whose stat has changed are read."""
        prefix = len(str(self._workspace)) + 1
        for entry in _files(str(project)):
            self._look_at(entry, entry.path[prefix:])

    def _look_at(self, entry: os.DirEntry[str], name: str) -> None:
        try:
            found = entry.stat(follow_symlinks=False)
            if self._seen.get(name) == _signature(found):
                return
            opened = open_inside(self._workspace, name)
        except (FileNotFoundError, PermissionError):  # removed by a program that still runs, or shut by one
            return
        with opened as file:
            self._see(name, found)
            self._record(name, file)

    def _see(self, name: str, found: os.stat_result) -> None:
        """Remember how a file was found, unless it could still change without looking changed."""
        if time.time_ns() - found.st_mtime_ns > TICK:
            self._seen[name] = _signature(found)

    def _record(self, name: str, content: BytesIO | BufferedReader) -> None:
        last = self._newest.get(name)
        if last is not None and hashlib.file_digest(content, "sha256").hexdigest() == last.sha256:
            return
        content.seek(0)
        sha256, size = stage(self._workspace, content)
        artifact = Artifact(path=name, version=self._version(name, last, sha256), size=size, sha256=sha256)
        self._newest[name] = artifact
        self._on_written(artifact)

    def _version(self, name: str, last: Artifact | None, sha256: str) -> int:
        """The number of what a file has become; last: what it was in this attempt."""
        number = 0 if last is None else last.version
        later = [known for known in self._earlier.get(name, ()) if known.version > number]
        again = next((known.version for known in later if known.sha256 == sha256), None)
        if again is not None:
            return again
        return (later[-1].version if later else number) + 1


def _files(project: str) -> list[os.DirEntry[str]]:
    """Regular files below `project`, by path; links are left out, and what programs have shut or have put too deep."""
    found, folders = [], [project]
    while folders:
        folder = folders.pop()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError), os.scandir(folder) as entries:
            for entry in entries:
                if len(os.fsencode(entry.path)) > PATH_LIMIT:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in IGNORED_FOLDERS:
                        folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False) and entry.name not in IGNORED_FILES:
                    found.append(entry)
    return sorted(found, key=lambda entry: entry.path)


def _signature(found: os.stat_result) -> Signature:
    return found.st_ino, found.st_mtime_ns, found.st_size
