"""Clients that follow a task over every transport in turn, and keep the bytes of all that they were shown."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from hashlib import sha256

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.frames import Frame, send
from tests.support import DEADLINE

PAUSE = 0.1  # seconds before asking again, of a client that was cut or told the end
CLOSING = 0.2  # seconds that a WebSocket has for its closing handshake
WAIT = 5.0  # seconds of a long poll
PAGE = 50  # events
PATIENCE = 100  # events, about, after which a client tries another transport


class _Held(msgspec.Struct):
    event_id: int


class _Page(msgspec.Struct):
    """A page of REST. The events are kept as the bytes that came."""

    events: list[msgspec.Raw]


class Follower:
    """Follows one task from its first event, whatever happens to the server, with a cursor of its own.

    Each connection is over a transport that is chosen by `chance`: a WebSocket for many tasks, the task's own, long
    polls, or plain pages; after some events it is given up for the next. `where` gives the server's URL once there is
    one. Raises if an event is missing, comes twice or out of order.
    """

    def __init__(self, task_id: str, chance: random.Random, where: Callable[[], Awaitable[str]]) -> None:
        self.task_id = task_id
        self.shown: list[bytes] = []
        self.deleted = False
        """Whether it was told that there is no such task."""
        self._chance = chance
        self._where = where
        self._socket: ClientConnection | None = None
        self._connection: asyncio.Task[None] | None = None
        self._patient_until = 0  # the cursor at which another transport is tried

    @property
    def cursor(self) -> int:
        return len(self.shown)

    @property
    def digest(self) -> str:
        """The running hash of what it was shown, by the rule that README gives."""
        digest = bytes(32)
        for event in self.shown:
            digest = sha256(digest + event).digest()
        return digest.hex()

    async def follow(self) -> None:
        """Follow until the task is deleted, or for ever."""
        while not self.deleted:
            url = await self._where()
            way = self._chance.choice((self._listen, self._listen_at_its_own, self._poll, self._read))
            self._patient_until = self.cursor + 1 + int(self._chance.expovariate(1 / PATIENCE))
            self._connection = asyncio.create_task(way(url))
            try:
                await asyncio.wait({self._connection})
            finally:
                self._connection.cancel()
            if not self._connection.cancelled():
                self._connection.result()
            await asyncio.sleep(PAUSE)

    def cut(self) -> bool:
        """Lose the connection of this moment, without a farewell; whether there was one."""
        if self._socket is not None:
            self._socket.transport.abort()
            return True
        return self._connection is not None and self._connection.cancel()

    async def _listen(self, url: str) -> None:
        """Over a WebSocket that would carry more tasks; it stays when the run ends."""
        subscribe = {"op": "subscribe", "task_id": self.task_id, "since_event_id": self.cursor}
        await self._hear(f"{url}/ws", [{"op": "subscribe_tasks"}, subscribe])

    async def _listen_at_its_own(self, url: str) -> None:
        """Over the task's own WebSocket, which closes when the run ends."""
        await self._hear(f"{url}/api/tasks/{self.task_id}/events?since_event_id={self.cursor}", [])

    async def _hear(self, url: str, wanted: Iterable[Mapping[str, object]]) -> None:
        try:
            async with connect(url.replace("http", "ws", 1), max_size=None, close_timeout=CLOSING) as self._socket:
                for frame in wanted:
                    await send(self._socket, **frame)
                async for data in self._socket:
                    self._take_frame(msgspec.json.decode(data, type=Frame))
                    if self._is_done:
                        return
        except (WebSocketException, OSError):
            return  # the server, or the connection, is gone
        finally:
            self._socket = None

    async def _poll(self, url: str) -> None:
        await self._ask(url, wait=WAIT)

    async def _read(self, url: str) -> None:
        await self._ask(url)

    @property
    def _is_done(self) -> bool:
        """Whether it is done with this connection."""
        return self.deleted or self.cursor >= self._patient_until

    async def _ask(self, url: str, **query: float) -> None:
        """Over REST, page by page, until one is empty."""
        try:
            async with httpx.AsyncClient(base_url=url, timeout=DEADLINE, verify=False) as http:
                while not self._is_done:
                    query |= {"since_event_id": self.cursor, "limit": PAGE}
                    response = await http.get(f"/api/tasks/{self.task_id}/events", params=query)
                    if response.status_code == 404:
                        self.deleted = True
                        return
                    assert response.status_code == 200, response.text
                    page = msgspec.json.decode(response.content, type=_Page)
                    self._take(page.events)
                    if not page.events:
                        return
        except httpx.TransportError:
            return  # the server is gone

    def _take_frame(self, frame: Frame) -> None:
        assert frame.op != "gap", "nothing was ever deleted by retention"
        if frame.op == "error":
            assert frame.code == "task_not_found", frame
            self.deleted = True
        if frame.op == "state" and frame.task_id == self.task_id and frame.state is None:
            self.deleted = True
        self._take(frame.events)

    def _take(self, events: Iterable[msgspec.Raw]) -> None:
        for event in events:
            event_id = msgspec.json.decode(event, type=_Held).event_id
            assert event_id == self.cursor + 1, f"task {self.task_id}: {event_id} follows {self.cursor}"
            self.shown.append(bytes(event))
