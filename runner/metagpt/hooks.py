"""Where this package takes hold of MetaGPT, all in one place.

The methods below are replaced on MetaGPT's own classes: the process is forked for one run and ends with it. Each
replacement tells the channel what happens and then does what the original did.

    Role._act                     the turn has started; ARTIFACT of files that bypass FileRepository
    Action.run, per subclass      ACTION_START, ACTION_COMPLETE, and between them ARTIFACT of such files
    Environment.publish_message   MESSAGE; holds messages back that wait for approval
    FileRepository.save           the guard; replaces secrets; ARTIFACT
    FileRepository.get, .delete   the guard
    GitRepository.rename_root     the guard
    GitRepository.get_files       follows no links, which may lead anywhere, or round in circles
    RunCode.run_script            runs tests outside our environment and without blocking (scripts.py)
    GitPython's safer_popen       git is held in like other programs (runner/confinement.py)
    tenacity's retries            only of malformed answers, few, and without waiting
    loguru                        LOG
"""

import asyncio
import functools
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import git.cmd
import git.index.fun
import msgspec
from loguru import logger
from metagpt.actions import (
    DebugError,
    RunCode,
    WriteCode,
    WriteCodeReview,
    WriteDesign,
    WritePRD,
    WriteTasks,
    WriteTest,
)
from metagpt.actions.action_node import ActionNode
from metagpt.actions.prepare_documents import PrepareDocuments
from metagpt.actions.project_management_an import REFINED_TASK_LIST, TASK_LIST
from metagpt.actions.summarize_code import SummarizeCode
from metagpt.actions.write_code_plan_and_change_an import WriteCodePlanAndChange
from metagpt.environment import Environment
from metagpt.roles import Architect, Engineer, ProductManager, ProjectManager, QaEngineer, Role
from metagpt.utils.file_repository import FileRepository
from metagpt.utils.git_repository import GitRepository
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_none

from runner.attempt import output_key
from runner.events import EventType, short
from runner.metagpt import limits, phrases
from runner.metagpt.channel import ROLE
from runner.metagpt.failures import MalformedAnswer, RunFailed
from runner.metagpt.run import TURN, Run, milliseconds_since
from runner.metagpt.scripts import Scripts
from runner.speech import PERSON

ACTING = (Role, Engineer, QaEngineer)  # the classes with an `_act` of their own
ACTIONS = (
    PrepareDocuments,
    WritePRD,
    WriteDesign,
    WriteTasks,
    WriteCodePlanAndChange,
    WriteCode,
    WriteCodeReview,
    SummarizeCode,
    WriteTest,
    RunCode,
    DebugError,
)
RETRIED = (
    ActionNode._aask_v1,
    WriteCode.write_code,
    WriteCodeReview.write_code_review_and_rewrite,
    SummarizeCode.summarize_code,
)
ANSWER_ATTEMPTS = 3  # how often the model is asked for an answer in the right form

# MetaGPT addresses its roles by first names, too.
FIRST_NAMES = {
    role.model_fields["name"].default: role.__name__
    for role in (ProductManager, Architect, ProjectManager, Engineer, QaEngineer)
}

Method = Callable[..., Any]
AsyncMethod = Callable[..., Awaitable[Any]]


class LogSink:
    """Where loguru's records go. Added before the fork, because adding a sink takes milliseconds."""

    run: Run | None = None

    def __call__(self, message: Any) -> None:
        record = message.record
        if self.run is None or record["function"] == "publish_message":
            return  # "Message no recipients", with a dump of it: normal at the end of a team's work
        self.run.log(record["level"].name, record["message"], record["name"])


LOGS = LogSink()


def prepare() -> None:
    """Do what all children need and share, before the fork."""
    logger.add(LOGS, level="INFO", format="{message}", backtrace=False, diagnose=False)


