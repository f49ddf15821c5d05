"""What programs take together, looked at from outside."""

import asyncio
import os

import pytest

from runner.metagpt import limits


async def test_all_memory_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that each stay below the limit of memory, and together do not, are too much."""
    monkeypatch.setattr(limits, "MEMORY", 1024**2)
    assert "1 MiB of memory" in await _exceeded({os.getpid()})


async def _exceeded(programs: set[int]) -> str:
    async with asyncio.timeout(30):
        return await limits.exceeded(lambda: programs)
