"""Runs the tests that the QA engineer wrote, in place of MetaGPT's RunCode.run_script.

MetaGPT's own blocks the event loop, installs what the model asks for into our environment, and hands our whole
`os.environ` to code that a model wrote. This one does none of it.
"""

import asyncio
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from runner.leftovers import MARK
from runner.metagpt.parentage import Orphans

RUN_LIMIT = 10.0  # seconds, MetaGPT's own
INSTALL_LIMIT = 120.0  # seconds
OUTPUT_LIMIT = 64 * 1024  # bytes kept of each stream; MetaGPT shows the model 10 kB of it

# What any program may know. The rest of os.environ holds keys.
PASSED_ON = frozenset({"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", MARK})
PASSED_TO_PIP = re.compile(r"HOME$|PIP_|SSL_CERT_|REQUESTS_CA_BUNDLE|https?_proxy$|no_proxy$", re.IGNORECASE)

# A plain name with an optional version: no option, no URL, no path.
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(\[[\w, -]+\])?\s*([<>=!~]=?[^;@]*)?$")


class Scripts:
    """Runs programs for one run.

    scratch: a folder for their home, their temporary files and their packages. orphans: what they may leave.
    """

    def __init__(self, scratch: Path, orphans: Orphans) -> None:
        self._scratch = scratch
        self._orphans = orphans
        self._installed: set[str] = set()

    async def run(self, command: Sequence[str], folder: Path, python_paths: Sequence[str]) -> tuple[str, str]:
        """Standard output and standard error of `command`, run in `folder`; "python" means the one that runs us."""
        program, *arguments = command
        if program == "python":
            program = sys.executable
        env = self._environment([str(folder), *python_paths, str(self._packages)])
        code, out, err = await self._finish([program, *arguments], folder, env, RUN_LIMIT)
        if code is None:
            err += f"\nThe command did not end within {RUN_LIMIT:g} seconds.\n"
        return out, err

    async def install(self, requirements: str) -> str | None:
        """Install what a requirements.txt names, once, beside the project. What went wrong, if anything did."""
        wanted = [line for line in plain_requirements(requirements) if line not in self._installed]
        if not wanted:
            return None
        self._installed.update(wanted)
        options = ["--quiet", "--disable-pip-version-check", "--no-input", "--target", str(self._packages)]
        env = {name: value for name, value in os.environ.items() if name in PASSED_ON or PASSED_TO_PIP.match(name)}
        env["PIP_CACHE_DIR"] = str(self._folder("cache"))
        command = [sys.executable, "-m", "pip", "install", *options, *wanted]
        code, _, err = await self._finish(command, self._scratch, env, INSTALL_LIMIT)
        return None if code == 0 else err.strip() or f"it did not end within {INSTALL_LIMIT:g} seconds"

    async def _finish(
        self, command: Sequence[str], folder: Path, env: Mapping[str, str], limit: float
    ) -> tuple[int | None, str, str]:
        """Run to the end: exit code, standard output, standard error.

        The code is None if `limit` seconds were too few.
        """
        process = await self._orphans.start_program(
            *command,
            cwd=folder,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None and process.stderr is not None
        out, err = bytearray(), bytearray()
        code: int | None = None
        try:
            async with asyncio.timeout(limit):
                # What it leaves running may hold the pipes open for good: reading counts against the limit too.
                await asyncio.gather(_keep_head(process.stdout, out), _keep_head(process.stderr, err))
                code = await process.wait()
        except TimeoutError:
            pass
        finally:
            _kill_tree(process.pid)
        return code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    @property
    def _packages(self) -> Path:
        return self._folder("packages")

    def _environment(self, python_path: Iterable[str]) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return passed_on | {
            "HOME": str(self._folder("home")),
            "TMPDIR": str(self._folder("tmp")),
            "PYTHONPATH": os.pathsep.join(python_path),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def _folder(self, name: str) -> Path:
        folder = self._scratch / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


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


async def _keep_head(stream: asyncio.StreamReader, kept: bytearray) -> None:
    """Read a stream to its end, and keep its beginning."""
    while data := await stream.read(OUTPUT_LIMIT):
        kept += data[: OUTPUT_LIMIT - len(kept)]


def _kill_tree(pid: int) -> None:
    try:
        root = psutil.Process(pid)
        processes = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
