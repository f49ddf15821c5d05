"""The command line: what it says, and with what code it ends."""

import os
import re
import socket
import sqlite3
from pathlib import Path

import pytest

from tests.support import Server, command


def _one_line(stderr: str) -> str:
    """The only line of a message."""
    (line,) = stderr.splitlines()
    return line


def test_a_run_in_the_terminal(tmp_path: Path) -> None:
    """`run` shows the model, the events with their roles and progress, and where the code is; it ends with 0."""
    done = command("run", "hangman", "--data", tmp_path / "data", home=tmp_path, DEMO_PACE=0)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Model: the demo model")
    assert re.search(r"^\[\S+\] \d\d:\d\d:\d\d ProductManager ", done.stdout, re.MULTILINE)
    found = re.search(r"The code is in (\S+)", done.stdout)
    assert found and list(Path(found[1]).rglob("main.py"))


def test_a_run_that_fails(tmp_path: Path) -> None:
    """`run` against an endpoint that is not there ends with 1, and says why."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    done = command("run", "hangman", "--data", tmp_path / "data", home=tmp_path, LLM_BASE_URL=nobody, LLM_MODEL="m")
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAILED" in done.stdout


@pytest.mark.parametrize("idea", ["", "  "])
def test_a_run_of_nothing(tmp_path: Path, idea: str) -> None:
    """An empty idea is refused, and no data folder is made."""
    done = command("run", idea, "--data", tmp_path / "data", home=tmp_path)
    assert done.returncode == 2
    assert "IDEA" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_review_by_nobody(tmp_path: Path) -> None:
    """A role to be reviewed that is not in the team is refused, with the names of those who are."""
    for role in ("Nobody", "QaEngineer"):
        done = command("run", "hangman", "--review", role, "--data", tmp_path / "data", home=tmp_path)
        assert done.returncode == 2
        assert "--review" in done.stderr and "'ProjectManager', 'Engineer'" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("flag", "value", "allowed"),
    [
        ("--port", "70000", "0<=x<=65535"),
        ("--port", "http", "not a valid integer"),
        ("--concurrency", "0", "1<=x<=1000"),
        ("--queue-limit", "-1", "0<=x<=100000"),
        ("--stop-grace", "-1", "0<=x<=60"),
        ("--silence-limit", "1", "5<=x<=86400"),
        ("--prices", "no-such-file.toml", "does not exist"),
        ("--demo-pace", "fast", "not a valid float"),
        ("--data", __file__, "is a file"),
        ("--colour", "red", "No such option"),
    ],
)
def test_a_bad_flag(tmp_path: Path, flag: str, value: str, allowed: str) -> None:
    """A flag's bad value ends with 2 and a message that names the flag and what is allowed."""
    done = command("serve", flag, value, home=tmp_path)
    assert done.returncode == 2
    assert flag in done.stderr and allowed in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_variable(tmp_path: Path) -> None:
    """A bad value in the environment is told like that of a flag."""
    done = command("serve", home=tmp_path, PORT="http")
    assert done.returncode == 2
    assert "--port" in done.stderr or "METAGPT_LIVE_PORT" in done.stderr


def test_a_taken_port(tmp_path: Path) -> None:
    """A port that something else uses: one line that says so and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("serve", "--port", port, "--data", tmp_path / "data", home=tmp_path)
    assert done.returncode == 1
    assert str(port) in _one_line(done.stderr) and "--port" in done.stderr


def test_a_host_that_is_not_ours(tmp_path: Path) -> None:
    """An address that this machine does not have: one line."""
    done = command("serve", "--host", "192.0.2.1", "--port", 0, "--data", tmp_path / "data", home=tmp_path)
    assert done.returncode == 1
    assert "192.0.2.1" in _one_line(done.stderr)


@pytest.mark.parametrize("arguments", [("serve", "--port", "0"), ("run", "hangman")])
def test_two_servers_on_one_data_folder(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A data folder that is in use: one line that names it and what to do; the first server is not disturbed."""
    with Server(tmp_path / "data") as server:
        done = command(*arguments, "--data", server.data, home=tmp_path)
        assert done.returncode == 1
        assert str(server.data) in _one_line(done.stderr) and "--data" in done.stderr
        assert server.process.poll() is None


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.executescript("PRAGMA application_id = 0x6D67706C; PRAGMA user_version = 9; CREATE TABLE x (y);")
    database.close()


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.executescript("CREATE TABLE x (y);")
    database.close()


