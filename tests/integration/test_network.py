"""The server as it is reached: over TLS, behind a proxy, by whatever name and from whatever page."""

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from runner.folder import DATABASE
from runner.states import Status
from runner.store import SqliteStore
from server.bounds import TLS_FRAME_BYTES
from tests.logs import make_commit, make_task
from tests.support import Api, Server, bearer, command, new_token, watch

TLS = Path(__file__).parents[1] / "tls"  # a certificate of nobody's for localhost, and keys
RARE = 0.001  # requests a second
EVIL = "http://evil.example"
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
# What a page may do; what it may load beside its scripts is for the browser tests to see.
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
}
LONG = make_task("00000000000010a9")


async def fill(data: Path) -> None:
    """Make a long log of a run that has ended."""
    data.mkdir()  # noqa: ASYNC240, nothing else is going on
    async with aclosing(await SqliteStore.open(data / DATABASE)) as store:
        await store.create_task(LONG, key=None, fingerprint="")
        texts = ["x" * 2000] * 1000
        await store.append([make_commit(LONG, texts, status=Status.SUCCEEDED, completed_at=LONG.created_at)])


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server that speaks TLS and believes a proxy on this machine, and a token."""
    folder = tmp_path_factory.mktemp("proxied")
    token = new_token(folder / "tokens.json")
    settings = {"TOKEN_FILE": folder / "tokens.json", "FORWARDED_ALLOW": "127.0.0.1", "CONNECTION_LIMIT": 2}
    tls = {"TLS_CERT": TLS / "cert.pem", "TLS_KEY": TLS / "key.pem"}
    asyncio.run(fill(folder / "data"))
    with Server(folder / "data", ALLOW_HOST="runs.example.org", **settings, **tls) as server:
        yield server, token


async def test_tls(proxied: tuple[Server, str]) -> None:
    """With a certificate the server speaks HTTPS and WSS, and its cookie goes over nothing else."""
    server, token = proxied
    assert server.url.startswith("https://")
    trust = ssl.create_default_context(cafile=TLS / "cert.pem")
    forwarded = {"X-Forwarded-For": "192.0.2.1"}
    async with httpx.AsyncClient(base_url=server.url, verify=trust, headers=forwarded) as http:
        response = await http.post("/api/login", json={"token": token})
        assert response.status_code == 200
        assert "; Secure" in response.headers["set-cookie"]
    url = f"{server.url.replace('http', 'ws', 1)}/ws"
    async with connect(url, ssl=trust, additional_headers=bearer(token) | forwarded) as connection:
        assert json.loads(await connection.recv())["op"] == "hello"


async def test_frames_over_tls(proxied: tuple[Server, str]) -> None:
    """Where it is encrypted for each reader, a long log comes in smaller frames: a stalled reader has two of them."""
    server, token = proxied
    trust = ssl.create_default_context(cafile=TLS / "cert.pem")
    url = f"{server.url.replace('http', 'ws', 1)}/api/tasks/{LONG.id}/events"
    headers = bearer(token) | {"X-Forwarded-For": "192.0.2.1"}
    events, sizes = 0, []
    async with connect(url, ssl=trust, additional_headers=headers, max_size=None) as connection:
        async for frame in connection:
            if (decoded := json.loads(frame))["op"] == "events":
                events += len(decoded["events"])
                sizes.append(len(frame))
    assert events == 1000
    assert max(sizes) <= TLS_FRAME_BYTES + 1000


@pytest.mark.parametrize("key", ["other.pem", "cert.pem"])
def test_tls_that_does_not_fit(tmp_path: Path, key: str) -> None:
    """A key that is another one's, or none: one line that names the files."""
    arguments = ("--tls-cert", TLS / "cert.pem", "--tls-key", TLS / key)
    done = command("serve", "--port", 0, "--data", tmp_path / "data", *arguments, home=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert str(TLS / key) in line


async def test_the_word_of_a_proxy(tmp_path: Path) -> None:
    """A client is who the last proxy that is trusted says; what stands before that is the client's own word."""
    token = new_token(tmp_path / "tokens.json")
    settings = {"TOKEN_FILE": tmp_path / "tokens.json", "FORWARDED_ALLOW": "127.0.0.1", "REQUEST_RATE": RARE}
    with Server(tmp_path / "data", **settings) as server:
        async with httpx.AsyncClient(base_url=server.url, headers=bearer(token)) as http:
            for forwarded, status in [("A", 200), ("A", 429), ("B, A", 429), ("B", 200)]:
                response = await http.get("/api/tasks", headers={"X-Forwarded-For": forwarded})
                assert response.status_code == status, forwarded


async def test_websockets_behind_a_proxy(proxied: tuple[Server, str]) -> None:
    """The connections that a proxy makes are counted as those of its clients: one too many is closed with 1013."""
    server, token = proxied
    headers = bearer(token) | {"X-Forwarded-For": "192.0.2.20"}
    async with watch(server, "/ws", headers) as first, watch(server, "/ws", headers):
        await first.until("hello")
        async with watch(server, "/ws", headers) as third:
            assert await third.to_close() == 1013
        assert third.frames[0]["code"] == "too_many_connections"
        async with watch(server, "/ws", bearer(token) | {"X-Forwarded-For": "192.0.2.21"}) as other:
            await other.until("hello")


async def test_nobody_is_a_proxy_by_default(tmp_path: Path) -> None:
    """Without a proxy that is trusted nobody's word is taken, also not that of this machine."""
    with Server(tmp_path / "data", REQUEST_RATE=RARE) as server:
        async with httpx.AsyncClient(base_url=server.url) as http:
            for forwarded, status in [("A", 200), ("B", 429)]:
                response = await http.get("/api/tasks", headers={"X-Forwarded-For": forwarded})
                assert response.status_code == status, forwarded


@pytest.mark.parametrize("path", ["/", "/api/tasks", "/static/app.js", "/openapi.json", "/nothing"])
async def test_a_host_that_is_not_ours(server: Server, path: str) -> None:
    """A name that was made to point here (DNS rebinding) reads nothing."""
    async with httpx.AsyncClient(base_url=server.url) as http:
        response = await http.get(path, headers={"Host": "evil.example:8000"})
    assert (response.status_code, response.json()["code"]) == (403, "host_refused")
    assert "--allow-host" in response.json()["detail"]


async def test_a_page_that_is_not_ours(server: Server, api: Api) -> None:
    """A page of another origin changes nothing, with whatever kind of request."""
    task_id = await api.create()
    for method, path in (
        ("POST", f"/api/tasks/{task_id}/run"),
        ("POST", "/api/tasks"),
        ("DELETE", f"/api/tasks/{task_id}"),
    ):
        response = await api.http.request(method, path, headers={"Origin": EVIL})
        assert (response.status_code, response.json()["code"]) == (403, "origin_refused")
    assert (await api.state(task_id))["status"] == "PENDING"


@pytest.mark.parametrize("headers", [{"Origin": EVIL}, {"Origin": "null"}, {"Host": "evil.example"}], ids=str)
@pytest.mark.parametrize("path", ["/ws", "/api/tasks/x/events"])
async def test_a_websocket_of_a_page_that_is_not_ours(server: Server, headers: dict[str, str], path: str) -> None:
    """A WebSocket of another page is closed with 4403 before anything is told, whether there is such a task or not."""
    async with watch(server, path, headers) as watcher:
        assert await watcher.to_close() == 4403
    assert [frame["op"] for frame in watcher.frames] == ["error"]


async def test_our_own_page(server: Server, api: Api) -> None:
    """The page that the server has served acts, and opens WebSockets."""
    headers = {"Origin": server.url}
    assert (await api.http.post("/api/tasks", json={"input_prompt": "x"}, headers=headers)).status_code == 201
    async with watch(server, "/ws", headers) as watcher:
        await watcher.until("hello")


def _ask(server: Server, request: bytes) -> list[str]:
    """The lines of an answer's head, in lower case."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65536).partition(b"\r\n\r\n")[0].decode().lower().split("\r\n")


def _values(head: list[str], name: str) -> list[str]:
    return [line.partition(": ")[2] for line in head if line.startswith(f"{name}:")]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200),
        (b"GET /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200),
        (b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (b"PUT /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (b"POST /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\n{", 415),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"this is no HTTP\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000, 431),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_security_headers(server: Server, request_: bytes, status: int) -> None:
    """Every answer has them, once, also one to what is no HTTP; what may be a page has its policy, too."""
    head = await asyncio.to_thread(_ask, server, request_)
    assert head[0].split()[1] == str(status)
    for name, value in HEADERS.items():
        assert _values(head, name) == [value]
    if status not in (400, 431):
        assert _values(head, "cross-origin-resource-policy") == ["same-origin"]
        (policy,) = _values(head, "content-security-policy")
        assert set(policy.split("; ")) >= POLICY


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [("/ws", "AAAAAAAAAAAAAAAAAAAAAA==", 101), ("/ws", "no key", 400), ("/nothing", "AAAAAAAAAAAAAAAAAAAAAA==", 403)],
)
async def test_security_headers_of_a_handshake(server: Server, path: str, key: str, status: int) -> None:
    """What opens a WebSocket, and what refuses to, has the headers of every answer, once."""
    lines = ("Host: 127.0.0.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    request = "\r\n".join((f"GET {path} HTTP/1.1", *lines, f"Sec-WebSocket-Key: {key}", "", ""))
    head = await asyncio.to_thread(_ask, server, request.encode())
    assert head[0].split()[1] == str(status)
    for name, value in HEADERS.items():
        assert _values(head, name) == [value]