def install(run: Run) -> None:
    """Replace the methods above, for good."""
    for role in ACTING:
        role._act = _starting_turn(run, role._act)
    for action in ACTIONS:
        action.run = _telling(run, action.run)
    Environment.publish_message = _publishing(run, Environment.publish_message)
    FileRepository.save = _saving(run, FileRepository.save)
    FileRepository.get = _guarded(run, FileRepository.get)
    FileRepository.delete = _guarded(run, FileRepository.delete)
    GitRepository.rename_root = _guarded_rename(run, GitRepository.rename_root)
    GitRepository.get_files = _without_links(GitRepository.get_files)
    for module in (git.cmd, git.index.fun):
        module.safer_popen = _held_in(run)  # type: ignore[attr-defined]
    RunCode.run_script = _running(run)
    # One name, not one per second: the next version of the requirements is a version of the same file, and the prompts
    # of a later attempt are those of this one.
    FileRepository.new_filename = staticmethod(lambda: run.document)
    for method in RETRIED:
        _retry_malformed_answers(run, method.retry)
    LOGS.run = run


def _starting_turn(run: Run, original: AsyncMethod) -> AsyncMethod:
    @functools.wraps(original)
    async def _act(role: Any) -> Any:
        turn = TURN.get()
        if turn is not None:
            run.start_turn(turn)
        try:
            return await original(role)
        finally:
            run.artifacts.scan(run.project_folder)  # what was written between its actions, and by programs they left

    return _act


def _telling(run: Run, original: AsyncMethod) -> AsyncMethod:
    @functools.wraps(original)
    async def tell(action: Any, *args: Any, **kwargs: Any) -> Any:
        name, file, role, turn = type(action).__name__, _file_of(action), ROLE.get(), TURN.get()
        if turn is not None:
            turn.action, turn.file = name, file
        started = time.monotonic()
        about = {"action": name, "file": file}
        run.channel.emit(
            EventType.ACTION_START,
            {"message": phrases.doing(role, name, file), **about, "progress": run.progress.value},
        )
        if turn is not None:
            turn.output = None
        trouble, cancelled = "did not finish", False
        try:
            result = await original(action, *args, **kwargs)
            trouble = ""
            if name == "WriteTasks":
                run.progress.expect(_task_list(result))
            run.progress.finish(name, file)
            return result
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            run.artifacts.scan(run.project_folder)  # diagrams, and what tests have written, bypass FileRepository
            run.channel.emit(
                EventType.ACTION_COMPLETE,
                {
                    "message": f"{phrases.doing(role, name, file)[:-1]}: {trouble}."
                    if trouble
                    else phrases.done(role, name, file),
                    **about,
                    "duration_ms": milliseconds_since(started),
                    "progress": run.progress.value,
                    "failed": bool(trouble),
                    "cancelled": cancelled,
                    **({"output": turn.output} if turn is not None and turn.output is not None else {}),
                },
            )

    return tell


def _file_of(action: Any) -> str | None:
    """The file that an action is about, if it is about one."""
    context = action.i_context
    match type(action).__name__:
        case "WriteCode":
            return str(context.filename)
        case "WriteCodeReview":
            return str(context.code_doc.filename)
        case "WriteTest":
            return str(context.test_doc.filename)
        case "RunCode" | "DebugError":
            return str(context.test_filename)
        case _:
            return None


def _task_list(output: Any) -> list[str]:
    """The files to be written, from what WriteTasks has answered."""
    documents = output.instruct_content.docs.values()
    lists = [json.loads(document.content) for document in documents]
    return [str(file) for found in lists for file in found.get(REFINED_TASK_LIST.key) or found.get(TASK_LIST.key, [])]


def _publishing(run: Run, original: Method) -> Method:
    @functools.wraps(original)
    def publish_message(environment: Any, message: Any, peekable: bool = True) -> Any:
        turn = TURN.get()
        if turn is not None and turn.held is not None:
            turn.held.append(message)
            return True
        sent_from = _name(message.sent_from) or ROLE.get() or PERSON
        send_to = sorted(_name(address) for address in message.send_to)
        record = {
            "id": message.id,
            "content": message.content,
            "cause_by": _name(message.cause_by),
            "sent_from": sent_from,
            "send_to": send_to,
        }
        run.messages.append(record)
        if message.id not in run.said:  # what a person says is in the log already
            run.channel.emit(
                EventType.MESSAGE,
                {"message": phrases.message(sent_from, send_to, record["cause_by"], message.content), **record},
                agent_role=None if sent_from == PERSON else sent_from,
            )
        return original(environment, message, peekable)

    return publish_message


