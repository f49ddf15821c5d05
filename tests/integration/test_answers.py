"""How an answer's bytes come, whatever was asked."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from server.clients import Clients
from server.intake import intake
from tests.support import DEADLINE
from tests.world import World, running


async def test_a_head_alone(tmp_path: Path) -> None:
    """HEAD is answered by the head that GET has, and the connection goes on."""
    async with running(World(tmp_path)) as world:
        url = f"http://{world.address}/api/tasks/{world.log.task.id}/events?since_event_id=0"
        asked = [await world.http.request(method, url) for method in ("GET", "HEAD", "GET")]
    assert asked[0].content == asked[2].content
    assert asked[1].content == b""
    assert {answer.headers["etag"] for answer in asked} == {asked[0].headers["etag"]}


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"], ids=["unasked", "asked"])
async def test_what_is_said_before_the_body_is_sent(tmp_path: Path, expect: str) -> None:
    """A client that asks whether to go on is told so before it sends its body; another is answered once."""
    body = b'{"input_prompt": "A game"}'
    async with running(World(tmp_path)) as world, asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        head = (
            f"POST /api/tasks HTTP/1.1\r\nHost: {world.address}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n{expect}\r\n"
        )
        writer.write(head.encode())
        if expect:
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.endswith(b"}")


async def test_a_body_that_breaks_before_it_begins() -> None:
    """The head that was sent already reaches the client: an answer that is cut short, not none at all."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        raise OSError("what was to be read is gone")

    protocol = intake(Clients(connections=1, rate=0), timeout=DEADLINE)
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, log_level="critical")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = await reader.read()
            writer.close()
            server.should_exit = True
            await serving
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")
