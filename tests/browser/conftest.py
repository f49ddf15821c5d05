import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser.pages import Errors
from tests.support import DEADLINE, Server, new_token

ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# A run of the demo model takes about two seconds so: slow enough to see it stream, or to cut in.
PACE = 0.04

NewPage = Callable[..., Awaitable[Page]]


class Guarded(NamedTuple):
    """A server that lets in who has a token, and one for it."""

    server: Server
    file: Path
    operator: str


expect.set_options(timeout=DEADLINE * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser lives in one loop, and so do the tests that drive it."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("browser") / "data", DEMO_PACE=PACE) as server:
        yield server


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    file = folder / "tokens.json"
    operator = new_token(file)
    with Server(folder / "data", TOKEN_FILE=file, DEMO_PACE=PACE) as server:
        yield Guarded(server, file, operator)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=ARGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(browser: Browser) -> AsyncIterator[NewPage]:
    """Makes pages, each in a context of its own; a test fails if one of them had an error.

    cuts: the test cuts connections, so Chromium's complaints about the network are expected.
    """
    contexts = []
    strict: list[tuple[Errors, bool]] = []

    async def new(*, cuts: bool = False, **options: object) -> Page:
        context = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(DEADLINE * 1000)
        strict.append((Errors(page), cuts))
        return page

    yield new
    for context in contexts:
        await context.close()
    for errors, cuts in strict:
        assert (errors.beside_network if cuts else errors.seen) == []
