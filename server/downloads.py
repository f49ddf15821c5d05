"""Files as answers: their media types, entity tags and ranges (RFC 9110), and nothing of them that could run.

A file is what an LLM wrote. It is to be kept, not shown, and no script, style or document of our own origin is ever
made of it: what a browser would run or render is plain text.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from runner.archive import safe_name
from server.bounds import PIECE_BYTES
from server.problems import BadRequest

BINARY = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"

_LOOKED_AT = 8192  # bytes of a file that tell whether it is text

_TEXTS = {
    "csv": "text/csv; charset=utf-8",
    "diff": "text/x-diff; charset=utf-8",
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "patch": "text/x-diff; charset=utf-8",
    "py": "text/x-python; charset=utf-8",
    "sh": "text/x-shellscript; charset=utf-8",
    "toml": "application/toml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}
_BINARIES = {
    "gif": "image/gif",
    "gz": "application/gzip",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "wav": "audio/wav",
    "webp": "image/webp",
    "zip": "application/zip",
}

_RANGE = re.compile(r"bytes *= *(?P<first>\d{0,18}) *- *(?P<last>\d{0,18}) *", re.ASCII)


def media_type(name: str, beginning: bytes) -> str:
    """Of a file by its name, if what it begins with bears that out."""
    ending = name.rpartition(".")[2].lower()
    if ending in _BINARIES:
        return _BINARIES[ending]
    return _TEXTS.get(ending, TEXT) if _is_text(beginning) else BINARY


def download(request: Request, file: BinaryIO, *, name: str, size: int, sha256: str) -> Response:
    """An answer with a file, or with the range of it that is asked for, or that it is what is known already.

    The file is closed. size: bytes. Raises `BadRequest` for a range that is not in it.
    """
    tag = f'"{sha256}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Accept-Ranges": "bytes"}
    if _knows(request, tag):
        file.close()
        return Response(status_code=304, headers=headers)
    beginning = file.read(_LOOKED_AT)
    headers |= attachment(name) | {"Content-Type": media_type(name, beginning)}
    try:
        part = _range(request, size, tag)
    except BadRequest:
        file.close()
        raise
    first, last = part or (0, size - 1)
    headers["Content-Length"] = str(last - first + 1)
    if part is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    file.seek(first)
    return StreamingResponse(_chunks(file, last - first + 1), 206 if part else 200, headers)


def stream(file: BinaryIO, *, name: str, media_type: str) -> Response:
    """An answer with the whole of a file; it is closed in the end."""
    return StreamingResponse(_chunks(file), headers=attachment(name) | {"Content-Type": media_type})


def attachment(name: str) -> dict[str, str]:
    """The headers of what is to be kept under a name, and is not to run wherever it is opened."""
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(safe_name(name), safe='')}",
        "Content-Security-Policy": "sandbox",  # beside the one of every answer
    }


def _is_text(beginning: bytes) -> bool:
    try:
        beginning.decode()
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data" or len(beginning) < _LOOKED_AT:
            return False
    return b"\0" not in beginning


def _knows(request: Request, tag: str) -> bool:
    known = [known.strip().removeprefix("W/") for known in request.headers.get("if-none-match", "").split(",")]
    return tag in known or known == ["*"]


def _range(request: Request, size: int, tag: str) -> tuple[int, int] | None:
    """The first and the last byte that are asked for; None for all, also where a range is to be ignored."""
    asked = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if asked is None or request.headers.get("if-range", tag) != tag or not (asked["first"] or asked["last"]):
        return None
    if asked["first"]:
        first = int(asked["first"])
        last = min(int(asked["last"]), size - 1) if asked["last"] else size - 1
        if asked["last"] and int(asked["last"]) < first:
            return None
    else:
        first, last = max(0, size - int(asked["last"])), size - 1
    if first >= size:
        message = f"The range is not in the file, which has {size} bytes."
        headers = {"Content-Range": f"bytes */{size}"}
        raise BadRequest(message, code="range_not_satisfiable", status=416, field="Range", headers=headers)
    return first, last


def _chunks(file: BinaryIO, size: int | None = None) -> Iterator[bytes]:
    """The next bytes of a file; all of them without a size."""
    with file:
        while chunk := file.read(PIECE_BYTES if size is None else min(PIECE_BYTES, size)):
            yield chunk
            if size is not None:
                size -= len(chunk)
