"""The README's examples, run as they stand but for the port."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scrapes import scrape
from tests.support import Api, Server

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


async def test_digest(server: Server, api: Api) -> None:
    """The digest example computes what the server says."""
    task_id = await api.finished()
    printed = _run([sys.executable, "-c", _example("python", "sha256"), task_id], server)
    digest = (await api.http.get(f"/api/tasks/{task_id}/digest")).json()
    assert printed.split() == [str(digest["count"]), digest["sha256"]]


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
