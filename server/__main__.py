"""The command line: `metagpt-live serve`, `run`, `import` and `config`."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click
import msgspec
import uvloop
from click.core import ParameterSource

from runner.attempt import Options, Role
from runner.errors import DatabaseUnusable, DataFolderBusy, RunnerError
from runner.limits import RunLimits
from runner.logfile import import_into
from runner.places import WAITING_LIMIT
from runner.queue import QUEUE_LIMIT
from runner.redact import Redactor
from runner.supervisor import Supervisor
from runner.task import PROMPT_LIMIT, NewTask, Task
from runner.wiring import open_supervisor
from server import logs, terminal
from server.app import create_app
from server.entry import NotServed, open_gate
from server.lines import Lines
from server.llm import Choice, LlmSettingsError, choose
from server.prices import PricesError
from server.serving import AddressTaken, TlsUnusable, is_loopback, listen, serve, tls, url
from server.settings import (
    BODY_LIMIT,
    FRAME_LIMIT,
    PREFIX,
    VERSION,
    Limits,
    Network,
    Settings,
    masked,
    without_credentials,
)
from server.token_commands import token_commands
from server.tokens import TokensUnusable
from server.upload import UploadFailed, chunks, upload

_Command = TypeVar("_Command", bound=Callable[..., Any])

_LIMITS = RunLimits()  # unless it is said otherwise


def _option(flag: str, **settings: Any) -> Callable[[_Command], _Command]:
    """An option that can also be given in the environment."""
    variable = f"{PREFIX}_{flag.removeprefix('--').replace('-', '_').upper()}"
    return click.option(flag, envvar=variable, show_envvar=True, show_default=True, **settings)


_DATA_OPTION = _option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data"),
    help="Folder for the database and the workspaces.",
)

_SHARED_OPTIONS = (
    _DATA_OPTION,
    _option(
        "--stop-grace",
        type=click.FloatRange(0, 60),
        default=_LIMITS.grace,
        help="Seconds that a stopped run has to end by itself before it is killed.",
    ),
    _option(
        "--silence-limit",
        type=click.FloatRange(5, 86_400),
        default=_LIMITS.silence,
        help="Seconds without a sign of life after which a run's process is killed. MetaGPT blocks it for some.",
    ),
    _option(
        "--durability",
        type=click.Choice(["normal", "full"]),
        default="normal",
        help="What an event that was shown survives: the death of the server, or a power failure too.",
    ),
    _option(
        "--keep-days",
        type=click.FloatRange(0, min_open=True),
        help="Days after its end that a run's events are kept; for ever if not given.",
    ),
    _option(
        "--task-limit",
        type=click.IntRange(1, 10_000_000),
        default=_LIMITS.tasks,
        help="Tasks in all; further ones are refused until some are deleted.",
    ),
    _option(
        "--event-limit",
        type=click.IntRange(10, 1_000_000_000),
        default=_LIMITS.events,
        help="Events of a task; a run that writes more is ended.",
    ),
    _option(
        "--event-size-limit",
        type=click.IntRange(16_384, 16_777_216),
        default=_LIMITS.event_size,
        help="Bytes of an event; of a larger one the log has an excerpt, and all of it is kept as a file.",
    ),
    _option(
        "--workspace-limit",
        type=click.IntRange(1_000_000, 1_000_000_000_000),
        default=_LIMITS.workspace,
        help="Bytes that a task's files take on the disk, with all their versions; a run that writes more is ended.",
    ),
    _option(
        "--allow-network",
        is_flag=True,
        help="Let the programs that runs start, which a model wrote, use the network, and install packages.",
    ),
    _option("--llm-base-url", help="An OpenAI-compatible endpoint, such as http://localhost:11434/v1."),
    _option("--llm-model", help="The model's name there; `demo` for the demo model."),
    _option(
        "--prices",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A TOML or JSON file with prices of models, beside and above those that MetaGPT knows.",
    ),
    _option(
        "--demo-pace",
        type=click.FloatRange(0, 100),
        default=1.0,
        help="How long the demo model takes: 1 for a human reading pace, 0 for no waiting.",
    ),
    _option(
        "--log-level",
        type=click.Choice(["info", "warning", "error"]),
        default="warning",
        help="What is logged to standard error: also that attempts begin and end, or only trouble.",
    ),
    _option("--log-json", is_flag=True, help="Log each record as a line of JSON, for programs."),
)

_NETWORK_OPTIONS = (
    _option("--host", default="127.0.0.1", help="Address to listen on."),
    _option("--port", type=click.IntRange(0, 65535), default=8000, help="Port to listen on; 0 for any free one."),
    _option(
        "--token-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Who may come in, see `metagpt-live token`. Without it the server serves loopback only.",
    ),
    _option(
        "--allow-host",
        multiple=True,
        help="A name of this server, as browsers see it; not needed for IP addresses and localhost.",
    ),
    _option(
        "--forwarded-allow",
        multiple=True,
        help="The address or network of a proxy before this server, whose X-Forwarded-* headers are believed.",
    ),
    _option(
        "--tls-cert",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The certificate and its chain, PEM; serves HTTPS and WSS.",
    ),
    _option("--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its private key, PEM."),
)

_LIMIT_OPTIONS = (
    _option(
        "--body-limit",
        type=click.IntRange(1000, 1_000_000_000),
        default=BODY_LIMIT,
        help="Bytes of a request's body.",
    ),
    _option(
        "--frame-limit",
        type=click.IntRange(1000, 100_000_000),
        default=FRAME_LIMIT,
        help="Bytes of a WebSocket client's frame.",
    ),
    _option(
        "--prompt-limit", type=click.IntRange(1, PROMPT_LIMIT), default=PROMPT_LIMIT, help="Characters of a prompt."
    ),
    _option(
        "--subscription-limit",
        type=click.IntRange(1, 1_000_000),
        default=1000,
        help="Subscriptions of a WebSocket.",
    ),
    _option(
        "--connection-limit",
        type=click.IntRange(1, 1_000_000),
        default=1000,
        help="Connections of a client, an IP address, at the same time.",
    ),
    _option(
        "--request-rate",
        type=click.FloatRange(0, 1_000_000),
        default=1000,
        help="Requests of a client per second, and frames of a WebSocket; 0 for no limit.",
    ),
    _option(
        "--request-timeout",
        type=click.FloatRange(0.1, 3600),
        default=30,
        help="Seconds in which a request must have come as a whole; as many for a TLS handshake.",
    ),
)

_SERVE_OPTIONS = (
    _option(
        "--concurrency",
        type=click.IntRange(1, 1000),
        default=4,
        help="Runs at work at the same time; further ones wait in the queue.",
    ),
    _option(
        "--waiting-limit",
        type=click.IntRange(0, 1000),
        default=WAITING_LIMIT,
        help="Runs that may wait for a person's answer without holding one of these places; each takes memory.",
    ),
    _option(
        "--queue-limit",
        type=click.IntRange(0, 100_000),
        default=QUEUE_LIMIT,
        help="Tasks that may wait in the queue; further ones are refused.",
    ),
    *_NETWORK_OPTIONS,
    *_LIMIT_OPTIONS,
)

_RUN_OPTIONS = (
    _option(
        "--review",
        type=click.Choice(Options().team),
        multiple=True,
        help="A role whose work you approve before the team goes on; can be given more than once.",
    ),
)

_STDIN, _STDERR = 0, 2

# No flags: the arguments of a process can be read by everyone on the machine.
_KEY_VARIABLE = f"{PREFIX}_LLM_API_KEY"
_TOKEN_VARIABLE = f"{PREFIX}_TOKEN"


def _with(options: tuple[Callable[[Any], Any], ...]) -> Callable[[_Command], _Command]:
    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="metagpt-live")
def main() -> None:
    """Run MetaGPT teams as tasks and watch every event live.

    Every option can be given as an environment variable too: --data as METAGPT_LIVE_DATA, and so on. The LLM's key is
    given only so: METAGPT_LIVE_LLM_API_KEY. With no LLM configured, the embedded demo model is used.
    """
    _open_standard_streams()


@main.command("serve")
@_with(_SERVE_OPTIONS)
@_with(_SHARED_OPTIONS)
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
@_with(_RUN_OPTIONS)
@_with(_SHARED_OPTIONS)
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
@_DATA_OPTION
@_option("--url", help="The server that is to take it in; without it, none may be using the data folder.")
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
@_with(_SERVE_OPTIONS)
@_with(_SHARED_OPTIONS)
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
