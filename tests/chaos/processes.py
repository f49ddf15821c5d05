"""The processes of a server, found by what they are told and where they work, whoever their parent is by now."""

from collections.abc import Iterator
from pathlib import Path

import psutil


def belonging(data: Path) -> list[psutil.Process]:
    """Every process whose command line names the data folder, or that works in it. A zombie is none."""
    return [process for process, words in _processes() if str(data) in words]


def working_in(workspace: Path) -> list[psutil.Process]:
    """The processes of a run: its own, which works in its workspace, and those that it has started."""
    return [process for process, words in _processes() if f"{workspace}/" in f"{words}/"]


def _processes() -> Iterator[tuple[psutil.Process, str]]:
    """All processes, each with its command line and the folder that it works in."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        yield process, " ".join([*(process.info["cmdline"] or ()), process.info["cwd"] or ""])
