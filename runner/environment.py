"""Which environment variables are handed on: to the processes of runs, and by those to the programs that they start.

Everything else stays with the server. Keys are often kept in variables, and what a program has in its environment is
what a model's code can read, print, and send away.
"""

import os
import re
from pathlib import Path

from runner.leftovers import MARK

# What any program may know.
_PROGRAMS = re.compile(rf"(PATH|LD_LIBRARY_PATH|LANG|LC_\w+|TZ|{MARK})$")
# What leads out of here: proxies may hold a password. PIP_CONFIG_FILE and the like may, too.
_NETWORK = re.compile(r"(PIP_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|(https?|all|no)_proxy)$", re.IGNORECASE)
_RUNS = re.compile(r"(USER|LOGNAME|PYTHON\w*)$")

_PIP_FILES = (".config/pip/pip.conf", ".pip/pip.conf")  # below the home, where it was lately and long ago


def for_runs() -> dict[str, str]:
    """Of this process's variables, those of the processes that run teams."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if any(pattern.match(name) for pattern in (_PROGRAMS, _NETWORK, _RUNS))
    }
    found = [str(file) for name in _PIP_FILES if (file := Path.home() / name).is_file()]
    return {"PIP_CONFIG_FILE": found[0]} | kept if found else kept


def for_programs(scratch: Path) -> dict[str, str]:
    """Those of a program that a run starts. scratch: a folder for its home and its temporary files."""
    return _of(_PROGRAMS) | _folders(scratch)


def for_pip(scratch: Path) -> dict[str, str]:
    """Those of pip: also how to reach the network."""
    return for_programs(scratch) | _of(_NETWORK) | {"PIP_CACHE_DIR": str(_made(scratch / "cache"))}


def settle(scratch: Path) -> None:
    """Have this process, and git, find its home and its temporary files in a folder of its own."""
    os.environ.update(_folders(scratch))


def _of(pattern: re.Pattern[str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if pattern.match(name)}


def _folders(scratch: Path) -> dict[str, str]:
    home = str(_made(scratch / "home"))
    return {"HOME": home, "XDG_CONFIG_HOME": f"{home}/.config", "TMPDIR": str(_made(scratch / "tmp"))}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
