"""What programs take together, looked at from outside."""

import asyncio
import os
from pathlib import Path

import pytest

from runner.metagpt import limits


async def test_all_memory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that each stay below the limit of memory, and together do not, are too much."""
    monkeypatch.setattr(limits, "MEMORY", 1024**2)
    assert "1 MiB of memory" in await _exceeded({os.getpid()}, tmp_path)


async def test_all_files_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many files, each of which is small enough, are too much."""
    monkeypatch.setattr(limits, "DISK", 1024**2)
    for number in range(3):
        (tmp_path / f"{number}").write_bytes(b"x" * 500_000)
    assert "1 MiB in its folder" in await _exceeded(set(), tmp_path)


async def _exceeded(programs: set[int], folder: Path) -> str:
    async with asyncio.timeout(30):
        return await limits.exceeded(lambda: programs, folder)
