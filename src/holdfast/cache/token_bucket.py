"""Token buckets: how much of one may be taken, and when there is enough again.

A bucket is kept as one time: when it will be full. To take tokens moves that time on, and is
refused where it would lie further ahead than the bucket is large (the generic cell rate algorithm).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.errors import InvalidValueError


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """*rate* tokens come back each second, up to *burst* of them."""

    rate: float
    burst: float

    def take(self, full_at: float, count: float, now: float) -> tuple[float, float]:
        """Return when the bucket is full after *count* tokens were taken, and the seconds to wait.

        Where there is something to wait for, nothing was taken. Times are in seconds of one clock.
        """
        after = max(full_at, now) + count / self.rate
        wait = after - now - self.burst / self.rate
        return (full_at, wait) if wait > 0 else (after, 0.0)


def check_bucket(rate: float, burst: float, count: float) -> TokenBucket:
    """Return the bucket of *rate* and *burst*. Raises InvalidValueError, also for a bad *count*."""
    for field, number in (("rate", rate), ("burst", burst), ("count", count)):
        if (
            isinstance(number, bool)
            or not isinstance(number, (int, float))
            or not math.isfinite(number)
            or number <= 0
        ):
            raise InvalidValueError("cache", field, f"expected a number above 0, got {number!r}")
    if count > burst:
        raise InvalidValueError(
            "cache", "count", f"{count!r} tokens are never there at once: the burst is {burst!r}"
        )
    return TokenBucket(rate, burst)
