"""The list of tasks as it is followed, when the queue moves fast."""

import asyncio
import json

import msgspec
import pytest

from runner.base import Place
from runner.errors import TaskNotFound
from runner.events import now
from runner.states import Status
from runner.task import Task
from server.changes import Numbered
from server.listing import Listing, Reader
from server.protocol import Frame
from server.pump import Pump
from tests.logs import make_task
from tests.support import until

COUNT = 300  # tasks
HELD = 20  # changes that are held


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

    listing = Listing(place_of, _no_read, Pump())
    told: dict[str, Frame] = {}
    others: dict[str, Frame] = {}
    readers = [_Client(listing, told), _Client(listing, others)]
    for task in queue:
        listing.publish(task)
    looked = 0
    while len(queue) > COUNT / 2:
        started = queue.pop(0)
        listing.requeue()
        listing.publish(msgspec.structs.replace(started, status=Status.RUNNING))
        await asyncio.sleep(0)

    async def places() -> list[int]:
        for reader in readers:
            await reader.read()
        return [json.loads(told[task.id].payload)["state"]["queue"]["position"] for task in queue]

    await until(places, lambda found: found == list(range(1, len(queue) + 1)))
    listing.close()
    assert looked < COUNT * 10
    assert all(told[task.id] is others[task.id] for task in queue)


async def test_a_reader_that_has_missed_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has missed thousands of changes is told of each task once, as it is now; only the newest are held for it."""
    monkeypatch.setattr("server.changes.HELD_CHANGES", HELD)
    tasks = {f"t{number}": make_task(f"t{number}") for number in range(COUNT)}
    read: list[str] = []

    async def get(task_id: str) -> Task:
        read.append(task_id)
        try:
            return tasks[task_id]
        except KeyError:
            raise TaskNotFound(task_id) from None

    listing = Listing(lambda task: None, get, Pump())
    told: dict[str, Frame] = {}
    reader = _Client(listing, told)
    for title in ("old", "new"):
        for task_id, task in tasks.items():
            tasks[task_id] = msgspec.structs.replace(task, title=title)
            listing.publish(tasks[task_id])
    del tasks["t0"]
    listing.delete("t0")
    assert len(list(reader.pending())) == COUNT
    await until(lambda: reader.rung)
    await reader.read()
    states = {task_id: json.loads(frame.payload)["state"] for task_id, frame in told.items()}
    assert states.pop("t0") is None
    assert {task_id: state["title"] for task_id, state in states.items()} == dict.fromkeys(tasks, "new")
    assert len(read) == COUNT - HELD
    assert reader.count == COUNT


async def test_what_everybody_has_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has changed is forgotten once all have read it, however many tasks there are."""
    monkeypatch.setattr("server.changes.HELD_CHANGES", HELD)
    monkeypatch.setattr("server.listing.HELD_CHANGES", HELD)
    listing = Listing(lambda task: None, _no_read, Pump())
    reader = _Client(listing, {})
    for number in range(COUNT):
        listing.publish(make_task(f"t{number}"))
        await reader.read()
    assert len(listing._changes) <= 2 * HELD
    listing.leave(reader.reader)
    assert len(listing._changes) == 0


async def _no_read(task_id: str) -> Task:
    raise AssertionError(f"{task_id} is held")


class _Client:
    """Follows a list, and holds the last frame of each task."""

    def __init__(self, listing: Listing, told: dict[str, Frame]) -> None:
        self.rung = False
        self.count = 0
        self.reader: Reader = listing.follow(self._ring)
        self._listing = listing
        self._told = told

    def pending(self) -> list[Numbered]:
        return self._listing.pending(self.reader, 10 * COUNT)

    async def read(self) -> None:
        for change in self.pending():
            if frame := await self._listing.read(self.reader, change):
                self._told[change[1]] = frame
                self.count += 1

    def _ring(self) -> None:
        self.rung = True
