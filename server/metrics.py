"""`GET /metrics`: how the server does, for Prometheus.

Everything is gathered when it is asked for, from the runner and from the hub's audience. On its way from the recorder
to the sockets an event meets none of this; a commit is observed once, by the recorder.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from runner.base import Runner
from runner.stats import AttemptStats, CommitStats, RunnerStats
from server.audience import AudienceStats
from server.hub import Hub
from server.operations import Operation
from server.settings import VERSION


class _Gathered(NamedTuple):
    runner: RunnerStats
    audience: AudienceStats


class Metrics(Collector):
    """The metrics of one application, in a registry of its own."""

    def __init__(self, runner: Runner, hub: Hub) -> None:
        self._runner = runner
        self._hub = hub
        self._gathered: _Gathered | None = None
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def operation(self) -> Operation:
        return Operation(
            method="GET",
            path="/metrics",
            handler=self.get_metrics,
            summary="How the server does, in the text format of Prometheus.",
            answers={200: str},
            media_type="text/plain",
        )

    async def get_metrics(self, _: Request) -> Response:
        self._gathered = _Gathered(await self._runner.stats(), await self._hub.audience.stats(self._hub.position))
        # In a thread, since it reads /proc. A scrape that comes meanwhile has gathered what is as good.
        content = await asyncio.to_thread(generate_latest, self._registry)
        return Response(content, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    def collect(self) -> Iterator[Metric]:
        """As of the last time that something was gathered."""
        yield InfoMetricFamily("metagpt_live_build", "This metagpt-live.", value={"version": VERSION})
        if self._gathered is not None:
            yield from _of_runner(self._gathered.runner)
            yield from _of_commits(self._gathered.runner.commits)
            yield from _of_attempts(self._gathered.runner.attempts)
            yield from _of_audience(self._gathered.audience)


def _of_runner(stats: RunnerStats) -> Iterator[Metric]:
    tasks = GaugeMetricFamily("metagpt_live_tasks", "Tasks, by status.", labels=["status"])
    for status, count in stats.tasks.items():
        tasks.add_metric([status], count)
    yield tasks
    yield _gauge("queue_depth", "Tasks that wait for a place.", stats.queue_depth)
    yield _gauge("running_attempts", "Attempts under way, also those that wait for a person.", len(stats.attempts))
    yield _gauge("concurrency", "Places: attempts that may be at work at the same time.", stats.concurrency)
    stops = CounterMetricFamily("metagpt_live_stops_total", "Stops, by how the run ended.", labels=["how"])
    for how, count in stats.stops.items():
        stops.add_metric([how], count)
    yield stops


def _of_commits(stats: CommitStats) -> Iterator[Metric]:
    bounds = [*map(str, stats.seconds.bounds), "+Inf"]
    yield HistogramMetricFamily(
        "metagpt_live_commit_seconds",
        "How long commits to the store took.",
        buckets=list(zip(bounds, stats.seconds.counts, strict=True)),
        sum_value=stats.seconds.total,
    )
    yield _counter("commit_retries_total", "Commits that the store refused for the moment.", stats.retries)
    yield _counter("events_total", "Events that were appended.", stats.events)


def _of_attempts(attempts: Sequence[AttemptStats]) -> Iterator[Metric]:
    """The task ids are labels of what is under way alone, which is bounded: by the places, and by the limit of what may
    wait for a person without one.
    """
    cpu = CounterMetricFamily(
        "metagpt_live_task_cpu_seconds_total", "CPU time of an attempt's processes.", labels=["task_id"]
    )
    memory = GaugeMetricFamily(
        "metagpt_live_task_resident_memory_bytes", "Memory of an attempt's processes.", labels=["task_id"]
    )
    tokens = CounterMetricFamily(
        "metagpt_live_task_tokens_total", "Tokens of a running task, of all its attempts.", labels=["task_id", "kind"]
    )
    cost = CounterMetricFamily(
        "metagpt_live_task_cost_usd_total", "LLM cost of a running task, of all its attempts.", labels=["task_id"]
    )
    for attempt in attempts:
        task_id = attempt.task_id
        tokens.add_metric([task_id, "prompt"], attempt.usage.prompt_tokens)
        tokens.add_metric([task_id, "completion"], attempt.usage.completion_tokens)
        cost.add_metric([task_id], attempt.usage.cost_usd)
        if attempt.resources is not None:
            cpu.add_metric([task_id], attempt.resources.cpu_seconds)
            memory.add_metric([task_id], attempt.resources.rss_bytes)
    yield from (cpu, memory, tokens, cost)


def _of_audience(stats: AudienceStats) -> Iterator[Metric]:
    subscriptions = GaugeMetricFamily("metagpt_live_subscriptions", "WebSocket subscriptions.", labels=["state"])
    subscriptions.add_metric(["live"], stats.live)
    subscriptions.add_metric(["lagging"], stats.lagging)
    yield subscriptions
    yield _gauge("largest_lag_events", "How far the last subscription is behind its log's head.", stats.largest_lag)
    yield _counter(
        "slow_consumers_total", "Times that a connection at the head was held back, being slow.", stats.slow_consumers
    )
    yield _gauge("websocket_connections", "WebSocket connections that are open.", stats.connections)
    yield _gauge("waiting_polls", "REST polls that wait for events.", stats.waiting_polls)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"metagpt_live_{name}", documentation, value=value)


def _counter(name: str, documentation: str, value: float) -> Metric:
    return CounterMetricFamily(f"metagpt_live_{name}", documentation, value=value)
