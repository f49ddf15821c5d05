"""The dashboard's files, compressed, each once. A browser asks for every file again before it uses it, so that a page
never mixes those of two versions.
"""

import asyncio
import gzip
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_COMPRESSIBLE = frozenset({".css", ".html", ".js", ".mjs", ".svg"})


class Assets(StaticFiles):
    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        # By path, with the time and size of the file that was compressed.
        self._compressed: dict[str, tuple[tuple[int, int], bytes]] = {}

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        response.headers["vary"] = "accept-encoding"
        asked = Headers(scope=scope)
        # Parts of a file are counted in its own bytes.
        if not isinstance(response, FileResponse) or "range" in asked or "gzip" not in asked.get("accept-encoding", ""):
            return response
        return await self._packed(response) if Path(path).suffix in _COMPRESSIBLE else response

    async def _packed(self, response: FileResponse) -> Response:
        path, stat = Path(response.path), response.stat_result
        assert stat is not None  # StaticFiles has looked already
        found, content = self._compressed.get(str(path), ((0, 0), b""))
        if found != (known := (stat.st_mtime_ns, stat.st_size)):
            content = await asyncio.to_thread(lambda: gzip.compress(path.read_bytes(), mtime=0))
            self._compressed[str(path)] = known, content
        headers: dict[str, Any] = {name: response.headers[name] for name in ("cache-control", "vary", "last-modified")}
        headers |= {"content-encoding": "gzip", "etag": f"W/{response.headers['etag']}"}
        return Response(content, media_type=response.media_type, headers=headers)
