"""The dashboard's files, compressed, each once.

The page names them with a version in their address, which is another one when any of them has changed, and modules
import each other relative to it. So a browser that has been here asks for the page alone, and a page never mixes files
of two versions.
"""

import asyncio
import gzip
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from server import modules

STYLES = "styles.css"  # the stylesheets of the page, one after the other

_COMPRESSIBLE = frozenset({".css", ".html", ".js", ".mjs", ".svg"})
_ASK_FIRST = "no-cache"
_KEEP = "public, max-age=31536000, immutable"
_VERSION = re.compile(r"[0-9a-f]{16}")


Shown = Literal["home", "task"]


class Edition(msgspec.Struct, frozen=True):
    """The dashboard in one version. pages: the page, which names beforehand what it is to load, by what it shows."""

    version: str
    pages: Mapping[Shown, bytes]
    styles: bytes


class Assets(StaticFiles):
    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        self._folder = folder
        self._edition: Edition | None = None
        # By name, with what tells its content from an earlier one.
        self._compressed: dict[str, tuple[object, bytes]] = {}

    async def page(self, scope: Scope, shown: Shown) -> Response:
        """The page, of the files as they are now. shown: what it shows at first."""
        version = await asyncio.to_thread(_version, self._folder)
        if self._edition is None or self._edition.version != version:
            self._edition = await asyncio.to_thread(_edition, self._folder, version)
        return await self._answer(shown, self._edition.pages[shown], scope, media_type="text/html", caching=_ASK_FIRST)

    async def get_response(self, path: str, scope: Scope) -> Response:
        if self._edition is None:
            self._edition = await asyncio.to_thread(lambda: _edition(self._folder, _version(self._folder)))
        version, _, rest = path.partition("/")
        caching = _KEEP if version == self._edition.version else _ASK_FIRST
        # A page that is older than the files gets what there is now, and is not to keep it.
        path = rest if _VERSION.fullmatch(version) else path
        if path == STYLES:
            return await self._answer(path, self._edition.styles, scope, media_type="text/css", caching=caching)
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = caching
        response.headers["vary"] = "accept-encoding"
        # Parts of a file are counted in its own bytes.
        if not isinstance(response, FileResponse) or "range" in Headers(scope=scope) or not _takes_gzip(scope):
            return response
        return await self._packed(response) if Path(path).suffix in _COMPRESSIBLE else response

    async def _packed(self, response: FileResponse) -> Response:
        path, stat = Path(response.path), response.stat_result
        assert stat is not None  # StaticFiles has looked already
        known = (stat.st_mtime_ns, stat.st_size)
        if self._compressed.get(str(path), (None, b""))[0] != known:
            self._compressed[str(path)] = known, await asyncio.to_thread(lambda: _packed(path.read_bytes()))
        headers: dict[str, Any] = {name: response.headers[name] for name in ("cache-control", "vary", "last-modified")}
        headers |= {"content-encoding": "gzip", "etag": f"W/{response.headers['etag']}"}
        return Response(self._compressed[str(path)][1], media_type=response.media_type, headers=headers)

    async def _answer(self, name: str, content: bytes, scope: Scope, *, media_type: str, caching: str) -> Response:
        headers = {"cache-control": caching, "vary": "accept-encoding"}
        if not _takes_gzip(scope):
            return Response(content, media_type=media_type, headers=headers)
        if self._compressed.get(name, (None, b""))[0] is not content:
            self._compressed[name] = content, await asyncio.to_thread(_packed, content)
        headers["content-encoding"] = "gzip"
        return Response(self._compressed[name][1], media_type=media_type, headers=headers)


def _takes_gzip(scope: Scope) -> bool:
    return "gzip" in Headers(scope=scope).get("accept-encoding", "")


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _version(folder: Path) -> str:
    """Another one for other files."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        stat = path.stat()
        found.update(f"{path} {stat.st_mtime_ns} {stat.st_size}\n".encode())
    return found.hexdigest()[:16]


def _edition(folder: Path, version: str) -> Edition:
    html = (folder / "index.html").read_text()
    styles = [(folder / name).read_bytes() for name in modules.STYLESHEET.findall(html)]
    links = iter([f'<link rel="stylesheet" href="/static/{STYLES}">\n    '])
    html = modules.STYLESHEET.sub(lambda _: next(links, ""), html)

    def page(*entries: str) -> bytes:
        _, *others = _modules(folder, entries)
        preloads = "".join(f'<link rel="modulepreload" href="/static/{name}">\n    ' for name in others)
        return html.replace(modules.ENTRY, preloads + modules.ENTRY).replace("/static/", f"/static/{version}/").encode()

    return Edition(version, {"home": page("app.js"), "task": page("app.js", "task.js")}, b"\n".join(styles))


def _modules(folder: Path, entries: Sequence[str]) -> list[str]:
    """These modules, those that they import, and so on."""
    found = list(entries)
    for name in found:  # which grows meanwhile
        imported = modules.begins_with((folder / name).read_text(), name)
        found += [other for other in dict.fromkeys(imported) if other not in found]
    return found
