"""The rate at which a service takes requests, found by what it refuses as too many."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from holdfast.forks import after_fork

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT = 0.7  # of the rate that was too much
_GROWTH = 0.4  # requests a second, for each second cubed
_LEAST = 5.0  # requests a second: who sends fewer has the pauses between attempts alone
_SETTLED = 60.0  # seconds without a refusal, after which there is no limit any more
_WINDOW = 1.0  # seconds over which requests are counted


class AdaptiveRate:
    """Spreads requests out once some were refused as too many; until then none waits.

    A refusal lowers the rate to 0.7 of what was sent in the second before. From there it grows as
    CUBIC does (RFC 9438): quickly back to near that rate, slowly around it, and quickly beyond.
    After a minute without a refusal there is no limit. Safe among threads. *clock* is in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._refused: float | None = None
        """The rate that was too much, None while none is known to be."""
        self._lowered = 0.0
        self._next = 0.0
        self._since = clock()
        self._count = 0
        self._count_before = 0
        self._new_lock()
        after_fork(self._new_lock)

    def _new_lock(self) -> None:
        self._lock = threading.Lock()

    @property
    def limit(self) -> float | None:
        """How many requests a second may be sent now; None for any number."""
        with self._lock:
            return self._limit(self._clock())

    def reserve(self) -> float:
        """Return the seconds after which the caller may send its request, which is counted."""
        with self._lock:
            at = now = self._clock()
            if self._refused is not None and (limit := self._limit(now)) is not None:
                at = max(now, self._next)
                self._next = at + 1 / limit
            if at - self._since >= _WINDOW:
                self._roll(at)
            self._count += 1
            return at - now

    def refused(self, asked: float) -> None:
        """Take note that the request which reserved at *asked*, by the clock, was one too many.

        Those that were under way when the rate was last lowered say nothing of the new one.
        """
        with self._lock:
            now = self._clock()
            limit = self._limit(now)
            if limit is not None and asked <= self._lowered:
                return
            self._roll(now)
            gone = min(1.0, (now - self._since) / _WINDOW)
            measured = (self._count + self._count_before * (1 - gone)) / _WINDOW
            # Where the limit is what held it, the count lags behind: the limit was too much.
            used = limit is not None and measured > _KEPT * limit
            self._refused = max(_LEAST, limit if limit is not None and used else measured)
            self._lowered = now
            self._next = max(self._next, now)

    def _limit(self, now: float) -> float | None:
        if self._refused is None or now - self._lowered > _SETTLED:
            return None
        back: float = (self._refused * (1 - _KEPT) / _GROWTH) ** (1 / 3)
        grown: float = self._refused + _GROWTH * (now - self._lowered - back) ** 3
        return max(_LEAST, grown)

    def _roll(self, now: float) -> None:
        """Begin a new window where that of the count is over."""
        if now - self._since < _WINDOW:
            return
        gone = now - self._since >= 2 * _WINDOW
        self._count_before = 0 if gone else self._count
        self._count = 0
        self._since = now if gone else self._since + _WINDOW
