"""Runs as files over the API and on the command line."""

import asyncio
import io
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from server.upload import UploadFailed, upload
from tests.support import Api, Server, command, until


@pytest_asyncio.fixture
async def exported(api: Api, tmp_path: Path) -> Path:
    """The file of a run that its server has forgotten; it is named for the task."""
    task_id = await api.finished()
    response = await api.http.get(f"/api/tasks/{task_id}/export.jsonl")
    name = f"{task_id}.jsonl"
    assert response.headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}"
    path = tmp_path / name
    path.write_bytes(response.content)
    await api.http.delete(f"/api/tasks/{task_id}")
    return path


async def _import(api: Api, content: bytes, media_type: str = "application/jsonl") -> httpx.Response:
    return await api.http.post("/api/tasks/import", content=content, headers={"Content-Type": media_type})


async def test_over_the_api(api: Api, exported: Path) -> None:
    """An imported run is listed as such, its log is the one of the file, and a second import is told what is here."""
    content = await asyncio.to_thread(exported.read_bytes)
    response = await _import(api, content)
    task = response.json()
    assert (response.status_code, response.headers["location"]) == (201, f"/api/tasks/{exported.stem}")
    listed = (await api.http.get("/api/tasks")).json()["tasks"]
    assert task["imported_at"] in [row["imported_at"] for row in listed if row["id"] == exported.stem]
    again = await api.http.get(f"/api/tasks/{exported.stem}/export.jsonl")
    assert again.content.splitlines()[1:] == content.splitlines()[1:]
    assert (await api.http.post(f"/api/tasks/{exported.stem}/run")).json()["code"] == "wrong_status"
    file = (await api.http.get(f"/api/tasks/{exported.stem}/artifacts")).json()["artifacts"][0]["path"]
    for asked in (f"/{file}", f"/{file}/diff?from=0&to=1", ".zip"):
        refused = await api.http.get(f"/api/tasks/{exported.stem}/artifacts{asked}")
        assert (refused.status_code, refused.json()["code"]) == (404, "artifact_not_found")
        assert "an imported log tells of files without what is in them" in refused.json()["detail"]
    twice = await _import(api, content)
    assert (twice.status_code, twice.json()["code"]) == (409, "task_exists")


async def test_what_is_refused(api: Api, exported: Path) -> None:
    """What is no exported log, or not a whole one, is refused with the line at fault, and changes nothing."""
    before = (await api.http.get("/api/tasks")).json()
    whole = await asyncio.to_thread(exported.read_bytes)
    for content, media_type, status, code, words in [
        (whole, "application/json", 415, "wrong_content_type", "application/jsonl"),
        (b"", "application/jsonl", 422, "bad_log", "Line 1: "),
        (whole[:-100], "application/jsonl", 422, "bad_log", f"Line {len(whole.splitlines())}: "),
    ]:
        response = await _import(api, content, media_type)
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert words in response.json()["detail"]
    assert (await api.http.get("/api/tasks")).json() == before


async def test_an_upload_that_is_cut(api: Api, server: Server, exported: Path) -> None:
    """Of an upload that ends in the middle nothing is kept, and its file can be taken in again."""
    content = await asyncio.to_thread(exported.read_bytes)
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/tasks/import HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/jsonl\r\n"
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content[:-1])
    await writer.drain()
    writer.close()
    await until(lambda: _import(api, content), lambda response: response.status_code == 201)


def test_on_the_command_line(server: Server, exported: Path, tmp_path: Path) -> None:
    """`import` takes a file in where no server runs, or through the one that does; else it says why not."""
    for where in (("--data", tmp_path / "data"), ("--url", server.url)):
        done = command("import", exported, *where, home=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert exported.stem in done.stdout and "SUCCEEDED" in done.stdout
    busy = command("import", exported, "--data", server.data, home=tmp_path)
    assert (busy.returncode, "--url" in busy.stderr) == (1, True)


def test_what_cannot_be_uploaded(server: Server) -> None:
    """A server that refuses a file before its end is heard; one that is not there, or is none, is named."""
    for url, said in [(server.url, "^Line 1: "), ("http://127.0.0.1:1", "^http://127.0.0.1:1 "), ("nowhere", "URL")]:
        with pytest.raises(UploadFailed, match=said):
            upload(url, io.BytesIO(b"no log\n" + b"x" * 20_000_000))
