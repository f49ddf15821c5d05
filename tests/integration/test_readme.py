"""The README's examples, run as they stand but for the port."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from runner import log
from runner.database import open_database
from runner.folder import DATABASE
from tests.scrapes import scrape
from tests.support import Api, Server
from tests.world import World, running

README = (Path(__file__).parents[2] / "README.md").read_text()


def _example(language: str, containing: str) -> str:
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (found,) = [block for block in blocks if containing in block]
    return found


def _run(command: list[str], server: Server) -> str:
    here = [part.replace("127.0.0.1:8000", server.url.removeprefix("http://")) for part in command]
    return subprocess.run(here, capture_output=True, text=True, check=True, timeout=60).stdout


def test_curl(server: Server) -> None:
    """The curl lines make a task, run it, and read its events and state."""
    printed = _run(["bash", "-ec", _example("sh", "ID=$(curl").replace("python3", sys.executable)], server)
    accepted, events, state = [json.JSONDecoder().raw_decode(printed, at)[0] for at in _objects(printed)]
    assert (accepted["status"], events["events"][0]["event_id"], state["task_id"]) == (
        "accepted",
        1,
        accepted["task_id"],
    )


async def test_websocket(server: Server, api: Api) -> None:
    """The WebSocket example follows a run to its end."""
    task_id = await api.finished()
    printed = _run([sys.executable, "-c", _example("python", "websockets.connect"), task_id], server)
    head = (await api.state(task_id))["head"]
    assert [int(line.split()[0]) for line in printed.splitlines()] == list(range(1, head + 1))


def _running_hash() -> Callable[..., bytes]:
    """The digest example, as it stands."""
    defined: dict[str, Any] = {}
    exec(_example("python", "sha256"), defined)
    running_hash: Callable[..., bytes] = defined["running_hash"]
    return running_hash


def test_the_digest_in_five_lines() -> None:
    """The digest example is a function of five lines."""
    _, function = _example("python", "sha256").split("\n\n\n")
    assert len(function.splitlines()) <= 5


async def test_digest(server: Server, api: Api) -> None:
    """The digest example computes what the server says, over REST from page to page and over WebSocket."""
    task_id = await api.finished()
    running_hash, head = _running_hash(), (await api.state(task_id))["head"]
    of_pages = of_frames = bytes(32)
    for since in range(0, head, 7):
        page = await api.http.get(f"/api/tasks/{task_id}/events", params={"since_event_id": since, "limit": 7})
        of_pages = running_hash(page.content, of_pages)
    async with connect(f"{server.url.replace('http', 'ws')}/api/tasks/{task_id}/events") as socket:
        async for frame in socket:
            if json.loads(frame)["op"] == "events":
                of_frames = running_hash(str(frame).encode(), of_frames)
    answer = (await api.http.get(f"/api/tasks/{task_id}/digest", params={"through": head})).json()
    assert {of_pages.hex(), of_frames.hex()} == {answer["sha256"]}


async def test_digest_after_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds only what retention has left begins with the digest at the end of the gap, as the README says."""
    monkeypatch.setattr("runner.log.EXPIRED_AT_ONCE", 7)
    running_hash = _running_hash()
    async with running(World(tmp_path)) as world:
        url = f"http://{world.address}/api/tasks/{world.log.task.id}"
        await world.append(world.log, 20, 10)
        database = await open_database(tmp_path / DATABASE, writes=True)
        await database.transaction(partial(log.expire, world.log.task.id, 20))  # a step of it
        await database.close()
        page = await world.http.get(f"{url}/events")
        gap, head = page.json()["gap"], page.json()["head"]
        start = (await world.http.get(f"{url}/digest", params={"through": gap["to"]})).json()
        digest = (await world.http.get(f"{url}/digest", params={"through": head})).json()
    assert (gap["to"], start["count"]) == (7, 7)
    assert running_hash(page.content, bytes.fromhex(start["sha256"])).hex() == digest["sha256"]


async def test_metrics(slow_server: Server, slow_api: Api) -> None:
    """The table of metrics has all that there are, and no others."""
    task_id = await slow_api.started()
    await slow_api.until_event(task_id, "RESOURCE")
    scraped = await scrape(slow_api.http)
    names = {sample.name for sample in scraped.samples if sample.name.startswith("metagpt_live_")}
    assert set(re.findall(r"`(metagpt_live_\w+)`", README)) == {re.sub("_(bucket|count|sum)$", "", n) for n in names}


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links(path: str) -> None:
    """What the README links to and shows is there."""
    assert (Path(__file__).parents[2] / path).exists()


def _objects(text: str) -> list[int]:
    """Where the JSON objects of the answers begin, one behind the other."""
    starts, at = [], 0
    while (at := text.find("{", at)) >= 0:
        starts.append(at)
        at = json.JSONDecoder().raw_decode(text, at)[1]
    return starts
