"""The child process of one attempt: runs a team and tells all about it.

Everything it writes is inside the task's workspace, which is also its working directory:

    <workspace>/<project>/   what the team makes, a git repository
    <workspace>/.scratch/    its home and temporary files, the packages of tests that the QA engineer runs, and the
                             versions of files that the supervisor has not yet taken (runner/blobs.py)

It ends with 0 after RESULT, with 1 after a fatal ERROR, and with 143 when it was told to stop by SIGTERM. STATUS is the
supervisor's to write: only it knows how a process really ended.
"""

import asyncio
import os
import signal
import socket
from typing import Any, NoReturn

from runner import environment
from runner.attempt import HEARTBEAT_PERIOD, Answer, AttemptSpec, Word
from runner.events import EventType
from runner.metagpt.channel import Channel
from runner.metagpt.failures import error_payload
from runner.metagpt.naming import project_name
from runner.metagpt.run import Run
from runner.metagpt.team import LiveTeam
from runner.redact import Redactor

SUCCEEDED, FAILED, STOPPED = 0, 1, 128 + signal.SIGTERM

STOP_PERIOD = 0.1  # seconds from one cancellation to the next
FLUSH_LIMIT = 5.0  # seconds for the last events


def main(spec: AttemptSpec, sock: socket.socket) -> int:
    """Run the attempt to its end; the exit code. The socket is connected, and stays open."""
    os.chdir(spec.workspace)
    return asyncio.run(_Attempt(spec, sock).run())


class _Attempt:
    def __init__(self, spec: AttemptSpec, sock: socket.socket) -> None:
        self._spec = spec
        self._sock = sock
        self._early: list[Word] = []
        self._team: LiveTeam | None = None
        self._stopping = False
        self._left: set[asyncio.Task[Any]] | None = None  # what outlasts the team; None while it is at work

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        channel = Channel(
            self._sock,
            Redactor.of_config(self._spec.llm.config),
            on_word=self._on_word,
            on_gone=_end_with_supervisor,
        )
        self._run = Run(self._spec, self._spec.project or project_name(self._spec.input_prompt), channel)
        loop.set_exception_handler(self._on_loop_error)
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGCHLD, self._run.orphans.reap)
        beating = asyncio.create_task(_beat(channel), name="heartbeat")
        try:
            return await self._work()
        finally:
            beating.cancel()
            loop.remove_signal_handler(signal.SIGCHLD)  # a loop that is being closed could not take it
            # A stop is too late now; it would cancel what the loop does to close, and so change the exit code.
            self._left = asyncio.all_tasks() - {asyncio.current_task()}
            loop.remove_signal_handler(signal.SIGTERM)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            channel.flush(FLUSH_LIMIT)
            channel.close()

    async def _work(self) -> int:
        run = self._run
        try:
            environment.settle(run.scratch)
            run.cell.enter()
            self._team = LiveTeam(run)
            for word in self._early:
                self._on_word(word)
            await self._team.work()
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            return STOPPED
        except Exception as error:  # the last place that can tell anybody
            if self._stopping:  # what broke because its task was cancelled
                return STOPPED
            run.channel.emit(EventType.ERROR, error_payload(error, run.channel.redactor, fatal=True))
            return FAILED
        result = run.result()
        count = len(result["artifacts"])
        run.channel.emit(
            EventType.RESULT,
            {"message": f"The team has finished: {count} files in {run.project}.", "final_result": result},
        )
        return SUCCEEDED

    def _stop(self) -> None:
        """Cancel all that runs, again and again until the loop ends.

        A library that is just connecting can swallow a cancellation, and a task group passes on only the first one.
        """
        self._stopping = True
        for task in asyncio.all_tasks() if self._left is None else self._left:
            task.cancel()
        asyncio.get_running_loop().call_later(STOP_PERIOD, self._stop)

    def _on_word(self, word: Word) -> None:
        if isinstance(word, Answer):
            self._run.questions.answer(word)
        elif self._team is None:
            self._early.append(word)
        else:
            self._team.hear(word)

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(context["message"])
        channel = self._run.channel
        channel.emit(EventType.ERROR, error_payload(error, channel.redactor, fatal=False))


async def _beat(channel: Channel) -> None:
    """Show that the loop turns. Not from a thread: it would go on while the loop is blocked for ever.

    MetaGPT blocks the loop too, for seconds; the supervisor has more patience than that.
    """
    while True:
        await asyncio.sleep(HEARTBEAT_PERIOD)
        await channel.sync()


def _end_with_supervisor() -> NoReturn:
    """Nobody listens, and nobody would end this process: it takes its whole group with it."""
    os.killpg(0, signal.SIGKILL)
    os._exit(FAILED)
