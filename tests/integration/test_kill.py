"""`kill -9` of the server in mid-run, again and again: what a client was shown stays, and stays where it was."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.support import DEADLINE, Api, Server, client, ends, ids

KILLS = 8
EVENTS = 30  # shown at most from a start of the server to the kill
PACE = 0.5  # of the demo model: what it says takes long enough for the run not to come to its end meanwhile


class Frame(msgspec.Struct):
    """A frame of the server, or a page. The events are kept as the bytes that came."""

    op: str = ""
    epoch: str = ""
    events: list[msgspec.Raw] = []


class Held(msgspec.Struct):
    event_id: int


class Keeper:
    """A client that keeps all it was shown, over the deaths of its server."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.cursor = 0
        self.digest = bytes(32)
        self.epochs: set[str] = set()
        self.more = asyncio.Event()

    def take(self, frame: Frame) -> None:
        if frame.op == "hello":
            self.epochs.add(frame.epoch)
        for raw in frame.events:
            event_id = msgspec.json.decode(raw, type=Held).event_id
            assert event_id == self.cursor + 1, f"{event_id} follows {self.cursor}"
            self.cursor = event_id
            self.digest = sha256(self.digest + bytes(raw)).digest()
            self.more.set()

    async def listen(self, server: Server) -> None:
        """Follow over a WebSocket until the server is gone."""
        query = {"op": "subscribe", "task_id": self.task_id, "since_event_id": self.cursor}
        with contextlib.suppress(WebSocketException, OSError):
            async with connect(f"{server.url.replace('http', 'ws', 1)}/ws", max_size=None) as connection:
                await connection.send(msgspec.json.encode(query).decode())
                while True:
                    self.take(msgspec.json.decode(await connection.recv(), type=Frame))

    async def poll(self, server: Server) -> None:
        """Follow by long polls until the server is gone."""
        with contextlib.suppress(httpx.TransportError):
            async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE, trust_env=False) as http:
                while True:
                    query = {"since_event_id": self.cursor, "wait": 10, "limit": 20}
                    page = await http.get(f"/api/tasks/{self.task_id}/events", params=query)
                    assert page.status_code == 200, page.text
                    self.take(msgspec.json.decode(page.content, type=Frame))

    async def prove(self, api: Api) -> None:
        """The server's log, up to where this client stands, is what this client was shown."""
        answer = await api.http.get(f"/api/tasks/{self.task_id}/digest", params={"through": self.cursor})
        assert answer.json() == {"task_id": self.task_id, "count": self.cursor, "sha256": self.digest.hex()}


@contextlib.asynccontextmanager
async def following(server: Server, keepers: list[Keeper]) -> AsyncIterator[None]:
    """The first half of the keepers listens, the other polls."""
    half = len(keepers) // 2
    ways = [asyncio.create_task(keeper.listen(server)) for keeper in keepers[:half]]
    ways += [asyncio.create_task(keeper.poll(server)) for keeper in keepers[half:]]
    try:
        yield
    finally:
        for way in ways:
            way.cancel()
        ended = await asyncio.gather(*ways, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def test_what_was_shown_survives(data: Path) -> None:
    """After each of many kills the log holds, unchanged, all that anybody was shown, and goes on from there."""
    chance = random.Random(1)
    keepers: list[Keeper] = []
    for kill in range(KILLS):
        with Server(data, DEMO_PACE=PACE) as server:
            async with client(server) as api:
                if not keepers:
                    task_id = await api.create()
                    keepers = [Keeper(task_id) for _ in range(4)]
                else:
                    await _prove_ended(api, keepers, attempts=kill)
                async with following(server, keepers):
                    await _run_unless_it_goes_on(api, task_id)
                    fatal = (await api.state(task_id))["head"] + chance.randrange(2, EVENTS)
                    while all(keeper.cursor < fatal for keeper in keepers):
                        await _somebody_is_shown_more(keepers)
                    server.kill()
    with Server(data, DEMO_PACE=0) as server:
        async with client(server) as api:
            await _prove_ended(api, keepers, attempts=KILLS)
            async with following(server, keepers):
                await _run_unless_it_goes_on(api, task_id)
                await api.until_succeeded(task_id)
                head = (await api.state(task_id))["head"]
                while any(keeper.cursor < head for keeper in keepers):
                    await _somebody_is_shown_more(keepers)
            for keeper in keepers:
                await keeper.prove(api)
            events = await api.events(task_id)
            await _prove_files(api, task_id)
    assert ids(events) == list(range(1, head + 1))
    assert ends(events) == [*((n, "FAILED") for n in range(1, KILLS + 1)), (KILLS + 1, "SUCCEEDED")]
    assert len({epoch for keeper in keepers for epoch in keeper.epochs}) == 1


async def _prove_files(api: Api, task_id: str) -> None:
    """Every version of every file that was told of can be had, and is what was told."""
    files = (await api.http.get(f"/api/tasks/{task_id}/artifacts")).json()["artifacts"]
    assert files
    for file in files:
        for version in file["versions"]:
            url = f"/api/tasks/{task_id}/artifacts/{file['path']}"
            content = (await api.http.get(url, params={"version": version["version"]})).content
            assert sha256(content).hexdigest() == version["sha256"]


async def _prove_ended(api: Api, keepers: list[Keeper], *, attempts: int) -> None:
    """The attempt that was killed is told to have failed, and nothing is lost that was shown."""
    for keeper in keepers:
        await keeper.prove(api)
    found = ends(await api.events(keepers[0].task_id))
    assert found[:attempts] == [(n, "FAILED") for n in range(1, attempts + 1)]


async def _run_unless_it_goes_on(api: Api, task_id: str) -> None:
    """Run a task that is new, or was lost too often to go on by itself."""
    if (await api.state(task_id))["status"] in ("PENDING", "FAILED"):
        await api.run(task_id)


async def _somebody_is_shown_more(keepers: list[Keeper]) -> None:
    async with asyncio.timeout(DEADLINE):
        waits = [asyncio.ensure_future(keeper.more.wait()) for keeper in keepers]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        for keeper in keepers:
            keeper.more.clear()
