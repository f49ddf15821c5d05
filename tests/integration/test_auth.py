"""Who may come in where tokens are needed, and what they may do there."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect

from server.tokens import Token, TokenFile, id_of
from server.upload import UploadFailed, upload
from tests.support import Server, bearer, client, command, new_token, until, watch

LOCKED = "Bearer mgl_00000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class Guarded(NamedTuple):
    """A server on all addresses, and tokens for it."""

    server: Server
    file: Path
    operator: str
    viewer: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    file = folder / "tokens.json"
    operator, viewer = new_token(file), new_token(file, role="viewer")
    with Server(folder / "data", HOST="0.0.0.0", TOKEN_FILE=file) as server:
        yield Guarded(server, file, operator, viewer)


def _expire(file: Path, token: str) -> None:
    """Have a token expire, as if its time were over."""
    tokens = msgspec.json.decode(file.read_bytes(), type=list[Token])
    changed = [
        msgspec.structs.replace(known, expires_at=known.created_at) if known.id == id_of(token) else known
        for known in tokens
    ]
    new = file.with_suffix(".other")
    new.write_bytes(msgspec.json.encode(changed))
    new.replace(file)


def test_no_server_without_tokens(tmp_path: Path) -> None:
    """Where others than this machine could come in, a server without tokens does not start, and says what to do."""
    done = command("serve", "--host", "0.0.0.0", "--port", 0, "--data", tmp_path / "data", home=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "0.0.0.0" in line and "metagpt-live token create" in line
    assert not (tmp_path / "data").exists()


async def test_everything_needs_a_token(guarded: Guarded) -> None:
    """Without one every operation but the health checks and the login is refused, also what does not exist."""
    async with client(guarded.server) as api:
        for path, operations in api.description.document["paths"].items():
            for method in operations:
                if path in ("/healthz", "/readyz", "/api/login"):
                    continue
                response = await api.http.request(method, path.replace("{path}", "x").replace("{task_id}", "x"))
                assert (response.status_code, response.json()["code"]) == (401, "not_authenticated"), path
                assert response.headers["www-authenticate"] == "Bearer"
    async with httpx.AsyncClient(base_url=guarded.server.url) as http:
        for path in ("/api/nothing", "/nothing", "/static", "/healthz/"):
            assert (await http.get(path)).status_code == 401, path
        for path in ("/healthz", "/readyz", "/openapi.json", "/", "/tasks/x", "/static/app.js"):
            assert (await http.get(path)).status_code != 401, path


@pytest.mark.parametrize(
    "authorization",
    [LOCKED, "Bearer", "Bearer x", "Bearer mgl_", "Bearer \xff", "Bearer " + "x" * 10_000],
    ids=lambda value: value[:12],
)
async def test_a_wrong_token(guarded: Guarded, authorization: str) -> None:
    """A token that is none lets nobody in."""
    async with client(guarded.server) as api:
        response = await api.http.get("/api/tasks", headers={b"Authorization": authorization.encode("latin-1")})
        assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


async def test_half_of_a_token(guarded: Guarded) -> None:
    """Who knows a token's id, or all but its last character, does not come in."""
    async with client(guarded.server) as api:
        for token in (
            id_of(guarded.viewer),
            f"mgl_{id_of(guarded.viewer)}_",
            guarded.viewer[:-1],
            guarded.viewer + "x",
        ):
            assert (await api.http.get("/api/tasks", headers=bearer(token))).status_code == 401


async def test_a_token_in_a_url(guarded: Guarded) -> None:
    """A token in the address is not looked at."""
    async with client(guarded.server) as api:
        assert (await api.http.get(f"/api/tasks?token={guarded.viewer}")).status_code == 401
    async with watch(guarded.server, token=guarded.viewer) as watcher:
        await watcher.send("ping")
        assert await watcher.to_close() == 4401
    assert watcher.frames == []


