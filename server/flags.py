"""The flags of `serve`, `run` and `config`, each of which can be given as a variable of the environment too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from runner.attempt import Options
from runner.limits import RunLimits
from runner.places import WAITING_LIMIT
from runner.queue import QUEUE_LIMIT
from runner.task import PROMPT_LIMIT
from server.settings import BODY_LIMIT, FRAME_LIMIT, PREFIX

_Command = TypeVar("_Command", bound=Callable[..., Any])

_DEFAULTS = RunLimits()  # unless it is said otherwise


def option(flag: str, **settings: Any) -> Callable[[_Command], _Command]:
    """An option of a command, which can also be given in the environment: --data as METAGPT_LIVE_DATA."""
    variable = f"{PREFIX}_{flag.removeprefix('--').replace('-', '_').upper()}"
    return click.option(flag, envvar=variable, show_envvar=True, show_default=True, **settings)


def takes(options: tuple[Callable[[Any], Any], ...]) -> Callable[[_Command], _Command]:
    """A command that takes these options, and shows them in this order."""

    def decorate(command: _Command) -> _Command:
        for add in reversed(options):
            command = add(command)
        return command

    return decorate


DATA = option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data"),
    help="Folder for the database and the workspaces.",
)

SHARED = (
    DATA,
    option(
        "--stop-grace",
        type=click.FloatRange(0, 60),
        default=_DEFAULTS.grace,
        help="Seconds that a stopped run has to end by itself before it is killed.",
    ),
    option(
        "--silence-limit",
        type=click.FloatRange(5, 86_400),
        default=_DEFAULTS.silence,
        help="Seconds without a sign of life after which a run's process is killed. MetaGPT blocks it for some.",
    ),
    option(
        "--durability",
        type=click.Choice(["normal", "full"]),
        default="normal",
        help="What an event that was shown survives: the death of the server, or a power failure too.",
    ),
    option(
        "--keep-days",
        type=click.FloatRange(0, min_open=True),
        help="Days after its end that a run's events are kept; for ever if not given.",
    ),
    option(
        "--task-limit",
        type=click.IntRange(1, 10_000_000),
        default=_DEFAULTS.tasks,
        help="Tasks in all; further ones are refused until some are deleted.",
    ),
    option(
        "--event-limit",
        type=click.IntRange(10, 1_000_000_000),
        default=_DEFAULTS.events,
        help="Events of a task; a run that writes more is ended.",
    ),
    option(
        "--event-size-limit",
        type=click.IntRange(16_384, 16_777_216),
        default=_DEFAULTS.event_size,
        help="Bytes of an event; of a larger one the log has an excerpt, and all of it is kept as a file.",
    ),
    option(
        "--workspace-limit",
        type=click.IntRange(1_000_000, 1_000_000_000_000),
        default=_DEFAULTS.workspace,
        help="Bytes that a task's files take on the disk, with all their versions; a run that writes more is ended.",
    ),
    option(
        "--allow-network",
        is_flag=True,
        help="Let the programs that runs start, which a model wrote, use the network, and install packages.",
    ),
    option("--llm-base-url", help="An OpenAI-compatible endpoint, such as http://localhost:11434/v1."),
    option("--llm-model", help="The model's name there; `demo` for the demo model."),
    option(
        "--prices",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A TOML or JSON file with prices of models, beside and above those that MetaGPT knows.",
    ),
    option(
        "--demo-pace",
        type=click.FloatRange(0, 100),
        default=1.0,
        help="How long the demo model takes: 1 for a human reading pace, 0 for no waiting.",
    ),
    option(
        "--log-level",
        type=click.Choice(["info", "warning", "error"]),
        default="warning",
        help="What is logged to standard error: also that attempts begin and end, or only trouble.",
    ),
    option("--log-json", is_flag=True, help="Log each record as a line of JSON, for programs."),
)

_NETWORK = (
    option("--host", default="127.0.0.1", help="Address to listen on."),
    option("--port", type=click.IntRange(0, 65535), default=8000, help="Port to listen on; 0 for any free one."),
    option(
        "--token-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Who may come in, see `metagpt-live token`. Without it the server serves loopback only.",
    ),
    option(
        "--allow-host",
        multiple=True,
        help="A name of this server, as browsers see it; not needed for IP addresses and localhost.",
    ),
    option(
        "--forwarded-allow",
        multiple=True,
        help="The address or network of a proxy before this server, whose X-Forwarded-* headers are believed.",
    ),
    option(
        "--tls-cert",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The certificate and its chain, PEM; serves HTTPS and WSS.",
    ),
    option("--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its private key, PEM."),
)

_LIMITS = (
    option(
        "--body-limit",
        type=click.IntRange(1000, 1_000_000_000),
        default=BODY_LIMIT,
        help="Bytes of a request's body.",
    ),
    option(
        "--frame-limit",
        type=click.IntRange(1000, 100_000_000),
        default=FRAME_LIMIT,
        help="Bytes of a WebSocket client's frame.",
    ),
    option(
        "--prompt-limit", type=click.IntRange(1, PROMPT_LIMIT), default=PROMPT_LIMIT, help="Characters of a prompt."
    ),
    option(
        "--subscription-limit",
        type=click.IntRange(1, 1_000_000),
        default=1000,
        help="Subscriptions of a WebSocket.",
    ),
    option(
        "--connection-limit",
        type=click.IntRange(1, 1_000_000),
        default=1000,
        help="Connections of a client, an IP address, at the same time.",
    ),
    option(
        "--request-rate",
        type=click.FloatRange(0, 1_000_000),
        default=1000,
        help="Requests of a client per second, and frames of a WebSocket; 0 for no limit.",
    ),
    option(
        "--request-timeout",
        type=click.FloatRange(0.1, 3600),
        default=30,
        help="Seconds in which a request must have come as a whole; as many for a TLS handshake.",
    ),
)

SERVE = (
    option(
        "--concurrency",
        type=click.IntRange(1, 1000),
        default=4,
        help="Runs at work at the same time; further ones wait in the queue.",
    ),
    option(
        "--waiting-limit",
        type=click.IntRange(0, 1000),
        default=WAITING_LIMIT,
        help="Runs that may wait for a person's answer without holding one of these places; each takes memory.",
    ),
    option(
        "--queue-limit",
        type=click.IntRange(0, 100_000),
        default=QUEUE_LIMIT,
        help="Tasks that may wait in the queue; further ones are refused.",
    ),
    *_NETWORK,
    *_LIMITS,
)

RUN = (
    option(
        "--review",
        type=click.Choice(Options().team),
        multiple=True,
        help="A role whose work you approve before the team goes on; can be given more than once.",
    ),
)