def _damaged(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


@pytest.mark.parametrize("make", [_newer, _foreign, _damaged])
def test_a_database_that_cannot_be_used(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    """A database of a newer version, of another program or of none: one line, and the file is left as it was."""
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "metagpt-live.db"
    make(file)
    before = file.read_bytes()
    done = command("serve", "--port", 0, "--data", tmp_path / "data", home=tmp_path)
    assert done.returncode == 1
    assert str(file) in _one_line(done.stderr)
    assert file.read_bytes() == before


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A data folder below a file: one line."""
    (tmp_path / "file").touch()
    done = command("serve", "--port", 0, "--data", tmp_path / "file" / "data", home=tmp_path)
    assert done.returncode == 1
    assert str(tmp_path / "file") in _one_line(done.stderr)


KEY = "sk-0123456789abcdefSECRET"


def test_config_masks_the_key(tmp_path: Path) -> None:
    """`config` shows every setting and where it is from, and of the key not enough to use it."""
    done = command("config", "--port", 0, home=tmp_path, LLM_API_KEY=KEY, LLM_MODEL="gpt-4o", DATA=tmp_path / "d")
    assert done.returncode == 0
    assert "port = 0  (flag)" in done.stdout
    assert f"data = {tmp_path / 'd'}  (environment)" in done.stdout
    assert "concurrency = 4  (default)" in done.stdout
    assert "llm_api_key = sk-…ET  (environment)" in done.stdout
    assert KEY not in done.stdout + done.stderr and "SECRET" not in done.stdout


def test_config_masks_a_key_in_a_url(tmp_path: Path) -> None:
    """Credentials in the endpoint's address are not shown either."""
    done = command("config", home=tmp_path, LLM_BASE_URL=f"https://me:{KEY}@localhost/v1", LLM_MODEL="gpt-4o")
    assert done.returncode == 0
    assert KEY not in done.stdout


@pytest.mark.parametrize("arguments", [("serve", "--port", "0"), ("run", "hangman"), ("config",)])
@pytest.mark.parametrize(
    ("settings", "missing"),
    [({"LLM_API_KEY": KEY}, "METAGPT_LIVE_LLM_MODEL"), ({"LLM_MODEL": "gpt-4o"}, "METAGPT_LIVE_LLM_API_KEY")],
)
def test_half_of_an_llm(tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], missing: str) -> None:
    """An LLM that is configured in part: one line that names what is missing."""
    done = command(*arguments, home=tmp_path, DATA=tmp_path / "data", **settings)
    assert done.returncode == 1
    assert missing in _one_line(done.stderr)
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [("serve", "--port", "0"), ("run", "hangman"), ("config",)])
def test_prices_that_are_none(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A file with a price that is none: one line that names the file, the model and what is wrong."""
    file = tmp_path / "prices.toml"
    file.write_text("[home-made]\ninput = 3\n")
    done = command(*arguments, "--prices", file, "--data", tmp_path / "data", home=tmp_path)
    assert done.returncode == 1
    line = _one_line(done.stderr)
    assert str(file) in line and "home-made" in line and "`output`" in line


def test_a_flag_wins_over_the_environment(tmp_path: Path) -> None:
    """What is given as a flag counts, whatever the environment says."""
    done = command("config", "--concurrency", 7, home=tmp_path, CONCURRENCY=3)
    assert "concurrency = 7  (flag)" in done.stdout


def test_help(tmp_path: Path) -> None:
    """Every command explains itself and its options."""
    for arguments in ((), ("serve",), ("run",), ("config",)):
        done = command(*arguments, "--help", home=tmp_path)
        assert done.returncode == 0
        assert "Usage: " in done.stdout
    assert "METAGPT_LIVE_LLM_API_KEY" in command("--help", home=tmp_path).stdout
