"""The queue, against its rule spelled out: whoever has the most points now is next, and nobody starves."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import QueueFull
from runner.places import Places
from runner.queue import POINT, Queue
from runner.states import Status
from runner.task import Task
from tests.logs import make_task

PRIORITIES = range(-5, 6)
LONGEST_LEAD = (PRIORITIES[-1] - PRIORITIES[0]) * POINT

_START = datetime.fromisoformat("2026-01-01T12:00:00.000000Z")
_PAUSES = st.sampled_from([0, 0, 1, 30, 59, 60, 61, 300, 599, 600, 601]).map(lambda seconds: timedelta(seconds=seconds))
_PUTS = st.tuples(_PAUSES, st.sampled_from(PRIORITIES))
# A pause, and who comes after it; None for a place that comes free.
_STEPS = st.lists(st.tuples(_PAUSES, st.one_of(st.none(), st.sampled_from(PRIORITIES))), max_size=60)


def _task(task_id: str, priority: int, queued_at: datetime) -> Task:
    return make_task(task_id, priority=priority, queued_at=queued_at.isoformat(), status=Status.QUEUED)


def _queued_at(task: Task) -> datetime:
    assert task.queued_at is not None
    return datetime.fromisoformat(task.queued_at)


def _places(*, free: int) -> Places:
    """Four places."""
    places = Places(4, waiting_limit=0)
    for number in range(4 - free):
        places.take(number)
    return places


def _filled(puts: list[tuple[timedelta, int]]) -> tuple[Queue, list[Task]]:
    """A queue, and its tasks in the order in which they came. puts: the time since the one before, and the priority."""
    queue, now = Queue(limit=0), _START
    tasks: list[Task] = []
    for number, (pause, priority) in enumerate(puts):
        now += pause
        tasks.append(_task(str(number), priority, now))
        queue.put(tasks[-1])
    return queue, tasks


def _emptied(queue: Queue) -> list[str]:
    taken: list[str] = []
    while (task_id := queue.take()) is not None:
        taken.append(task_id)
    return taken


@given(_STEPS)
def test_the_rule(steps: list[tuple[timedelta, int | None]]) -> None:
    """Whenever a place comes free it goes to who has the most points by then: priority, and one for each minute."""
    queue, now = Queue(limit=0), _START
    waiting: list[Task] = []
    for number, (pause, priority) in enumerate(steps):
        now += pause
        if priority is not None:
            waiting.append(_task(str(number), priority, now))
            queue.put(waiting[-1])
            continue
        # Of equals the first in the list, which is the one that came first.
        best = max(waiting, key=lambda task: task.priority * POINT + (now - _queued_at(task)), default=None)
        assert queue.take() == (None if best is None else best.id)
        if best is not None:
            waiting.remove(best)
    assert len(queue) == len(waiting)


@given(st.lists(_PUTS, max_size=60))
def test_nothing_starves(puts: list[tuple[timedelta, int]]) -> None:
    """Nobody is overtaken by who came later than the difference of their priorities in minutes: ten at the most."""
    queue, tasks = _filled(puts)
    places = {task_id: place for place, task_id in enumerate(_emptied(queue))}
    for number, earlier in enumerate(tasks):
        for later in tasks[number + 1 :]:
            if places[later.id] < places[earlier.id]:
                lead = _queued_at(later) - _queued_at(earlier)
                assert lead < (later.priority - earlier.priority) * POINT <= LONGEST_LEAD


@given(st.lists(_PAUSES, max_size=60), st.sampled_from(PRIORITIES))
def test_first_come_first_served(pauses: list[timedelta], priority: int) -> None:
    """Of the same priority, also at the same moment, who comes first is first."""
    queue, tasks = _filled([(pause, priority) for pause in pauses])
    assert _emptied(queue) == [task.id for task in tasks]


def test_a_flood_of_the_highest_priority() -> None:
    """A task of the lowest priority gets a place though ever more of the highest come, each second as many as start."""
    queue = Queue(limit=0)
    queue.put(_task("patient", -5, _START))
    now = _START
    for started in range(1, 10_000):
        now += timedelta(seconds=1)
        queue.put(_task(str(started), 5, now))
        if queue.take() == "patient":
            break
    assert now - _START == LONGEST_LEAD


@given(st.lists(_PUTS, min_size=1, max_size=40), st.data())
def test_the_position(puts: list[tuple[timedelta, int]], data: st.DataObject) -> None:
    """A position says how many places have to come free, also after others were removed."""
    queue, tasks = _filled(puts)
    removed = data.draw(st.sets(st.sampled_from([task.id for task in tasks])))
    for task_id in removed:
        queue.remove(task_id)
        assert task_id not in queue
        assert queue.place(task_id, _places(free=0)) is None
    places = {task.id: queue.place(task.id, _places(free=0)) for task in tasks if task.id not in removed}
    positions = {task_id: place.position for task_id, place in places.items() if place is not None}
    assert positions == {task_id: position for position, task_id in enumerate(_emptied(queue), 1)}
    assert len(positions) == len(tasks) - len(removed)


def test_what_does_not_wait() -> None:
    """What is not in the queue, or was taken, cannot be removed from it."""
    queue, _ = _filled([(timedelta(), 0)])
    queue.take()
    for task_id in ("0", "unknown"):
        with pytest.raises(KeyError):
            queue.remove(task_id)


def test_the_reason() -> None:
    """The reason tells of the places and of who starts before; what has a place to go to waits for nothing."""
    queue, _ = _filled([(timedelta(), 0)] * 3)
    places = [queue.place(task_id, _places(free=0)) for task_id in "012"]
    assert [place and (place.position, place.reason) for place in places] == [
        (1, "All places are taken (4); it starts next."),
        (2, "All places are taken (4); 1 task starts before it."),
        (3, "All places are taken (4); 2 tasks start before it."),
    ]
    assert [queue.place(task_id, _places(free=2)) is None for task_id in "012"] == [True, True, False]


def test_draining() -> None:
    """A draining queue lets nobody go, and says that it is why; afterwards it goes on in the same order."""
    queue, tasks = _filled([(timedelta(), 0)] * 3)
    queue.draining = True
    assert queue.take() is None
    place = queue.place("0", _places(free=4))
    assert place is not None and place.position == 1 and "draining" in place.reason
    queue.draining = False
    assert _emptied(queue) == [task.id for task in tasks]


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_the_limit(limit: int) -> None:
    """There is room for as many as may wait, and for those who would not have to; in a drain everybody has to."""
    queue = Queue(limit=limit)
    queue.check_room(_places(free=1))
    for number in range(limit):
        queue.check_room(_places(free=0))
        queue.put(_task(str(number), 0, _START))
    with pytest.raises(QueueFull) as refusal:
        queue.check_room(_places(free=0))
    assert refusal.value.limit == limit
    queue.draining = True
    with pytest.raises(QueueFull):
        queue.check_room(_places(free=1))
