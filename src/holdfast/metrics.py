"""Figures of stores, buckets, caches and jobs for Prometheus, as a collector of its client."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, Protocol

from holdfast.extras import needs_extra
from holdfast.jobs import TaskFigures
from holdfast.jobs.history.task_figures import EDGES
from holdfast.jobs.side_tables import has_table

with needs_extra("metrics", "figures for Prometheus"):
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from holdfast.jobs import Jobs, QueueStatistics, TaskStatistics
    from holdfast.stats import Stats

Pillar = Literal["store", "bucket", "cache"]

MOST_TASKS = 200
"""Pairs of a queue and a task that have samples of their own."""

_ABOUT = {
    "committed": "transactions that were committed",
    "rolled_back": "transactions that were undone",
    "retries": "times that something was tried again",
    "connections_opened": "connections that were opened",
    "connections_lost": "connections that broke",
    "connections_open": "connections that are open",
    "connections_idle": "connections that nobody uses",
    "connections_waiting": "callers that wait for a connection",
    "rows": "rows that are committed",
    "cache_hits": "descriptions that were found in the cache",
    "cache_misses": "descriptions that were not",
    "hits": "reads that found a value",
    "misses": "reads that found none",
    "loads": "loads that ran",
    "failed_loads": "loads that raised",
    "load_seconds": "seconds that loads took",
    "void_loads": "loads that an invalidation overtook",
    "unreadable": "values of another type than was asked for",
    "near_hits": "lookups answered from copies in the process",
    "outages": "times that the store went away",
    "pending_answers": "writes and invalidations that returned before the store heard",
    "up": "1 while the store is used",
    "since": "Unix time at which that began",
    "pending": "invalidations that wait for the store",
    "overflowed": "1 while one invalidation stands for all keys",
}
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]")


class Measured(Protocol):
    """An open store, bucket or cache, awaited or blocking, as metrics see it."""

    @property
    def backend(self) -> str:
        """The name of its backend."""
        ...

    def stats(self) -> Stats:
        """Return its figures without any I/O."""
        ...


@dataclass(frozen=True, slots=True)
class MeasuredPart:
    """One open thing and the *name* that its samples bear."""

    pillar: Pillar
    name: str
    part: Measured


class MetricsCollector(Collector):
    """The figures of *parts*, read from their `stats()` whenever they are collected. No I/O.

    Register it with a registry of prometheus-client, or use `exposition`. Samples have the labels
    `name` and `backend`, operations also `operation`; times are in seconds. *jobs* that live are
    counted by queue and status, and what came of jobs by queue and task, as `refresh` last found
    them: of MOST_TASKS pairs at most, those that were busy last.
    """

    def __init__(self, parts: Mapping[Pillar, Mapping[str, Measured]], jobs: Jobs | None) -> None:
        self._parts = [
            MeasuredPart(pillar, name, part)
            for pillar, named in parts.items()
            for name, part in named.items()
        ]
        self._jobs = jobs
        self._queues: Mapping[str, QueueStatistics] = {}
        self._tasks: Sequence[tuple[str, TaskStatistics]] = ()

    async def refresh(self) -> None:
        """Count the jobs that live, and read the totals of tasks. Raises UnavailableError."""
        if self._jobs is not None:
            self._queues = await self._jobs.statistics(finished=False)
            if has_table(self._jobs.store, TaskFigures):
                self._tasks = await self._jobs.task_totals(most=MOST_TASKS)

    async def exposition(self) -> bytes:
        """Return all figures as Prometheus reads them, the jobs counted just now.

        Raises UnavailableError when the jobs can't be counted.
        """
        await self.refresh()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def describe(self) -> list[Metric]:
        """Return nothing: which figures there are is known when they are collected."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every figure, each metric once, with a sample for each part that has it."""
        found: dict[Pillar, list[tuple[list[str], Stats]]] = defaultdict(list)
        for each in self._parts:
            labels = [each.name, each.part.backend]
            found[each.pillar].append((labels, each.part.stats()))
        for pillar, stats in found.items():
            yield from _operations(pillar, stats)
            yield from _numbers(pillar, stats)
        yield from self._of_jobs()

    def _of_jobs(self) -> Iterator[Metric]:
        if self._jobs is None:
            return
        counts = GaugeMetricFamily(
            "holdfast_jobs", "jobs that live, by queue and status", labels=["queue", "status"]
        )
        oldest = GaugeMetricFamily(
            "holdfast_jobs_oldest_due_seconds",
            "how long the oldest job has been due",
            labels=["queue"],
        )
        for queue, figures in self._queues.items():
            for status, count in figures.counts.items():
                counts.add_metric([queue, status.value], count)
            due = 0.0 if figures.oldest is None else figures.oldest.total_seconds()
            oldest.add_metric([queue], due)
        yield counts
        yield oldest
        yield from _of_tasks(self._tasks)


