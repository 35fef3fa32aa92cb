"""Figures of what was done since something was opened, in one shape for every pillar."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

from holdfast.forks import after_fork

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from holdfast.tracing import Spans

T = TypeVar("T")

_SHORTEST = 1e-5  # seconds, the upper edge of the first class of latencies
_STEPS = 8  # classes to each doubling: an edge is 9% above the one before
_CLASSES = 26 * _STEPS  # up to eleven minutes
_log = logging.getLogger("holdfast.operations")
_NO_SPAN = nullcontext()


@dataclass(frozen=True, slots=True)
class OperationStats:
    """What one kind of operation did. Times are in seconds; percentiles exceed by 9% at most."""

    count: int
    errors: int
    bytes: int
    seconds: float
    p50: float
    p95: float
    p99: float
    buckets: tuple[tuple[float, int], ...] = ()
    """Edges in seconds, each four times the one before, with how many took at most as long."""

    @property
    def success_rate(self) -> float:
        """The share that raised nothing, from 0 to 1."""
        return 1 - self.errors / self.count if self.count else 1.0

    @property
    def bytes_per_second(self) -> float:
        """The speed of one operation at a time."""
        return self.bytes / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures by name: *counters* only grow, *gauges* say how something stands now.

    *operations* is by the name of the verb.
    """

    operations: Mapping[str, OperationStats] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationOptions:
    """What is measured and logged of a store's operations, at 2 to 3 µs for each of them.

    With *measure* `stats()` has them by their verb, with their latencies. Those that take
    *slow_operation* seconds or more are logged, by `holdfast.operations`; 0 is never. Where
    OpenTelemetry has a provider when the store is opened, each is in a span, whatever is said here.
    """

    measure: bool = False
    slow_operation: float = 0.0


class OperationRecorder:
    """Counts operations and their latencies in bounded memory. Safe among threads.

    *spans* puts each into a span, and those that take *slow* seconds or more, by *clock*, are
    logged with the name of the *backend*.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        *,
        spans: Spans | None = None,
        slow: float = math.inf,
        backend: str = "",
    ) -> None:
        self.clock = clock
        self._spans = spans
        self._slow = slow
        self._backend = backend
        self._histograms: dict[str, _Histogram] = {}
        self._new_lock()
        after_fork(self._new_lock)

    async def timed(
        self,
        operation: str,
        call: Awaitable[T],
        size: Callable[[T], int] | None = None,
        *,
        on: str = "",
    ) -> T:
        """Return what *call* returns, counted as one *operation*; *size* tells its bytes.

        *on* is the table that it works on, for the span and the log.
        """
        began = self.clock()
        failed, moved = True, 0
        try:
            with _NO_SPAN if self._spans is None else self._spans.around(operation, on):
                result = await call
            failed = False
            if size is not None:
                moved = size(result)
            return result
        finally:
            seconds = self.clock() - began
            self.record(operation, seconds, moved, failed=failed)
            if seconds >= self._slow:
                where = f"{operation} {on}".rstrip()
                _log.warning("slow operation, %.3f s: %s, %s", seconds, self._backend, where)

    def record(self, operation: str, seconds: float, size: int = 0, *, failed: bool) -> None:
        """Count one *operation* that took *seconds* and moved *size* bytes."""
        with self._lock:
            histogram = self._histograms.get(operation)
            if histogram is None:
                histogram = self._histograms[operation] = _Histogram()
            histogram.add(seconds, size, failed=failed)

    def _new_lock(self) -> None:
        self._lock = threading.Lock()

    def operations(self) -> dict[str, OperationStats]:
        """Return the figures so far, sorted by the operation's name."""
        with self._lock:
            return {name: found.stats() for name, found in sorted(self._histograms.items())}


class _Histogram:
    __slots__ = ("bytes", "classes", "count", "errors", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.errors = 0
        self.bytes = 0
        self.seconds = 0.0
        self.classes = [0] * _CLASSES

    def add(self, seconds: float, size: int, *, failed: bool) -> None:
        self.count += 1
        self.errors += failed
        self.bytes += size
        self.seconds += seconds
        place = 0 if seconds <= _SHORTEST else math.ceil(math.log2(seconds / _SHORTEST) * _STEPS)
        self.classes[min(place, _CLASSES - 1)] += 1

    def stats(self) -> OperationStats:
        return OperationStats(
            self.count,
            self.errors,
            self.bytes,
            self.seconds,
            self._percentile(0.50),
            self._percentile(0.95),
            self._percentile(0.99),
            self._buckets(),
        )

    def _buckets(self) -> tuple[tuple[float, int], ...]:
        reached = list(accumulate(self.classes))
        return tuple(
            (_SHORTEST * 2 ** (place / _STEPS), reached[place])
            for place in range(0, _CLASSES, 2 * _STEPS)
        )

    def _percentile(self, share: float) -> float:
        if not self.count:
            return 0.0
        reached = accumulate(self.classes)
        place = next(place for place, seen in enumerate(reached) if seen >= share * self.count)
        return float(_SHORTEST * 2 ** (place / _STEPS))
