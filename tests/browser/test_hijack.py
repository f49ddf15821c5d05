"""A page of another origin, in a browser that can reach the server: it can neither act, nor read, nor listen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest_asyncio
from playwright.async_api import Browser, Page

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
READ = "(url) => fetch(url).then((answer) => answer.text(), (error) => error.name)"
ACT = """async (url) => {
  for (const mode of ["cors", "no-cors"])
    await fetch(url, { method: "POST", mode, credentials: "include" }).catch(() => {});
  document.body.innerHTML = `<iframe name="frame"></iframe><form method="post" target="frame" action="${url}"></form>`;
  const answered = new Promise((resolve) => (document.querySelector("iframe").onload = resolve));
  document.querySelector("form").submit();
  await answered;
}"""


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
