"""A file on its way to a running server, from the command line."""

import http.client
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import urlsplit

import msgspec

from server.exports import LOG_TYPE
from server.schemas import Problem, TaskDetail

_CHUNK = 256 * 1024  # bytes
_PATIENCE = 60.0  # seconds without a sign of life


class UploadFailed(Exception):
    """The server cannot be reached, or refuses the file; `str()` says why."""


def upload(url: str, file: BinaryIO, *, token: str | None = None) -> TaskDetail:
    """Have the server at a URL take in an exported log. Raises `UploadFailed`."""
    try:
        status, content = _post(url, file, token)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UploadFailed(f"{url} does not answer as a metagpt-live does: {error or type(error).__name__}.") from error
    try:
        if status == http.HTTPStatus.CREATED:
            return msgspec.json.decode(content, type=TaskDetail)
        problem = msgspec.json.decode(content, type=Problem)
    except msgspec.DecodeError as error:
        raise UploadFailed(f"{url} does not answer as a metagpt-live does, but with status {status}.") from error
    raise UploadFailed(problem.detail)


def chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _post(url: str, file: BinaryIO, token: str | None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise ValueError("it is not an http or https URL")
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=_PATIENCE)
    path = f"{parts.path.rstrip('/')}/api/tasks/import"
    headers = {"Content-Type": LOG_TYPE} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    try:
        try:
            connection.request("POST", path, chunks(file), headers, encode_chunked=True)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a server that refuses the file early does not read it to its end
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
