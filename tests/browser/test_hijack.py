"""A page of another origin, in a browser that can reach the server: it can neither act, nor read, nor listen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.conftest import Guarded
from tests.support import Server, client

# What a page can try from afar. Each answers with what it has got.
LISTEN = """(url) => new Promise((resolve) => {
  const socket = new WebSocket(url), seen = [];
  socket.onmessage = ({ data }) => {
    seen.push(JSON.parse(data).op);
    if (seen[0] === "hello") resolve({ code: null, seen });
  };
  socket.onopen = () => socket.send('{"op":"subscribe_tasks"}');
  socket.onclose = ({ code }) => resolve({ code, seen });
})"""
READ = '(url) => fetch(url, { credentials: "include" }).then((answer) => answer.text(), (error) => error.name)'
ACT = """async (url) => {
  for (const mode of ["cors", "no-cors"])
    await fetch(url, { method: "POST", mode, credentials: "include" }).catch(() => {});
  document.body.innerHTML = `<iframe name="frame"></iframe><form method="post" target="frame" action="${url}"></form>`;
  const answered = new Promise((resolve) => (document.querySelector("iframe").onload = resolve));
  document.querySelector("form").submit();
  await answered;
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def logged_in(guarded: Guarded, browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser that holds the cookie of an operator."""
    async with await browser.new_context() as context:
        answer = await context.request.post(f"{guarded.server.url}/api/login", data={"token": guarded.operator})
        assert answer.status == 200
        yield context


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere() -> AsyncIterator[str]:
    """Another site: an empty page at a port of its own."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<body>"
        )
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@asynccontextmanager
async def _page(browser: Browser, url: str) -> AsyncIterator[Page]:
    """A page on another site, which may complain as it likes."""
    page = await browser.new_page()
    await page.goto(url)
    yield page
    await page.close()


async def test_another_page_does_not_listen(demo_server: Server, browser: Browser, elsewhere: str) -> None:
    """A WebSocket that another page opens is closed with 4403, and has been told nothing."""
    async with client(demo_server) as api:
        task_id = await api.create("secret plans")
    async with _page(browser, elsewhere) as page:
        for path in ("/ws", f"/api/tasks/{task_id}/events"):
            url = demo_server.url.replace("http", "ws") + path
            assert await page.evaluate(LISTEN, url) == {"code": 4403, "seen": ["error"]}


async def test_another_page_does_not_act(demo_server: Server, browser: Browser, elsewhere: str) -> None:
    """Nothing that another page can send starts a task, and it reads nothing."""
    async with client(demo_server) as api, _page(browser, elsewhere) as page:
        task_id = await api.create("secret plans")
        url = f"{demo_server.url}/api/tasks"
        assert await page.evaluate(READ, url) == "TypeError"
        await page.evaluate(ACT, f"{url}/{task_id}/run")
        assert (await api.state(task_id))["status"] == "PENDING"


async def test_a_name_that_points_here(demo_server: Server, browser: Browser) -> None:
    """A page whose own name leads to the server, which the browser then counts as the same origin, gets nothing."""
    rebound = demo_server.url.replace("127.0.0.1", "evil.localhost")
    async with _page(browser, f"{rebound}/tasks/x") as page:
        assert "host_refused" in await page.content()
        assert "host_refused" in await page.evaluate(READ, f"{rebound}/api/tasks")
        listened = await page.evaluate(LISTEN, f"{rebound.replace('http', 'ws')}/ws")
        assert listened == {"code": 4403, "seen": ["error"]}


# By the name of the server itself the other page is of the same site, and the browser sends the cookie along.
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_another_page_has_no_use_of_a_login(
    guarded: Guarded, logged_in: BrowserContext, elsewhere: str, name: str
) -> None:
    """Where somebody is logged in, another page of their browser neither listens, nor reads, nor acts."""
    async with client(guarded.server, token=guarded.operator) as api:
        task_id = await api.create("secret plans")
        page = await logged_in.new_page()
        await page.goto(elsewhere.replace("127.0.0.1", name))
        for path in ("/ws", f"/api/tasks/{task_id}/events"):
            url = guarded.server.url.replace("http", "ws") + path
            assert await page.evaluate(LISTEN, url) == {"code": 4403, "seen": ["error"]}
        url = f"{guarded.server.url}/api/tasks"
        assert await page.evaluate(READ, url) == "TypeError"
        await page.evaluate(ACT, f"{url}/{task_id}/run")
        assert (await api.state(task_id))["status"] == "PENDING"


async def test_a_link_from_another_site(guarded: Guarded, logged_in: BrowserContext, elsewhere: str) -> None:
    """The cookie of a login is not sent with what another site opens, and is with what its owner does."""
    url, page = f"{guarded.server.url}/api/tasks", await logged_in.new_page()
    await page.goto(elsewhere.replace("127.0.0.1", "localhost"))
    async with page.expect_navigation() as navigation:
        await page.evaluate("(url) => void (location.href = url)", url)
    refused = await navigation.value
    assert refused is not None and refused.status == 401
    await page.goto("about:blank")
    opened = await page.goto(url)
    assert opened is not None and opened.status == 200
