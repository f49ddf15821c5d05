"""The command line: `metagpt-live serve`, `run`, `import` and `config`."""

import asyncio
import os
import resource
import shutil
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec
import uvloop
from click.core import ParameterSource

from runner.attempt import Options, Role
from runner.errors import DatabaseUnusable, DataFolderBusy, RunnerError
from runner.limits import RunLimits
from runner.logfile import import_into
from runner.redact import Redactor
from runner.supervisor import Supervisor
from runner.task import NewTask, Task
from runner.wiring import open_supervisor
from server import flags, logs, terminal
from server.app import create_app
from server.entry import NotServed, open_gate
from server.lines import Lines
from server.llm import Choice, LlmSettingsError, choose
from server.prices import PricesError
from server.serving import AddressTaken, TlsUnusable, is_loopback, listen, serve, tls, url
from server.settings import PREFIX, VERSION, Limits, Network, Settings, masked, without_credentials
from server.token_commands import token_commands
from server.tokens import TokensUnusable
from server.upload import UploadFailed, chunks, upload

_STDIN, _STDERR = 0, 2

# No flags: the arguments of a process can be read by everyone on the machine.
_KEY_VARIABLE = f"{PREFIX}_LLM_API_KEY"
_TOKEN_VARIABLE = f"{PREFIX}_TOKEN"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="metagpt-live")
def main() -> None:
    """Run MetaGPT teams as tasks and watch every event live.

    Every option can be given as an environment variable too: --data as METAGPT_LIVE_DATA, and so on. The LLM's key is
    given only so: METAGPT_LIVE_LLM_API_KEY. With no LLM configured, the embedded demo model is used.
    """
    _open_standard_streams()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the key is in the memory of this process


@main.command("serve")
@flags.takes(flags.SERVE)
@flags.takes(flags.SHARED)
def serve_command(**options: Any) -> None:
    """Serve the dashboard and the API."""
    _require_git()
    settings = _settings(options)
    network = Network(**_named(options, Network))
    limits = Limits(**_named(options, Limits))
    choice = _choice(settings)
    _configure_logs(settings, choice)
    _run(_serve(network, limits, settings, choice))


@main.command("run")
@click.argument("idea")
@flags.takes(flags.RUN)
@flags.takes(flags.SHARED)
def run_command(idea: str, review: tuple[Role, ...], **options: Any) -> None:
    """Run one IDEA without a server, and show its events here.

    What the team asks is answered here too, with a line of standard input. Ends with 0 when the team has finished, and
    1 when the run failed or was stopped.
    """
    if not idea.strip():
        raise click.BadParameter("say what the team is to build.", param_hint="IDEA")
    _require_git()
    settings = _settings(options | {"concurrency": 1, "queue_limit": 0, "waiting_limit": 0})
    choice = _choice(settings)
    _configure_logs(settings, choice)
    new = NewTask(input_prompt=idea, options=Options(review=list(dict.fromkeys(review))))
    sys.exit(_run(_run_one(new, settings, choice)))


