"""One run in the terminal, without a server."""

import asyncio
import shutil
import signal
import sys

import click
import msgspec

from runner.base import Change, Commit, Runner
from runner.errors import RunnerError
from runner.events import Event, EventType
from runner.states import TERMINAL, Status
from runner.task import NewTask, Question, Task
from server.lines import Lines
from server.schemas import CONTENT_LIMIT

# What scrolls by too fast to be read, or is said in another way.
_QUIET = frozenset(
    {EventType.TOKEN, EventType.LOG, EventType.RESOURCE, EventType.ACTION_START, EventType.INPUT_REQUEST}
)

_COLORS = {
    EventType.ERROR: "red",
    EventType.STATUS: "cyan",
    EventType.ARTIFACT: "green",
}
_QUESTION_COLOR = "yellow"
_ROLE_WIDTH = 14
_BAR_WIDTH = 10


async def run(runner: Runner, new: NewTask, lines: Lines) -> int:
    """Run one task, print its events, and return the exit code: 0 if the team has finished, else 1.

    lines: the answers to what the team asks. Ctrl-C and SIGTERM stop the run.
    """
    commits: asyncio.Queue[Commit] = asyncio.Queue()

    def listen(change: Change) -> None:
        if isinstance(change, Commit):
            commits.put_nowait(change)

    runner.watch(listen)
    task = await runner.create_task(new)
    await runner.start_task(task.id)
    stopping: set[asyncio.Task[object]] = set()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(
            number, lambda: stopping.add(asyncio.ensure_future(runner.stop_task(task.id)))
        )
    dialogue = _Dialogue(runner, task.id, lines)
    while task.status not in TERMINAL:
        commit = await commits.get()
        if commit.task.id != task.id:
            continue
        task = commit.task
        for committed in commit.events:
            if committed.event_type not in _QUIET:
                _show(msgspec.json.decode(committed.encoded, type=Event), task)
        dialogue.follow(task.waiting)
    dialogue.close()
    _show_end(task)
    return 0 if task.status is Status.SUCCEEDED else 1


class _Dialogue:
    """Puts the questions of a task to the person at the terminal."""

    def __init__(self, runner: Runner, task_id: str, lines: Lines) -> None:
        self._runner = runner
        self._task_id = task_id
        self._lines = lines
        self._asked: Question | None = None
        self._asking: asyncio.Task[None] | None = None

    def follow(self, waiting: Question | None) -> None:
        """Ask what the task asks now, unless that is being done already."""
        if waiting is not None and waiting != self._asked:
            self.close()
            self._asked = waiting
            self._asking = asyncio.create_task(self._ask(waiting))

    def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self, question: Question) -> None:
        click.secho(_printable(question.question), fg=_QUESTION_COLOR)
        answer = await self._answer_to(question)
        if answer is None:
            click.echo(
                "Standard input has ended: nobody can answer here. The question stays open; Ctrl-C stops the run."
            )
            return
        try:
            await self._runner.answer(self._task_id, question.request_id, answer)
        except RunnerError as error:
            click.echo(str(error))

    async def _answer_to(self, question: Question) -> str | None:
        """The next line that can be an answer; None at the end of the input."""
        while True:
            click.secho(_invitation(question), fg=_QUESTION_COLOR)
            line = await self._lines.next()
            if line is None:
                return None
            answer = line.strip()
            if len(answer) > CONTENT_LIMIT:
                click.echo(f"An answer has at most {CONTENT_LIMIT:,} characters; this one has {len(answer):,}.")
            elif answer:
                return next((choice for choice in question.choices if choice.lower() == answer.lower()), answer)


def _invitation(question: Question) -> str:
    choices = _printable(" | ".join(question.choices))
    until = f" (until {question.deadline})" if question.deadline else ""
    return f"[ {choices} | or your own words ]{until}:" if choices else f"[ in your own words ]{until}:"


def _show(event: Event, task: Task) -> None:
    role = (event.agent_role or "").ljust(_ROLE_WIDTH)
    message = " ".join(str(event.payload["message"]).split())
    line = f"{_bar(task.progress)} {event.timestamp[11:19]} {role} {_printable(message)}"
    click.secho(
        line[: shutil.get_terminal_size().columns] if sys.stdout.isatty() else line, fg=_COLORS.get(event.event_type)
    )


def _show_end(task: Task) -> None:
    usage = task.usage
    unpriced = f" without {usage.unpriced_calls} calls whose price is not known" if usage.unpriced_calls else ""
    click.echo(f"{task.status}: {usage.llm_calls} LLM calls, {usage.tokens} tokens, ${usage.cost_usd:.4f}{unpriced}")
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
