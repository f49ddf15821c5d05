"""Runs the tests that the QA engineer wrote, in place of MetaGPT's RunCode.run_script.

MetaGPT's own blocks the event loop, installs what the model asks for into our environment, and hands our whole
`os.environ` to code that a model wrote. This one does none of it.
"""

import asyncio
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from runner.confinement import Cell
from runner.environment import for_pip, for_programs
from runner.metagpt import limits
from runner.metagpt.parentage import Orphans, die_with_parent, kill

RUN_LIMIT = 10.0  # seconds, MetaGPT's own
INSTALL_LIMIT = 120.0  # seconds
_LAST_WORDS = 1.0  # seconds
OUTPUT_LIMIT = 64 * 1024  # bytes kept of each stream; MetaGPT shows the model 10 kB of it

# A plain name with an optional version: no option, no URL, no path.
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(\[[\w, -]+\])?\s*([<>=!~]=?[^;@]*)?$")


class Scripts:
    """Runs programs for one run.

    scratch: a folder in the run's workspace for their home, their temporary files and their packages. orphans: what
    they may leave. cell: what holds them in.
    """

    def __init__(self, scratch: Path, orphans: Orphans, cell: Cell) -> None:
        self._scratch = scratch
        self._orphans = orphans
        self._cell = cell
        self._installed: set[str] = set()

    async def run(self, command: Sequence[str], folder: Path, python_paths: Sequence[str]) -> tuple[str, str]:
        """Standard output and standard error of `command`, run in `folder`; "python" means the one that runs us."""
        program, *arguments = command
        if program == "python":
            program = sys.executable
        python_path = os.pathsep.join([str(folder), *python_paths, str(self._packages)])
        env = for_programs(self._scratch) | {"PYTHONPATH": python_path, "PYTHONDONTWRITEBYTECODE": "1"}
        _, out, err = await self._finish([program, *arguments], folder, env, RUN_LIMIT)
        return out, err

    async def install(self, requirements: str) -> str | None:
        """Install what a requirements.txt names, once, beside the project. What went wrong, if anything did."""
        wanted = [line for line in plain_requirements(requirements) if line not in self._installed]
        if not wanted:
            return None
        self._installed.update(wanted)
        if not self._cell.allow_network:
            return "there is no network for the programs of a run, unless the server was started with --allow-network"
        options = ["--quiet", "--disable-pip-version-check", "--no-input", "--target", str(self._packages)]
        command = [sys.executable, "-P", "-m", "pip", "install", *options, *wanted]
        code, _, err = await self._finish(command, self._scratch, for_pip(self._scratch), INSTALL_LIMIT)
        return None if code == 0 else err.strip()

    async def _finish(
        self, command: Sequence[str], folder: Path, env: Mapping[str, str], limit: float
    ) -> tuple[int | None, str, str]:
        """Run to the end: exit code, standard output, standard error.

        The code is None if it was ended: `limit` seconds were too few, or it took more than `limits` allow.
        """
        process = await self._orphans.start_program(
            *command,
            cwd=folder,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # A whole group can be ended at once; elsewhere than on Linux nobody adopts what leaves ours. The session
            # stays the run's, by which all its programs are known (runner/sessions.py).
            process_group=0 if sys.platform == "linux" else None,
            preexec_fn=self._become_program,
        )
        assert process.stdout is not None and process.stderr is not None
        out, err = bytearray(), bytearray()
        # What it leaves running may hold the pipes open for good: reading counts against the limits too.
        reading = asyncio.gather(_keep_head(process.stdout, out), _keep_head(process.stderr, err), process.wait())
        watching = asyncio.create_task(limits.exceeded(lambda: self._orphans.with_family(process.pid)))
        ends: set[asyncio.Future[Any]] = {reading, watching}
        try:
            done, _ = await asyncio.wait(ends, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            if process.returncode is None:
                kill(process.pid)
            await self._orphans.kill()
            await _ended(reading)
        code: int | None = None
        if reading in done:
            code = process.returncode
        else:
            trouble = watching.result() if watching in done else f"it did not end within {limit:g} seconds"
            err += f"\nThe command was ended: {trouble}.\n".encode()
        return code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def _become_program(self) -> None:
        die_with_parent()
        limits.enter()
        self._cell.enter_program()

    @property
    def _packages(self) -> Path:
        return self._scratch / "packages"


def plain_requirements(text: str) -> list[str]:
    """The lines of a requirements.txt that name a package to be installed.

    Models also write sentences ("No third-party packages required") and modules of the standard library.
    """
    found = []
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        match = REQUIREMENT.match(line)
        if match and match["name"].lower() not in sys.stdlib_module_names:
            found.append(line)
    return found


async def _ended(reading: asyncio.Future[Any]) -> None:
    """Wait, for a moment at most, for the end of what is read: it comes once nobody is left who holds the pipes."""
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(reading, return_exceptions=True), _LAST_WORDS)


async def _keep_head(stream: asyncio.StreamReader, kept: bytearray) -> None:
    """Read a stream to its end, and keep its beginning."""
    while data := await stream.read(OUTPUT_LIMIT):
        kept += data[: OUTPUT_LIMIT - len(kept)]
