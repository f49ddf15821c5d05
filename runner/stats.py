"""How a runner does: what it has counted since it was opened, and how it stands now.

Nothing here is touched per event. The recorder counts each commit once; all else is read off when somebody asks.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Literal

import msgspec

from runner.states import Status
from runner.usage import Usage

COMMIT_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds

How = Literal["graceful", "killed"]


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """How values were distributed. counts: how many were at most each of the bounds; the last, how many there were."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


class Histogram:
    """Counts values between bounds, which ascend."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def read(self) -> Distribution:
        return Distribution(bounds=self._bounds, counts=tuple(accumulate(self._counts)), total=self._total)


class CommitStats(msgspec.Struct, frozen=True, kw_only=True):
    """Of the commits. seconds: how long each took, waiting for a store that refuses included. events: that were
    appended. retries: how often the store refused for the moment, and was asked again.
    """

    seconds: Distribution
    events: int
    retries: int


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """Of a process and all its descendants.

    cpu_seconds: used since it began, with what ended descendants used as far as their parents waited for them.
    cpu_percent: of one core, since the last reading. rss_bytes: memory that is resident now; what processes share
    counts for each.
    """

    cpu_seconds: float
    cpu_percent: float
    rss_bytes: int


class AttemptStats(msgspec.Struct, frozen=True, kw_only=True):
    """Of an attempt that is under way. usage: of all attempts of the task. resources: None until they were measured."""

    task_id: str
    usage: Usage
    resources: Resources | None


class RunnerStats(msgspec.Struct, frozen=True, kw_only=True):
    """tasks: how many there are of each status. queue_depth: tasks that wait for a place. concurrency: attempts that
    may be at work at the same time; those that wait for a person come on top. stops: attempts and queued tasks that
    were stopped, by how they ended.
    """

    tasks: Mapping[Status, int]
    queue_depth: int
    concurrency: int
    attempts: Sequence[AttemptStats]
    commits: CommitStats
    stops: Mapping[How, int]
