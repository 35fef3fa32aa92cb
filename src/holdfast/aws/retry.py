"""Retries of failed requests: the budget for them, and the pause before each."""

from __future__ import annotations

import random
import threading
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from holdfast.clock import utc_now
from holdfast.errors import UnavailableError
from holdfast.forks import after_fork

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


class RetryBudget:
    """Bounds the retries of all requests together, so that they don't drown a sick service.

    A service that fails under load gets more load from clients that retry. A limit for each request
    does not help when there are many requests, so all requests of one bucket share one budget of
    100 tokens. A retry takes 5, and a request that succeeds gives one back: a few failures among
    many successes are always retried, but a service that is down gets 20 retries and then, until it
    answers again, only first attempts. A request that finds no tokens left fails at once.
    """

    def __init__(self, tokens: float = 100, cost: float = 5) -> None:
        self.most = self.tokens = tokens
        self._cost = cost
        self._new_lock()
        after_fork(self._new_lock)

    def _new_lock(self) -> None:
        self._lock = threading.Lock()

    def spend(self) -> bool:
        """Take the tokens of one retry; return whether there were enough."""
        with self._lock:
            if self.tokens < self._cost:
                return False
            self.tokens -= self._cost
            return True

    def earn(self) -> None:
        """Give a token back for a success."""
        if self.tokens < self.most:  # else no lock has to be taken
            with self._lock:
                self.tokens = min(self.tokens + 1, self.most)


def transport_failure(
    request: str, authority: str, attempt: int, error: OSError
) -> UnavailableError:
    """Return what *request* raises that met *error* on its way, in attempt number *attempt*."""
    failure = UnavailableError(
        f"{request}: {authority} failed after {attempt} attempts: {type(error).__name__}: {error}"
    )
    failure.__cause__ = error
    return failure


def backoff(attempt: int, retry_after: float | None) -> float:
    """Return the seconds to wait after failed attempt number *attempt*, the first being 1.

    Exponential from 0.1 to 10 with full jitter, never less than the service asked for.
    """
    spread = random.uniform(0, min(10.0, 0.1 * 2 ** (attempt - 1)))  # noqa: S311 - no secret
    return max(spread, retry_after or 0.0)


def retry_after(
    value: str | None, longest: float, now: Callable[[], datetime] = utc_now
) -> float | None:
    """Return the seconds in a ``Retry-After`` header, or until the date in it, *longest* at most.

    None for nonsense or no header.
    """
    if value is None or not value.isascii():
        return None
    if value.isdigit():
        return min(float(value), longest)
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:  # as RFC 5322 says of -0000
            moment = moment.replace(tzinfo=UTC)
        left = (moment - now()).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(left, 0.0), longest)
