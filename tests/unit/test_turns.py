"""What is costly is done for a few at the same time."""

import asyncio
from io import BytesIO
from typing import BinaryIO, cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from runner.base import Difference, Runner
from runner.files import File
from server.files import AT_ONCE, Files
from server.problems import BadRequest
from server.turns import Turns


async def test_a_turn_that_does_not_come() -> None:
    """Who finds no place in time is told to come again; who waits gets the next place that is free."""
    turns = Turns(1, patience=0.05)
    async with turns.take():
        with pytest.raises(BadRequest) as refused:
            async with turns.take():
                pass
    assert (refused.value.status, refused.value.code) == (503, "busy")
    assert refused.value.headers == {"Retry-After": "1"}
    async with turns.take():
        pass


class _Crowded:
    """A runner that counts how many diffs and archives are made at the same time."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    async def _work(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(20):  # turns of the loop, in which everyone else could begin
            await asyncio.sleep(0)
        self.now -= 1

    async def get_task_artifacts(self, _: str, *, through: int | None = None) -> list[File]:
        return []

    async def diff_artifact(self, *_: object) -> Difference:
        await self._work()
        return Difference(1, 2, b"")

    async def open_archive(self, _: str) -> BinaryIO:
        await self._work()
        return BytesIO()


@pytest.mark.parametrize("path", ["artifacts.zip", "artifacts/main.py/diff"])
async def test_a_flood_of_diffs_and_archives(path: str) -> None:
    """However many ask at once, a few are worked on at a time, and all are answered."""
    runner = _Crowded()
    operations = Files(cast("Runner", runner)).operations()
    app = Starlette(routes=[Route(one.path.replace("{path}", "{path:path}"), one.handler) for one in operations[1:]])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answers = await asyncio.gather(*(client.get(f"/api/tasks/x/{path}") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert runner.most == AT_ONCE
