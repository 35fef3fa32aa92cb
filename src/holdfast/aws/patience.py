"""How long to wait, and how often to try again."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds and counts that bound what one call may take.

    *connect*: until a connection stands. *read*: until the next bytes come or go. *total*: for
    one request with all its repetitions. *attempts*: how often one request is sent at the most.
    *connections*: how many are open at once. *idle*: how long one is kept for the next request.
    """

    connect: float = 5.0
    read: float = 30.0
    total: float = 300.0
    attempts: int = 6
    connections: int = 32
    idle: float = 15.0


class Patience:
    """The time that one request has left."""

    __slots__ = ("_clock", "_ends", "_limits")

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._ends = clock() + limits.total

    @property
    def left(self) -> float:
        return self._ends - self._clock()

    def connect(self) -> float:
        """Return the seconds that connecting may take. Raises TimeoutError when none is left."""
        return self._at_most(self._limits.connect)

    def read(self) -> float:
        """Return the seconds to wait for the next bytes. Raises TimeoutError when none is left."""
        return self._at_most(self._limits.read)

    def _at_most(self, seconds: float) -> float:
        left = self.left
        if left <= 0:
            raise TimeoutError(f"it took longer than {self._limits.total} s")
        return min(seconds, left)


class Budget:
    """Bounds repetitions of all requests together, so that retries don't drown a sick service.

    A repetition costs five tokens of a hundred; a request that succeeds returns one.
    """

    def __init__(self, tokens: float = 100, cost: float = 5) -> None:
        self._lock = threading.Lock()
        self._most = self._tokens = tokens
        self._cost = cost

    def spend(self) -> bool:
        """Take what one repetition costs; return whether that much was there."""
        with self._lock:
            if self._tokens < self._cost:
                return False
            self._tokens -= self._cost
            return True

    def earn(self) -> None:
        """Note a success."""
        if self._tokens < self._most:
            with self._lock:
                self._tokens = min(self._tokens + 1, self._most)


def pause(attempt: int, retry_after: float | None) -> float:
    """Return the seconds to wait after failed attempt number *attempt*, the first being 1.

    Exponential from 0.1 to 10 with full jitter, never less than the service asked for.
    """
    spread = random.uniform(0, min(10.0, 0.1 * 2 ** (attempt - 1)))  # noqa: S311 - no secret
    return max(spread, retry_after or 0.0)


def retry_after(value: str | None, longest: float) -> float | None:
    """Return the seconds in a ``Retry-After`` header, None for a date, nonsense or nothing."""
    if value is None or not value.isascii() or not value.isdigit():
        return None
    return min(float(value), longest)
