"""The ways in which a server, or a part of it, is killed."""

import random
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import psutil

from tests.support import Server


class Kill(NamedTuple):
    """weight: how often, among the others. code: that the server ends with; None if it lives on."""

    weight: int
    victims: Callable[[psutil.Process], list[psutil.Process]]
    number: signal.Signals
    code: int | None

    def strike(self, server: Server, chance: random.Random) -> None:
        """Signal the victims, one right after the other."""
        victims = self.victims(psutil.Process(server.process.pid))
        if self.code is None:
            victims = victims and [chance.choice(victims)]
        chance.shuffle(victims)
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.send_signal(self.number)


def _server(server: psutil.Process) -> list[psutil.Process]:
    return [server]


def _fork_server(server: psutil.Process) -> list[psutil.Process]:
    return server.children()


def _server_and_fork_server(server: psutil.Process) -> list[psutil.Process]:
    return [server, *server.children()]


def _runs(server: psutil.Process) -> list[psutil.Process]:
    forks = {fork.pid for fork in server.children()}
    others = (process for process in server.children(recursive=True) if process.pid not in forks)
    return [process for process in others if not _imports(process, forks)]


def _imports(process: psutil.Process, forks: set[int]) -> bool:
    """Whether it is the git that MetaGPT asks for its version when it is imported: no part of any run."""
    try:
        return process.ppid() in forks and process.name() == "git"
    except psutil.NoSuchProcess:
        return True


def _everything(server: psutil.Process) -> list[psutil.Process]:
    return [server, *server.children(recursive=True)]


KILLS = {
    "a run's process": Kill(6, _runs, signal.SIGKILL, None),
    "fork server": Kill(2, _fork_server, signal.SIGKILL, None),
    "server": Kill(3, _server, signal.SIGKILL, -signal.SIGKILL),
    "server and fork server": Kill(2, _server_and_fork_server, signal.SIGKILL, -signal.SIGKILL),
    "everything": Kill(2, _everything, signal.SIGKILL, -signal.SIGKILL),
    "SIGTERM": Kill(2, _server, signal.SIGTERM, 0),
}
