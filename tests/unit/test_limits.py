"""What programs take together, looked at from outside."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

from runner.metagpt import limits

LIMITS = """
import json, resource
kinds = ("DATA", "FSIZE", "NOFILE", "CPU", "NPROC")
print(json.dumps({kind: resource.getrlimit(getattr(resource, f"RLIMIT_{kind}")) for kind in kinds}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not tell how many processes there are")
def test_the_kernels_limits() -> None:
    """A program has these, and none that it could raise again; it may start some more than are there already."""
    done = subprocess.run([sys.executable, "-c", LIMITS], preexec_fn=limits.enter, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    assert all(soft == hard for soft, hard in found.values())
    processes, _ = found.pop("NPROC")
    assert limits.FLOOD < processes < limits.FLOOD + 100_000
    assert {kind: soft for kind, (soft, _) in found.items()} == {
        "DATA": limits.MEMORY,
        "FSIZE": limits.FILE,
        "NOFILE": limits.OPEN_FILES,
        "CPU": limits.CPU_TIME,
    }


async def test_all_memory_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that each stay below the limit of memory, and together do not, are too much."""
    monkeypatch.setattr(limits, "MEMORY", 1024**2)
    assert "1 MiB of memory" in await _exceeded({os.getpid()})


async def _exceeded(programs: set[int]) -> str:
    async with asyncio.timeout(30):
        return await limits.exceeded(lambda: programs)