async def test_a_viewer_only_reads(guarded: Guarded) -> None:
    """A viewer reads whatever there is, and all that is not reading is refused, whatever it is about."""
    async with client(guarded.server, token=guarded.operator) as api:
        task_id = await api.create()
    async with client(guarded.server, token=guarded.viewer) as api:
        for path in ("/metrics", "/api/tasks", f"/api/tasks/{task_id}/events", "/api/admin/drain"):
            assert (await api.http.get(path)).status_code == 200
        for path, operations in api.description.document["paths"].items():
            for method in operations.keys() - {"get"}:
                if path != "/api/login":
                    response = await api.http.request(method, path.replace("{task_id}", task_id))
                    assert (response.status_code, response.json()["code"]) == (403, "operator_needed"), path
        assert (await api.state(task_id))["status"] == "PENDING"


def test_an_upload_from_the_command_line(guarded: Guarded) -> None:
    """A log is taken in from who may act; others are told what they need."""
    for token, said in [(guarded.operator, "^Line 1: "), (guarded.viewer, "operator"), (None, "token is needed")]:
        with pytest.raises(UploadFailed, match=said):
            upload(guarded.server.url, io.BytesIO(b"no log"), token=token)


async def test_a_viewer_on_a_websocket(guarded: Guarded) -> None:
    """A viewer follows tasks over a WebSocket; answers and messages are refused, and the connection lives on."""
    async with client(guarded.server, token=guarded.operator) as api:
        task_id = await api.create()
    async with watch(guarded.server, "/ws", bearer(guarded.viewer)) as watcher:
        await watcher.subscribe(task_id)
        await watcher.until("caught_up")
        for op, fields in (("message", {"content": "x"}), ("input", {"request_id": "1", "answer": "x"})):
            await watcher.send(op, task_id=task_id, **fields)
            error = await watcher.until("error")
            assert (error["code"], error["task_id"]) == ("operator_needed", task_id)


async def test_a_websocket_by_its_first_frame(guarded: Guarded) -> None:
    """Who sends no header says who they are in the first frame; before it they are told nothing."""
    async with client(guarded.server, token=guarded.operator) as api:
        task_id = await api.create()
    for path in ("/ws", f"/api/tasks/{task_id}/events"):
        async with watch(guarded.server, path) as watcher:
            watcher.expect(task_id, 0, filtered=False)
            await watcher.send("auth", token=guarded.viewer)
            assert (await watcher.receive())["op"] == "hello"
            if path == "/ws":
                await watcher.subscribe(task_id)
            await watcher.until("caught_up")


@pytest.mark.parametrize(
    "frame",
    [{"op": "ping"}, {"op": "auth", "token": "x"}, {"op": "auth"}, {"op": "auth", "token": "\ud800"}, 7, "x"],
    ids=str,
)
@pytest.mark.parametrize("path", ["/ws", "/api/tasks/x/events"])
async def test_another_first_frame(guarded: Guarded, path: str, frame: object) -> None:
    """Whatever else comes first closes the connection with 4401, and nothing is said before."""
    async with watch(guarded.server, path) as watcher:
        await watcher.connection.send(json.dumps(frame))
        assert await watcher.to_close() == 4401
    assert watcher.frames == []


async def test_a_websocket_with_a_wrong_header(guarded: Guarded) -> None:
    """A wrong token in the handshake closes the connection at once."""
    async with watch(guarded.server, "/ws", {"Authorization": LOCKED}) as watcher:
        assert await watcher.to_close() == 4401
    assert [frame["op"] for frame in watcher.frames] == ["error"]


async def test_a_later_auth_frame(guarded: Guarded) -> None:
    """A further token takes the place of the one before, or closes the connection."""
    async with watch(guarded.server, "/ws", bearer(guarded.viewer)) as watcher:
        await watcher.send("auth", token=guarded.operator)
        await watcher.send("message", task_id="x", content="hello")
        assert (await watcher.until("error"))["code"] == "task_not_found"
        await watcher.send("auth", token="x")
        assert await watcher.to_close() == 4401


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_token_that_ends(guarded: Guarded, how: str) -> None:
    """When a token is revoked, or has expired, its connections are closed and its requests are refused."""
    token = new_token(guarded.file, role="viewer")
    async with (
        client(guarded.server) as api,
        watch(guarded.server, "/ws", bearer(guarded.operator)) as other,
        watch(guarded.server, "/ws", bearer(token)) as watcher,
    ):

        async def status() -> int:
            return (await api.http.get("/api/tasks", headers=bearer(token))).status_code

        assert await status() == 200
        if how == "revoked":
            TokenFile(guarded.file).revoke(id_of(token))
        else:
            _expire(guarded.file, token)
        assert await watcher.to_close() == 4401
        assert await status() == 401
        await other.send("ping")
        await other.until("pong")


