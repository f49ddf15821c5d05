"""A TCP proxy that misbehaves when asked: it cuts, it refuses, it lets no WebSocket through."""

import asyncio
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 64 * 1024
_FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Proxy:
    """Stands between a page and a server. Its address stays when the server behind it is replaced.

    refuses_upgrades: answers every WebSocket handshake with 403. is_down: closes every new connection at once.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.refuses_upgrades = False
        self.is_down = False
        self.url = ""
        self._connections: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Drop every connection, without a goodbye."""
        for writer in tuple(self._connections):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down:
            writer.transport.abort()
            return
        address = urlsplit(self.target)
        try:
            to_reader, to_writer = await asyncio.open_connection(address.hostname, address.port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, to_writer}
        self._connections |= ends
        ways = [
            asyncio.create_task(self._carry(reader, to_writer, answer_to=writer)),
            asyncio.create_task(self._carry(to_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections -= ends
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in ends:
                end.close()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        answer_to: asyncio.StreamWriter | None = None,
    ) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if answer_to and self.refuses_upgrades and b"upgrade: websocket" in data.lower():
                    answer_to.write(_FORBIDDEN)
                    await answer_to.drain()
                    return
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return
