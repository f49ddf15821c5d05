"""The list of tasks as it is followed, when the queue moves fast."""

import asyncio
import json

import msgspec
import pytest

from runner.base import Place
from runner.events import now
from runner.states import Status
from runner.task import Task
from server.listing import Change, Listing
from tests.logs import make_task
from tests.support import until

COUNT = 300  # tasks


async def test_a_queue_that_moves_at_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """While hundreds start in a row the queue is not gone through for each; then all are told where they are."""
    monkeypatch.setattr("server.listing.QUEUE_PERIOD", 0.1)
    queue = [
        msgspec.structs.replace(make_task(f"t{number}"), status=Status.QUEUED, queued_at=now())
        for number in range(COUNT)
    ]
    looked = 0

    def place_of(task: Task) -> Place | None:
        nonlocal looked
        looked += 1
        return Place(queue.index(task) + 1, "because") if task in queue else None

    listing = Listing(place_of)
    told: dict[str, Change] = {}
    others: dict[str, Change] = {}
    listing.watch(told.__setitem__)
    listing.watch(others.__setitem__)
    for task in queue:
        listing.publish(task)
    looked = 0
    while len(queue) > COUNT / 2:
        started = queue.pop(0)
        listing.requeue()
        listing.publish(msgspec.structs.replace(started, status=Status.RUNNING))
        await asyncio.sleep(0)

    def places() -> list[int]:
        return [json.loads(told[task.id].frame.payload)["state"]["queue"]["position"] for task in queue]

    await until(places, lambda found: found == list(range(1, len(queue) + 1)))
    listing.close()
    assert looked < COUNT * 10
    assert all(told[task.id].frame is others[task.id].frame for task in queue)
