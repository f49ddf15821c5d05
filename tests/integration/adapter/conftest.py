import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from runner.forkserver import ForkServer
from tests.attempts import Attempt, spec
from tests.openai_server import OpenAiServer

Start = Callable[..., Awaitable[Attempt]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fork_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ForkServer]:
    async with ForkServer(tmp_path_factory.mktemp("scratch")) as server:
        yield server


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "data" / "workspace"


@pytest_asyncio.fixture(loop_scope="session")
async def start(fork_server: ForkServer, workspace: Path) -> AsyncIterator[Start]:
    """Forks a child for an attempt in `workspace`; takes the arguments of `tests.attempts.spec`."""
    attempts: list[Attempt] = []

    async def start(*args: object, **kwargs: object) -> Attempt:
        attempt = Attempt(await fork_server.fork(spec(workspace, *args, **kwargs)))  # type: ignore[arg-type]
        attempts.append(attempt)
        return attempt

    yield start
    for attempt in attempts:
        attempt.child.signal(signal.SIGKILL)
        await attempt.close()


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    with OpenAiServer() as server:
        yield server
