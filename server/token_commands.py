"""The command line for tokens: `metagpt-live token create`, `list` and `revoke`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from server.settings import PREFIX
from server.tokens import AccessRole, TokenFile, TokensUnusable, UnknownToken, lifetime_of

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Lifetime(click.ParamType[timedelta | None]):
    name = "lifetime"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta | None:
        try:
            return lifetime_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _file_option(command: _Command) -> _Command:
    return click.option(
        "--token-file",
        "path",
        required=True,
        type=click.Path(dir_okay=False, path_type=Path),
        envvar=f"{PREFIX}_TOKEN_FILE",
        show_envvar=True,
        help="The file that holds the tokens, hashed; the one that `serve` is given.",
    )(command)


@click.group("token")
def token_commands() -> None:
    """Make, list and revoke the tokens that let people and programs in."""


@token_commands.command("create")
@_file_option
@click.option(
    "--role",
    type=click.Choice([role.value for role in AccessRole]),
    required=True,
    help="A viewer reads, an operator acts too.",
)
@click.option(
    "--expires",
    "lifetime",
    type=_Lifetime(),
    default="90d",
    show_default=True,
    help="How long it holds: 12h, 90d, 52w, or never.",
)
def create_command(path: Path, role: str, lifetime: timedelta | None) -> None:
    """Make a token and print it: this once, since only its hash is kept."""
    with _told():
        presented, token = TokenFile(path).create(AccessRole(role), lifetime)
    until = "for ever" if token.expires_at is None else f"until {_shown(token.expires_at)}"
    click.echo(f"Token {token.id}, {token.role}, {until}. It is shown only now; keep it like a password:", err=True)
    click.echo(presented)


@token_commands.command("list")
@_file_option
def list_command(path: Path) -> None:
    """List the tokens, without what would let anybody in."""
    now = datetime.now(UTC)
    with _told():
        tokens = TokenFile(path).read()
    click.echo(f"{'ID':<10}{'ROLE':<10}{'CREATED':<22}EXPIRES")
    for token in tokens:
        expires = "never" if token.expires_at is None else _shown(token.expires_at)
        expired = "" if token.is_valid(now) else " (expired)"
        click.echo(f"{token.id:<10}{token.role:<10}{_shown(token.created_at):<22}{expires}{expired}")


@token_commands.command("revoke")
@_file_option
@click.argument("token_id", metavar="ID")
def revoke_command(path: Path, token_id: str) -> None:
    """Revoke a token by its ID: a running server lets nobody in with it any more, and closes their connections."""
    with _told():
        TokenFile(path).revoke(token_id)
    click.echo(f"Token {token_id} is revoked.")


@contextmanager
def _told() -> Iterator[None]:
    """What a person can mend is told in one line."""
    try:
        yield
    except TokensUnusable as error:
        raise click.ClickException(str(error)) from error
    except UnknownToken as error:
        raise click.ClickException(f"There is no token {error}; `metagpt-live token list` shows them.") from error


def _shown(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
