"""A driver that goes on without its store: reads from this process, invalidations written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.cache.driver import NotAskedError, Outcome
from holdfast.cache.outage.store_connection import CLOSED, StoreConnection
from holdfast.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from holdfast.cache.driver import CacheDriver, Swap
    from holdfast.cache.pattern import Pattern
    from holdfast.cache.token_bucket import TokenBucket

T = TypeVar("T")


class FallbackDriver(StoreConnection):
    """A driver over *remote* that goes on without it; also the cache's monitor.

    After `close` every call raises RuntimeError.
    """

    async def close(self) -> None:
        """Let go of the store; what is asked after this raises RuntimeError. Idempotent."""
        with self._mutex:
            self._closed = True
            self._up = False
            self._reason = CLOSED
            self._local.clear()
        await self._remote.close()

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Return what is under *names* in the store, or here while it is away."""
        return await self._read(lambda driver: driver.get_many(names))

    async def ttl(self, name: str) -> int | None:
        """Return the milliseconds left in the store, or here while it is away."""
        return await self._read(lambda driver: driver.ttl(name))

    async def set_many(self, items: Sequence[tuple[str, bytes]], *, ttl: int | None) -> Outcome:
        """Store *items*; PENDING while the store is away, and kept here for a short time."""
        while True:
            if not self._up and not await self._retried():
                if await self._write_down([name for name, _ in items], items=items, ttl=ttl):
                    self.counters.pending_answers += 1
                    return Outcome.PENDING
                continue
            used = self._round
            try:
                return await self._remote.set_many(items, ttl=ttl)
            except UnavailableError as error:
                self._lose(used, error)

    async def swap_many(
        self, swaps: Sequence[Swap], *, ttl: int | None, shared: bool = False
    ) -> list[bool]:
        """Do *swaps* in the store; unless *shared*, here while it is away."""
        if shared:
            return await self._strict(lambda: self._remote.swap_many(swaps, ttl=ttl, shared=True))
        while self._up or await self._retried():
            used = self._round
            try:
                return await self._remote.swap_many(swaps, ttl=ttl)
            except UnavailableError as error:
                self._lose(used, error)
                if isinstance(error, NotAskedError):
                    continue
                # Carried out or not: what it may have left must go before the store is used, or a
                # load lock that came to be later than its load began would admit that load's value.
                if not await self._write_down([swap.name for swap in swaps]):
                    return [False] * len(swaps)
                break
        with self._mutex:
            if self._up:
                return [False] * len(swaps)  # what is in this process does not count any more
            return await self._local.swap_many(swaps, ttl=self._shorter(ttl))

    async def delete_many(self, names: Sequence[str], *, pattern: Pattern | None = None) -> Outcome:
        """Remove *names* and what *pattern* fits; written down while the store is away."""
        while True:
            if not self._up and not await self._retried():
                if await self._write_down(names, pattern):
                    self.counters.pending_answers += 1
                    return Outcome.PENDING
                continue
            used = self._round
            try:
                return await self._remote.delete_many(names, pattern=pattern)
            except UnavailableError as error:
                self._lose(used, error)
            except BaseException:  # cancelled: it may be on its way, so it is done once more
                self._journal.add(names, pattern)
                self._on_loss()
                raise

    async def increment(self, name: str, by: int, *, ttl: int | None) -> int | None:
        """Add in the store. Raises UnavailableError while it is away."""
        return await self._strict(lambda: self._remote.increment(name, by, ttl=ttl))

    async def take(self, name: str, bucket: TokenBucket, count: float) -> float:
        """Take tokens in the store. Raises UnavailableError while it is away."""
        return await self._strict(lambda: self._remote.take(name, bucket, count))

    async def expire(self, name: str, ttl: int | None) -> bool:
        """Give a new time to live in the store. Raises UnavailableError while it is away."""
        return await self._strict(lambda: self._remote.expire(name, ttl))

    async def scan(self, prefix: str) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Yield what is in the store, or here while it is away.

        Raises UnavailableError when the store goes away meanwhile: half of a listing is not one.
        """
        yielded = False
        while self._up or await self._retried():
            used = self._round
            try:
                async for batch in self._remote.scan(prefix):
                    yielded = True
                    yield batch
            except UnavailableError as error:
                self._lose(used, error)
                if yielded or not isinstance(error, NotAskedError):
                    raise
            else:
                return
        async for batch in self._local.scan(prefix):
            yield batch

    async def _read(self, ask: Callable[[CacheDriver], Awaitable[T]]) -> T:
        """Return what the store answers, or this process while it is away."""
        while self._up or await self._retried():
            used = self._round
            try:
                return await ask(self._remote)
            except UnavailableError as error:
                self._lose(used, error)
        return await ask(self._local)

    async def _write_down(
        self,
        names: Sequence[str],
        pattern: Pattern | None = None,
        *,
        items: Sequence[tuple[str, bytes]] = (),
        ttl: int | None = None,
    ) -> bool:
        """Journal *names*, forget them here and keep *items*; False if the store is back in use."""
        with self._mutex:  # the local driver never suspends, so nothing comes in between
            if self._up:
                return False
            self._journal.add(names, pattern)
            await self._local.delete_many(names, pattern=pattern)
            await self._local.set_many(items, ttl=self._shorter(ttl))
            return True

    def _shorter(self, ttl: int | None) -> int | None:
        longest = max(1, self._keep)
        return longest if ttl is None else min(ttl, longest)
