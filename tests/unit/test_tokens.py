"""The file with the tokens, and the command line for it."""

import json
import re
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from server.token_commands import token_commands
from server.tokens import AccessRole, TokenFile, TokensUnusable, UnknownToken, lifetime_of


def _call(file: Path, *arguments: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(token_commands, [command, "--token-file", str(file), *rest])


def test_what_is_kept(tmp_path: Path) -> None:
    """The file holds hashes and not the tokens, and nobody else may read it."""
    file = tmp_path / "tokens.json"
    presented = [TokenFile(file).create(AccessRole.VIEWER, timedelta(hours=1))[0] for _ in range(3)]
    assert not any(token.split("_", 2)[2] in file.read_text() for token in presented)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = TokenFile(file).read()
    assert [[token.opens_for(other) for other in presented] for token in kept] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]


def test_a_lifetime_is_kept(tmp_path: Path) -> None:
    """A token ends when its lifetime is over, and one without never."""
    file = TokenFile(tmp_path / "tokens.json")
    for lifetime in (timedelta(hours=1), None):
        _, token = file.create(AccessRole.OPERATOR, lifetime)
        hour = timedelta(hours=1)
        assert token.is_valid(token.created_at + hour - timedelta(seconds=1))
        assert token.is_valid(token.created_at + hour) is (lifetime is None)


@pytest.mark.parametrize(
    ("words", "lifetime"),
    [("12h", timedelta(hours=12)), ("90d", timedelta(days=90)), ("2w", timedelta(weeks=2)), ("never", None)],
)
def test_a_lifetime(words: str, lifetime: timedelta | None) -> None:
    """A lifetime is a number of hours, days or weeks, or never."""
    assert lifetime_of(words) == lifetime


@pytest.mark.parametrize("words", ["", "0d", "-1d", "1", "d", "1.5d", "1m", "1d ", "999999d", "tomorrow"])
def test_what_is_no_lifetime(tmp_path: Path, words: str) -> None:
    """Anything else is refused with what is possible, and no token is made."""
    done = _call(tmp_path / "tokens.json", "create", "--role", "viewer", "--expires", words)
    assert done.exit_code == 2
    assert "90d" in done.stderr
    assert not (tmp_path / "tokens.json").exists()


def test_revoking(tmp_path: Path) -> None:
    """A revoked token is forgotten and others stay; one that there is not is told."""
    file = TokenFile(tmp_path / "tokens.json")
    _, first = file.create(AccessRole.VIEWER, None)
    _, second = file.create(AccessRole.VIEWER, None)
    file.revoke(first.id)
    assert file.read() == [second]
    with pytest.raises(UnknownToken):
        file.revoke(first.id)


def test_what_was_left_behind(tmp_path: Path) -> None:
    """What lies where the new file is written, for everybody to write, does not become the file."""
    file, left = tmp_path / "tokens.json", tmp_path / "tokens.json.new"
    left.touch()
    left.chmod(0o666)
    TokenFile(file).create(AccessRole.VIEWER, None)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def _kept(**changed: str) -> bytes:
    token = {"id": "x", "role": "viewer", "sha256": "0" * 64, "created_at": "2026-01-01T00:00:00Z", "expires_at": None}
    return json.dumps([token | changed]).encode()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"{}", b'[{"id": "x"}]', b"\xff"),
        *(_kept(role="admin"), _kept(sha256="\xe4" * 64), _kept(expires_at="2027-01-01T00:00:00")),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    """A file that holds something else is refused by its name, and left as it is."""
    file = tmp_path / "tokens.json"
    file.write_bytes(content)
    with pytest.raises(TokensUnusable, match=re.escape(str(file))):
        TokenFile(file).create(AccessRole.VIEWER, None)
    assert file.read_bytes() == content


def test_the_command_line(tmp_path: Path) -> None:
    """`create` prints the token alone to standard output, `list` shows it without its secret, `revoke` ends it."""
    file = tmp_path / "tokens.json"
    created = _call(file, "create", "--role", "operator")
    token = created.stdout.strip()
    assert re.fullmatch(r"mgl_[0-9a-f]{8}_[\w-]{43}", token)
    token_id = token.split("_")[1]
    listed = _call(file, "list").stdout
    assert token_id in listed and "operator" in listed and token not in listed
    assert _call(file, "revoke", token_id).exit_code == 0
    assert json.loads(file.read_text()) == []
    again = _call(file, "revoke", token_id)
    assert again.exit_code == 1 and token_id in again.stderr


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A file in a folder that does not exist is told in one line."""
    done = _call(tmp_path / "none" / "tokens.json", "create", "--role", "viewer")
    assert done.exit_code == 1
    assert "none/tokens.json" in done.stderr and len(done.stderr.splitlines()) == 1
