"""The metrics of runs that have ended: of a long log they take a while, and many pages ask for them."""

from collections import OrderedDict

import msgspec

from runner.base import Filter, Store
from runner.measures import TaskMetrics
from runner.metrics import read_metrics
from runner.states import TERMINAL
from runner.task import Task

_MOST = 100


class _Known(msgspec.Struct, frozen=True):
    """task: as it was then. first_event_id: as then, since retention deletes events without touching the task."""

    task: Task
    first_event_id: int
    metrics: TaskMetrics


class MetricsCache:
    """Metrics, of which the last that were asked for are remembered while nothing that they tell of can change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[tuple[str, int | None], _Known] = OrderedDict()

    async def read(self, task_id: str, *, through: int | None) -> TaskMetrics:
        """As `read_metrics`."""
        task = await self._store.get_task(task_id)
        if task.status not in TERMINAL:
            return await read_metrics(self._store, task_id, through=through)
        first = await self._first(task_id)
        known = self._known.pop((task_id, through), None)
        if known is None or (known.task, known.first_event_id) != (task, first):
            known = _Known(task, first, await read_metrics(self._store, task_id, through=through))
        if known.metrics.first_event_id == first:
            self._known[task_id, through] = known
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return known.metrics

    async def _first(self, task_id: str) -> int:
        """The first event that there is."""
        page = await self._store.read_events(task_id, after=0, limit=1, size=1, filter=Filter())
        return 1 if page.gap is None else page.gap.last + 1
