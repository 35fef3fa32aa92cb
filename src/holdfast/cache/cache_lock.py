"""Locks in a cache's store, with fencing numbers.

A lock is an entry with a random token that lives for a time, so that a holder who died does not
keep it. A holder who was only held up may believe in a lock that is another's by now, so each
holder has a number that is higher than those of all before it: what the lock protects must remember
the highest number that it saw, and refuse a lower one. See Kleppmann, "How to do distributed
locking", 2016.

The number is drawn after the lock was taken, and then the lock is looked at again: when it is still
the same, every later holder draws later, and so a higher one.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.cache import envelope
from holdfast.cache.driver import swap_one
from holdfast.errors import LockTimeoutError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.cache.driver import CacheDriver

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.2  # seconds between attempts


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock that was taken. *number* is higher than that of every holder before."""

    name: str
    number: int
    _driver: CacheDriver
    _token: bytes
    _ttl: int

    async def renew(self) -> bool:
        """Hold it for another full time from now; tell whether it was held still.

        Raises UnavailableError while the store is away.
        """
        return await _still(self._driver, self.name, self._token, self._ttl)

    async def release(self) -> bool:
        """Let the next one have it; tell whether it was held still. Raises as `renew` does."""
        return await swap_one(self._driver, self.name, None, over=self._token, shared=True)


async def take_lock(
    driver: CacheDriver,
    name: str,
    *,
    ttl: int,
    wait: float,
    pause: Callable[[float], Awaitable[None]],
) -> HeldLock:
    """Return the lock *name*, once it is free, held for *ttl* milliseconds.

    Raises LockTimeoutError after *wait* seconds, UnavailableError while the store is away.
    """
    entry, numbers = f"l:{name}", f"f:{name}"
    ends = time.monotonic() + wait
    between = _FIRST_PAUSE
    while True:
        token = b"\xc1O" + envelope.new_version()
        if await swap_one(driver, entry, token, over=None, ttl=ttl, shared=True):
            number = await driver.increment(numbers, 1, ttl=None)
            if number is not None and await _still(driver, entry, token, ttl):
                return HeldLock(entry, number, driver, token, ttl)
            continue
        left = ends - time.monotonic()
        if left <= 0:
            raise LockTimeoutError(f"the lock {name!r} is held by another; waited {wait} s")
        await pause(min(random.uniform(between / 2, between), left))  # noqa: S311 - no secret
        between = min(2 * between, _LONGEST_PAUSE)


async def _still(driver: CacheDriver, entry: str, token: bytes, ttl: int) -> bool:
    return await swap_one(driver, entry, token, over=token, ttl=ttl, shared=True)
