"""A database that is damaged in the middle, and too large to be looked through before it is used."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from runner.database import open_database
from runner.errors import DatabaseDamaged
from server.protocol import CloseCode
from tests.damage import COMMITS, damaged_database
from tests.world import World, running


@pytest_asyncio.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    await damaged_database(tmp_path / "metagpt-live.db")
    monkeypatch.setattr("runner.store._LOOKED_THROUGH", 0)
    async with running(World(tmp_path)) as world:
        yield world


@pytest.mark.parametrize("query", ["", "?types=LOG"])
async def test_a_log_that_cannot_be_read(world: World, caplog: pytest.LogCaptureFixture, query: str) -> None:
    """Who asks for what is damaged is told so, the log says it in one line each, and other tasks are read as ever."""
    damaged, whole = [
        await world.http.get(f"http://{world.address}/api/tasks/{task_id}/events{query}")
        for task_id in ("damaged", "whole")
    ]
    assert (damaged.status_code, damaged.json()["code"]) == (500, "database_damaged")
    assert "metagpt-live.db is damaged" in damaged.json()["detail"]
    assert whole.json()["total"] == COMMITS
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.exc_info for record in told] == [None]
    assert "metagpt-live.db is damaged" in told[0].getMessage()


async def test_a_damaged_log_that_is_watched(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A WebSocket on a damaged log is told so and closed, and not as if there was no such task."""
    frames = []
    async with connect(f"ws://{world.address}/api/tasks/damaged/events?since_event_id=0") as socket:
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                frames.append(await socket.recv())
    assert closed.value.rcvd is not None and closed.value.rcvd.code == CloseCode.TRY_AGAIN_LATER
    assert '"code":"database_damaged"' in str(frames[-1])
    assert [record.exc_info for record in caplog.records if record.exc_info] == []


async def test_a_text_that_is_none(tmp_path: Path) -> None:
    """Bytes that are no text, where the database should have one, are damage, not a lack of room to write."""
    database = await open_database(tmp_path / "some.db", writes=True)
    try:
        with pytest.raises(DatabaseDamaged):
            await database.transaction(lambda connection: connection.execute("SELECT CAST(x'ff' AS TEXT)").fetchone())
    finally:
        await database.close()
