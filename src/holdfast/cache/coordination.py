"""What processes agree on by a cache's store: who holds a lock, who may go on."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from holdfast.cache.cache_lock import take_lock
from holdfast.cache.driver import CacheCapability
from holdfast.cache.entry_name import TTL, check_name, milliseconds
from holdfast.cache.token_bucket import check_bucket
from holdfast.capability import require
from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from holdfast.cache.cache_lock import HeldLock
    from holdfast.cache.driver import CacheDriver, TokenDriver


class Coordination:
    """Locks and token buckets in the store of a cache; `Cache` inherits it."""

    def __init__(self, driver: CacheDriver, pause: Callable[[float], Awaitable[None]]) -> None:
        self._driver = driver
        self._pause = pause

    @asynccontextmanager
    async def lock(
        self, name: str, *, ttl: TTL = 30.0, wait: TTL = 10.0
    ) -> AsyncIterator[HeldLock]:
        """Hold the lock *name*, which one caller in all processes has at a time, for the block.

        It is held for *ttl* at most, `renew` begins that time again. What it protects must refuse a
        `number` lower than one that it saw: a caller that was held up may go on when the lock is
        another's. The numbers begin again when the store loses its data. Raises LockTimeoutError
        after *wait*, UnavailableError while the store is away.
        """
        life, longest = milliseconds("ttl", ttl), milliseconds("wait", wait)
        if life is None or longest is None:
            raise InvalidValueError("cache", "ttl", "a lock lives and is waited for a time")
        held = await take_lock(
            self._driver, check_name(name), ttl=life, wait=longest / 1000, pause=self._pause
        )
        try:
            yield held
        finally:
            await held.release()

    async def take_token(self, name: str, *, rate: float, burst: float, count: float = 1) -> float:
        """Take *count* tokens from the bucket *name*; return 0, or the seconds until there are.

        When there are too few nothing is taken. *rate* tokens come back each second, up to
        *burst*; a bucket that was never used is full. One atomic step for all processes, by the
        store's clock. Raises UnavailableError while the store is away, UnsupportedError where it
        has none of these, InvalidValueError.
        """
        bucket = check_bucket(rate, burst, count)
        require(CacheCapability.TOKEN_BUCKETS, self._driver.capabilities, self._driver.name)
        return await cast("TokenDriver", self._driver).take(f"b:{check_name(name)}", bucket, count)
