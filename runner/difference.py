"""The unified diff of two texts, by git, which is fast also where they have little in common."""

import asyncio
import os
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path

from runner.errors import GitMissing, NotComparable

SIZE_LIMIT = 4 * 1024 * 1024  # bytes of each text
_TIME_LIMIT = 20.0  # seconds
_OPTIONS = ("--no-index", "--no-color", "--no-ext-diff", "--no-textconv", "--text", "--unified=3")


async def compare(path: str, old: tuple[int, Path], new: tuple[int, Path], *, reading: Executor | None = None) -> bytes:
    """How one version of a file became another; empty if they are the same.

    path: the file's name in the diff. old, new: a version's number, and where its bytes are; number 0 for no file.
    reading: threads to read them in; None for the loop's own. Raises `NotComparable` if one is no text, or too large,
    and `GitMissing`.
    """
    loop = asyncio.get_running_loop()
    for number, file in (old, new):
        if number and (reason := await loop.run_in_executor(reading, _why_not, file)):
            raise NotComparable(path, f"version {number} is {reason}")
    hunks = await _git_diff(path, old[1], new[1])
    if not hunks:
        return b""
    before = f"--- {_quoted('a/' + path)}\tversion {old[0]}" if old[0] else "--- /dev/null"
    after = f"+++ {_quoted('b/' + path)}\tversion {new[0]}"
    return f"{before}\n{after}\n".encode("utf-8", "replace") + hunks


def _why_not(file: Path) -> str | None:
    size = file.stat().st_size
    if size > SIZE_LIMIT:
        return f"larger than {SIZE_LIMIT:,} bytes"
    content = file.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError:
        return "no text"
    return "no text" if b"\0" in content else None


async def _git_diff(path: str, old: Path, new: Path) -> bytes:
    """The hunks of a diff, without the lines that name the files."""
    try:
        process = await _start(old, new)
    except FileNotFoundError:
        raise GitMissing from None
    try:
        async with asyncio.timeout(_TIME_LIMIT):
            out, trouble = await process.communicate()
    except TimeoutError:
        raise NotComparable(path, f"comparing took longer than {_TIME_LIMIT:g} s") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode not in (0, 1):  # the same, and different
        raise NotComparable(path, f"git says: {trouble.decode(errors='replace').strip()}")
    at = 0 if out.startswith(b"@@") else out.find(b"\n@@") + 1
    return out[at:] if at or out.startswith(b"@@") else b""


async def _start(old: Path, new: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *_command(old, new),
        # No configuration, of whomever, and no repository that the data folder may lie in.
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CEILING_DIRECTORIES": os.sep,
        },
        cwd=os.sep,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def _command(old: Path, new: Path) -> list[str]:
    return ["git", "diff", *_OPTIONS, "--", str(old.absolute()), str(new.absolute())]


def _quoted(name: str) -> str:
    """A name as git writes it: in quotes if it could be mistaken for something else."""
    escaped = "".join(
        f"\\{ord(character):03o}" if character < " " or character == "\x7f" else character
        for character in name.replace("\\", "\\\\").replace('"', '\\"')
    )
    return name if escaped == name else f'"{escaped}"'