def _name(address: str) -> str:
    """The class name in an address: of "metagpt.roles.engineer.Engineer", or of "Alex". "<all>" stays."""
    return FIRST_NAMES.get(address) or str(address).rpartition(".")[2]


def _saving(run: Run, original: AsyncMethod) -> AsyncMethod:
    @functools.wraps(original)
    async def save(repository: Any, filename: Any, content: Any, dependencies: Any = None) -> Any:
        path = run.guard.inside(repository.workdir / filename)
        # Half of a surrogate pair in a model's answer could not be written.
        encoded = run.channel.redactor.known(content or "").encode("utf-8", "replace")
        document = await original(repository, filename, encoded.decode(), dependencies)
        run.artifacts.written(path, encoded)
        return document

    return save


def _guarded(run: Run, original: AsyncMethod) -> AsyncMethod:
    @functools.wraps(original)
    async def guarded(repository: Any, filename: Any) -> Any:
        run.guard.inside(repository.workdir / filename)
        return await original(repository, filename)

    return guarded


def _guarded_rename(run: Run, original: Method) -> Method:
    @functools.wraps(original)
    def rename_root(repository: Any, new_dir_name: Any) -> Any:
        run.guard.project(repository.workdir.parent / str(new_dir_name))
        return original(repository, new_dir_name)

    return rename_root


def _held_in(run: Run) -> Method:
    def become_program() -> None:
        limits.enter()
        run.cell.enter_program()

    return functools.partial(run.orphans.popen, preexec_fn=become_program)


def _without_links(original: Method) -> Method:
    @functools.wraps(original)
    def get_files(repository: Any, relative_path: Any, *args: Any, **kwargs: Any) -> Any:
        if (repository.workdir / relative_path).is_symlink():
            return []
        return original(repository, relative_path, *args, **kwargs)

    return get_files


def _running(run: Run) -> AsyncMethod:
    scripts = Scripts(run.scratch, run.orphans, run.cell)

    async def run_script(
        action: Any, working_directory: Any, additional_python_paths: Any = (), command: Any = ()
    ) -> tuple[str, str]:
        folder, turn, file = Path(working_directory), TURN.get(), _file_of(action)
        key = output_key(ROLE.get() or "", str(file))
        if (recorded := run.recall.take(key)) is not None:
            return msgspec.json.decode(recorded, type=tuple[str, str])
        trouble = await scripts.install(_text_of(folder / "requirements.txt"))
        if trouble:
            run.log("WARNING", f"The packages in requirements.txt could not be installed: {trouble}")
        output = await scripts.run([str(word) for word in command], folder, [str(p) for p in additional_python_paths])
        if turn is not None:
            turn.output = msgspec.json.encode(output).decode()
        return output

    return run_script


def _text_of(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def _retry_malformed_answers(run: Run, retrying: Any) -> None:
    """Tame one of MetaGPT's retries: six attempts with waits of up to a minute, of whatever went wrong."""

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        run.log(
            "WARNING",
            f"The model's answer was not in the form that was asked for ({short(str(error), 300)}). Asking again, "
            f"attempt {state.attempt_number + 1} of {ANSWER_ATTEMPTS}.",
        )

    def give_up(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        assert error is not None
        raise MalformedAnswer(state.attempt_number, error) from error

    retrying.stop = stop_after_attempt(ANSWER_ATTEMPTS)
    retrying.wait = wait_none()
    # Not a cancellation, which is no Exception: a stop must not be met with another call.
    retrying.retry = retry_if_exception(lambda error: isinstance(error, Exception) and not isinstance(error, RunFailed))
    retrying.after = lambda state: None
    retrying.before_sleep = tell
    retrying.retry_error_callback = give_up