@main.command("import")
@click.argument("file", type=click.File("rb"))
@flags.DATA
@flags.option("--url", help="The server that is to take it in; without it, none may be using the data folder.")
def import_command(file: BinaryIO, data: Path, url: str | None) -> None:
    """Show somebody else's run: take in its exported FILE (export.jsonl), or - for standard input.

    It becomes a task that has ended, with its whole log, that cannot be run. A file that is not whole changes nothing.
    Where the server wants a token, METAGPT_LIVE_TOKEN holds it.
    """
    try:
        token = os.environ.get(_TOKEN_VARIABLE)
        task = asyncio.run(_import(file, data)) if url is None else upload(url, file, token=token)
    except DataFolderBusy as error:
        raise click.ClickException(f"{error} Or import through the server that uses it, with --url.") from error
    except (RunnerError, UploadFailed, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Imported: {task.title!r}, {task.status}, {task.head} events, as task {task.id}.")


main.add_command(token_commands)


@main.command("config")
@flags.takes(flags.SERVE)
@flags.takes(flags.SHARED)
@click.pass_context
def config_command(context: click.Context, /, **options: Any) -> None:
    """Print the effective settings and where each comes from, with secrets masked."""
    origins = {ParameterSource.COMMANDLINE: "flag", ParameterSource.ENVIRONMENT: "environment"}
    for name, value in sorted(options.items()):
        origin = origins.get(context.get_parameter_source(name) or ParameterSource.DEFAULT, "default")
        shown = without_credentials(value) if isinstance(value, str) else value
        shown = " ".join(value) if isinstance(value, tuple) else shown
        click.echo(f"{name} = {'' if shown is None else shown}  ({origin})")
    key = os.environ.get(_KEY_VARIABLE)
    click.echo(f"llm_api_key = {masked(key) if key else ''}  ({'environment' if key else 'default'})")
    click.echo(f"Model: {_choice(_settings(options)).source}")


async def _serve(network: Network, limits: Limits, settings: Settings, choice: Choice) -> None:
    with listen(network.host, network.port) as listener:
        context = tls(network)
        gate = open_gate(network, limits, is_loopback=is_loopback(listener))
        async with _supervisor(settings, choice) as supervisor:

            def announce() -> None:
                scheme = "http" if network.tls_cert is None else "https"
                click.echo(f"metagpt-live {VERSION} is serving at {url(listener, scheme=scheme)}")
                if scheme == "http" and not (is_loopback(listener) or network.forwarded_allow):
                    click.echo(
                        "Tokens are not encrypted on their way: use --tls-cert and --tls-key, or a proxy that has them."
                    )
                click.echo(f"Model: {choice.source}")
                click.echo(f"Data: {settings.data}. Press Ctrl-C to stop.")
                _warn(supervisor)

            def end() -> None:
                app.close()
                supervisor.end_runs()  # now, so that whoever waits for a stop is answered

            app = create_app(supervisor, llm=choice.llm, gate=gate)
            await supervisor.resume_queue()
            await serve(
                app,
                listener,
                gate,
                context=context,
                proxies=network.forwarded_allow,
                on_started=announce,
                on_second=app.tend,
                on_stopping=end,
            )


async def _run_one(new: NewTask, settings: Settings, choice: Choice) -> int:
    click.echo(f"Model: {choice.source}")
    async with _supervisor(settings, choice) as supervisor:
        _warn(supervisor)
        return await terminal.run(supervisor, new, Lines(_STDIN))


async def _import(file: BinaryIO, data: Path) -> Task:
    async def read() -> AsyncIterator[bytes]:
        for chunk in chunks(file):
            yield chunk

    return await import_into(data, read())


def _warn(supervisor: Supervisor) -> None:
    for weakness in supervisor.weaknesses():
        click.echo(f"Warning: {weakness}")


def _supervisor(settings: Settings, choice: Choice) -> AbstractAsyncContextManager[Supervisor]:
    return open_supervisor(
        settings.data,
        llm=choice.llm,
        concurrency=settings.concurrency,
        waiting_limit=settings.waiting_limit,
        queue_limit=settings.queue_limit,
        limits=RunLimits(
            grace=settings.stop_grace,
            silence=settings.silence_limit,
            tasks=settings.task_limit,
            events=settings.event_limit,
            event_size=settings.event_size_limit,
            workspace=settings.workspace_limit,
        ),
        allow_network=settings.allow_network,
        durability=settings.durability,
        keep_days=settings.keep_days,
    )


def _run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end, with what a person can mend told in one line."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)
    except (AddressTaken, NotServed, TlsUnusable, TokensUnusable, DataFolderBusy, DatabaseUnusable, OSError) as error:
        raise click.ClickException(str(error)) from error


def _open_standard_streams() -> None:
    """Where a standard stream was closed, open nothing in its place, or its number would go to a socket."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(fd, True)
    os.close(fd)


def _require_git() -> None:
    if shutil.which("git") is None:
        raise click.ClickException("git is not found, and MetaGPT needs it: install it, or add it to PATH.")


def _settings(options: dict[str, Any]) -> Settings:
    given = _named(options, Settings) | {"data": options["data"].absolute()}
    return Settings(**given, llm_api_key=os.environ.get(_KEY_VARIABLE))


def _named(options: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in kind.__struct_fields__}


def _choice(settings: Settings) -> Choice:
    try:
        return choose(settings, Path.home())
    except (LlmSettingsError, PricesError) as error:
        raise click.ClickException(str(error)) from error


def _configure_logs(settings: Settings, choice: Choice) -> None:
    redactor = Redactor.of_config(choice.llm.config)
    logs.configure(json=settings.log_json, level=settings.log_level, redactor=redactor)


if __name__ == "__main__":
    main()