def _of_tasks(tasks: Sequence[tuple[str, TaskStatistics]]) -> Iterator[Metric]:
    labels = ["queue", "task"]
    ends = CounterMetricFamily(
        "holdfast_job_ends", "jobs that ended, by how", labels=[*labels, "status"]
    )
    retried = CounterMetricFamily(
        "holdfast_job_retries", "attempts after which the job waited for another", labels=labels
    )
    lost = CounterMetricFamily("holdfast_job_lost_leases", "leases that ran out", labels=labels)
    seconds = HistogramMetricFamily(
        "holdfast_job_attempt_seconds", "how long attempts took", labels=labels
    )
    edges = [repr(edge.total_seconds()) for edge in EDGES]
    for queue, each in tasks:
        task = each.name
        for status in ("succeeded", "failed", "cancelled"):
            ends.add_metric([queue, task, status], getattr(each, status))
        retried.add_metric([queue, task], each.retried)
        lost.add_metric([queue, task], each.lost)
        below = [float(count) for count in accumulate(each.histogram)]
        buckets = list(zip([*edges, "+Inf"], below, strict=True))
        seconds.add_metric([queue, task], buckets, each.duration.total_seconds())
    yield from (ends, retried, lost, seconds)


def _operations(pillar: Pillar, stats: list[tuple[list[str], Stats]]) -> Iterator[Metric]:
    labels = ["name", "backend", "operation"]
    prefix = f"holdfast_{pillar}_operation"
    seconds = HistogramMetricFamily(f"{prefix}_seconds", "how long it took", labels=labels)
    errors = CounterMetricFamily(f"{prefix}_errors", "operations that raised", labels=labels)
    moved = CounterMetricFamily(f"{prefix}_bytes", "bytes that were moved", labels=labels)
    for given, each in stats:
        for name, figures in each.operations.items():
            values = [*given, name]
            buckets = [(repr(edge), float(count)) for edge, count in figures.buckets]
            seconds.add_metric(values, [*buckets, ("+Inf", figures.count)], figures.seconds)
            errors.add_metric(values, figures.errors)
            moved.add_metric(values, figures.bytes)
    if seconds.samples:
        yield from (seconds, errors, moved)


def _numbers(pillar: Pillar, stats: list[tuple[list[str], Stats]]) -> Iterator[Metric]:
    labels = ["name", "backend"]
    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for given, each in stats:
        for name, value in each.counters.items():
            key = _name(pillar, name)
            about = _ABOUT.get(name, name)
            counter = families.setdefault(key, CounterMetricFamily(key, about, labels=labels))
            counter.add_metric(given, value)
        for name, value in each.gauges.items():
            key = _name(pillar, name)
            about = _ABOUT.get(name, name)
            gauge = families.setdefault(key, GaugeMetricFamily(key, about, labels=labels))
            gauge.add_metric(given, value)
    yield from families.values()


def _name(pillar: Pillar, figure: str) -> str:
    return f"holdfast_{pillar}_{_NO_NAME.sub('_', figure)}"
