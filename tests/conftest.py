from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support import Api, Server, client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server whose demo model does not wait, shared by the tests of a module."""
    with Server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server whose demo model is so slow that no run ends by itself."""
    with Server(tmp_path_factory.mktemp("slow") / "data", DEMO_PACE=100) as server:
        yield server


@pytest_asyncio.fixture
async def api(server: Server) -> AsyncIterator[Api]:
    async with client(server) as api:
        yield api


@pytest_asyncio.fixture
async def slow_api(slow_server: Server) -> AsyncIterator[Api]:
    async with client(slow_server) as api:
        yield api