async def test_a_login(guarded: Guarded) -> None:
    """A browser logs in with a token, comes in by the cookie, and no more once it has logged out."""
    async with client(guarded.server) as api:
        assert (await api.http.get("/api/login")).status_code == 401
        assert (await api.http.post("/api/login", json={"token": LOCKED})).status_code == 401
        assert not api.http.cookies
        response = await api.http.post("/api/login", json={"token": guarded.viewer})
        attributes = {part.strip().partition("=")[0].lower() for part in response.headers["set-cookie"].split(";")[1:]}
        assert attributes == {"httponly", "samesite", "path", "max-age"}
        assert response.headers["cache-control"] == "no-store"
        assert "SameSite=strict" in response.headers["set-cookie"]
        assert guarded.viewer not in response.headers["set-cookie"]
        assert (await api.http.get("/api/login")).json() == {"role": "viewer", "by_cookie": True}
        cookie = {"Cookie": f"metagpt_live={api.http.cookies['metagpt_live']}"}
        async with watch(guarded.server, "/ws", cookie) as watcher:
            await watcher.until("hello")
            assert (await api.http.post("/api/tasks", json={"input_prompt": "x"})).status_code == 403
            assert (await api.http.delete("/api/login")).status_code == 204
            assert await watcher.to_close() == 4401
        assert (await api.http.get("/api/tasks", headers=cookie)).status_code == 401


async def test_a_forged_cookie(guarded: Guarded) -> None:
    """A cookie that was changed anywhere, or that is none, lets nobody in."""
    async with httpx.AsyncClient(base_url=guarded.server.url) as http:
        await http.post("/api/login", json={"token": guarded.viewer})
        cookie = http.cookies["metagpt_live"]
    token_id, until_, nonce, signature = cookie.split(".")
    forged = [
        f"{id_of(guarded.operator)}.{until_}.{nonce}.{signature}",
        f"{token_id}.{int(until_) + 1}.{nonce}.{signature}",
        f"{token_id}.{until_}.{nonce}.",
        f"{token_id}.{until_}.{nonce}",
        "...",
        "x",
        "",
    ]
    async with httpx.AsyncClient(base_url=guarded.server.url) as http:
        for value in forged:
            response = await http.get("/api/tasks", headers={"Cookie": f"metagpt_live={value}"})
            assert response.status_code == 401, value


async def test_a_token_file_that_is_spoilt(tmp_path: Path) -> None:
    """A file that becomes unreadable lets nobody in, which the log tells, until it is mended."""
    file = tmp_path / "tokens.json"
    token = new_token(file)
    good = file.read_bytes()
    with Server(tmp_path / "data", TOKEN_FILE=file) as server:
        async with httpx.AsyncClient(base_url=server.url, headers=bearer(token)) as http:

            async def status() -> int:
                return (await http.get("/api/tasks")).status_code

            assert await status() == 200
            file.write_bytes(b"{")
            await until(status, lambda found: found == 401)
            assert str(file) in server.log
            file.write_bytes(good)
            await until(status, lambda found: found == 200)


async def test_loopback_needs_none(server: Server) -> None:
    """Without a token file everybody on this machine comes in as an operator, with whatever token they have."""
    async with client(server) as api:
        assert (await api.http.get("/api/login")).json() == {"role": "operator", "by_cookie": False}
    async with connect(f"{server.url.replace('http', 'ws')}/ws") as connection:
        assert json.loads(await connection.recv())["op"] == "hello"
        await connection.send(json.dumps({"op": "auth", "token": "x"}))
        await connection.send(json.dumps({"op": "ping"}))
        assert json.loads(await connection.recv())["op"] == "pong"
