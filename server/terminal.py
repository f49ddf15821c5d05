"""One run in the terminal, without a server."""

import asyncio
import shutil
import signal
import sys

import click
import msgspec

from runner.base import Commit, Deleted, Runner
from runner.events import Event, EventType
from runner.states import TERMINAL, Status
from runner.task import NewTask, Task

# What scrolls by too fast to be read, or says again what another line says.
_QUIET = frozenset({EventType.TOKEN, EventType.LOG, EventType.RESOURCE, EventType.ACTION_START})

_COLORS = {
    EventType.ERROR: "red",
    EventType.STATUS: "cyan",
    EventType.ARTIFACT: "green",
    EventType.INPUT_REQUEST: "yellow",
}
_ROLE_WIDTH = 14
_BAR_WIDTH = 10


async def run(runner: Runner, idea: str) -> int:
    """Run one idea, print its events, and answer with the exit code: 0 if the team has finished, else 1.

    Ctrl-C and SIGTERM stop the run.
    """
    commits: asyncio.Queue[Commit] = asyncio.Queue()

    def listen(change: Commit | Deleted) -> None:
        if isinstance(change, Commit):
            commits.put_nowait(change)

    runner.watch(listen)
    task = await runner.create_task(NewTask(input_prompt=idea))
    await runner.start_task(task.id)
    stopping: set[asyncio.Task[object]] = set()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(
            number, lambda: stopping.add(asyncio.ensure_future(runner.stop_task(task.id)))
        )
    while task.status not in TERMINAL:
        commit = await commits.get()
        if commit.task.id != task.id:
            continue
        task = commit.task
        for committed in commit.events:
            if committed.event_type not in _QUIET:
                _show(msgspec.json.decode(committed.encoded, type=Event), task)
    _show_end(task)
    return 0 if task.status is Status.SUCCEEDED else 1


def _show(event: Event, task: Task) -> None:
    role = (event.agent_role or "").ljust(_ROLE_WIDTH)
    message = " ".join(str(event.payload["message"]).split())
    line = f"{_bar(task.progress)} {event.timestamp[11:19]} {role} {_printable(message)}"
    click.secho(
        line[: shutil.get_terminal_size().columns] if sys.stdout.isatty() else line, fg=_COLORS.get(event.event_type)
    )


def _show_end(task: Task) -> None:
    usage = task.usage
    tokens = usage.prompt_tokens + usage.completion_tokens
    click.echo(f"{task.status}: {usage.llm_calls} LLM calls, {tokens} tokens, ${usage.cost_usd:.4f}")
    if task.status is Status.SUCCEEDED:
        click.echo(f"The code is in {task.workspace}")


def _bar(progress: float | None) -> str:
    if progress is None:
        return "[" + "·" * _BAR_WIDTH + "]"
    done = round(progress * _BAR_WIDTH)
    return "[" + "█" * done + "·" * (_BAR_WIDTH - done) + "]"


def _printable(text: str) -> str:
    """Text without control characters: what an LLM writes must not drive the terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)
