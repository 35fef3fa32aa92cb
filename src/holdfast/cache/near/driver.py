"""A driver that answers reads from near copies while they are valid.

**Near-cache validity.** The store tells of changes, in order with its answers: an answer to what
was asked at a time proves that every change before that time was heard of. So copies are valid for
a fixed time that begins when the last answered question was *asked* (not when its answer came),
and every writer waits for as long before it says APPLIED. By then a process with copies either
heard of the change, or its copies are no longer valid. The argument is that of Gray and Cheriton,
"Leases", SOSP 1989.

**The mark.** Writers wait only where somebody keeps copies: such processes mark the namespace in
the store. A process that finds the mark gone serves nothing until it has made it again.

**Two connections.** In RESP3 changes are told on the connection that reads. In RESP2 they come on
a second one, whose order says nothing about the first; so there the second is asked
(`sync_invalidations`) before validity begins, and answers alone don't prolong it.

**Reads that a change overtakes.** A name is announced to the copies before it is read. A change
that is told while the answer is on its way drops the announcement, and the answer is not kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cache import envelope
from holdfast.cache.driver import NEAR
from holdfast.cache.entry_name import KEYS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from holdfast.cache.driver import CacheCapability, Outcome, Swap, TrackingDriver
    from holdfast.cache.monitor import CacheCounters
    from holdfast.cache.near.copies import NearCopies
    from holdfast.cache.pattern import Pattern
    from holdfast.cache.token_bucket import TokenBucket

_DIGITS = frozenset(b"-0123456789")


class NearDriver:
    """A driver over *remote* with *copies*, which are valid for *validity* seconds.

    *clock* is monotonic, in seconds.
    """

    def __init__(
        self,
        remote: TrackingDriver,
        copies: NearCopies,
        counters: CacheCounters,
        *,
        validity: float,
        clock: Callable[[], float],
    ) -> None:
        self._remote = remote
        self._copies = copies
        self._counters = counters
        self._validity = validity
        self._clock = clock
        self._valid_until = 0.0

    @property
    def name(self) -> str:
        """The name of the backend behind it."""
        return self._remote.name

    @property
    def capabilities(self) -> frozenset[CacheCapability]:
        """What the backend behind it can do."""
        return self._remote.capabilities

    def on_invalidate(self, names: Sequence[str] | None) -> None:
        """Forget *names*, or everything: the store says that they changed."""
        if names is None:
            self._forget_all()
            return
        self._copies.drop(names)
        if NEAR in names:  # renewed or lost: the next answer says which
            self._valid_until = 0.0

    async def connect(self) -> str:
        """Connect again, without any copies; see `SharedDriver.connect`."""
        self._forget_all()
        return await self._remote.connect()

    def abandon(self) -> None:
        """Forget every copy, and be without connections; see `SharedDriver.abandon`."""
        self._forget_all()
        self._remote.abandon()

    async def close(self) -> None:
        """Forget every copy and let go of the store. Idempotent."""
        self._forget_all()
        await self._remote.close()

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Return what is under *names*, from valid copies where there are any."""
        if self._clock() >= self._valid_until or not self._remote.alive:
            return await self._fetched(names)
        found = self._copies.find(names)
        missing = [name for name, copy in zip(names, found, strict=True) if copy is None]
        self._counters.near_hits += len(names) - len(missing)
        if not missing:
            return found
        fetched = dict(zip(missing, await self._fetched(missing), strict=True))
        return [
            fetched[name] if copy is None else copy for name, copy in zip(names, found, strict=True)
        ]

    async def set_many(self, items: Sequence[tuple[str, bytes]], *, ttl: int | None) -> Outcome:
        """Store *items*, and forget their copies before and after."""
        names = [name for name, _ in items]
        self._copies.drop(names)
        try:
            return await self._remote.set_many(items, ttl=ttl)
        finally:
            self._copies.drop(names)

    async def swap_many(
        self, swaps: Sequence[Swap], *, ttl: int | None, shared: bool = False
    ) -> list[bool]:
        """Do *swaps*, and forget their names' copies."""
        try:
            return await self._remote.swap_many(swaps, ttl=ttl, shared=shared)
        finally:
            self._copies.drop([swap.name for swap in swaps])

    async def delete_many(self, names: Sequence[str], *, pattern: Pattern | None = None) -> Outcome:
        """Remove *names* and what *pattern* fits, and forget their copies before and after."""
        self._copies.drop(names, pattern)
        try:
            return await self._remote.delete_many(names, pattern=pattern)
        finally:
            self._copies.drop(names, pattern)

    async def discard(self, names: Sequence[str], *, pattern: Pattern | None = None) -> None:
        """Remove without waiting for copies elsewhere; those here are forgotten."""
        try:
            await self._remote.discard(names, pattern=pattern)
        finally:
            self._copies.drop(names, pattern)

    async def discard_while(self, name: str, value: bytes | None, names: Sequence[str]) -> bool:
        """Discard *names* while *name* holds *value*; their copies here are forgotten."""
        try:
            return await self._remote.discard_while(name, value, names)
        finally:
            self._copies.drop(names)

    async def wait_for_near_expiry(self) -> None:
        """Return when no process serves a near copy of what was discarded before."""
        await self._remote.wait_for_near_expiry()

    async def increment(self, name: str, by: int, *, ttl: int | None) -> int | None:
        """Add to the number under *name*, which is never copied."""
        try:
            return await self._remote.increment(name, by, ttl=ttl)
        finally:
            self._copies.drop((name,))

    async def take(self, name: str, bucket: TokenBucket, count: float) -> float:
        """Take tokens in the store; buckets are never copied."""
        return await self._remote.take(name, bucket, count)

    async def expire(self, name: str, ttl: int | None) -> bool:
        """Give *name* a new time to live, and forget its copy."""
        try:
            return await self._remote.expire(name, ttl)
        finally:
            self._copies.drop((name,))

    async def ttl(self, name: str) -> int | None:
        """Return the milliseconds left, as the store says."""
        return await self._remote.ttl(name)

    def scan(self, prefix: str) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Yield what is in the store; copies take no part in it."""
        return self._remote.scan(prefix)

    async def _fetched(self, names: Sequence[str]) -> list[bytes | None]:
        """Read *names* from the store, keep copies, and prolong their validity."""
        if not names:
            return []
        asked = self._clock()
        heard = not self._remote.separate_messages
        if not heard and asked >= self._valid_until:
            await self._remote.sync_invalidations()
            heard = True
        fetch = self._copies.announce(names)
        try:
            values, lefts, marked = await self._remote.read_tracked(
                names, validity=round(self._validity * 1000)
            )
        except BaseException:
            self._copies.give_up(fetch)
            raise
        if not marked:  # writers may not wait now, so nothing is valid
            self._valid_until = 0.0
            self._copies.give_up(fetch)
            return values
        self._copies.keep(
            fetch,
            [
                (name, value if _keeps(name, value) and left != -2 else None, _end(asked, left))
                for name, value, left in zip(names, values, lefts, strict=True)
            ],
        )
        if heard:
            self._valid_until = max(self._valid_until, asked + self._validity)
        return values

    def _forget_all(self) -> None:
        self._valid_until = 0.0
        self._copies.clear()


def _keeps(name: str, value: bytes | None) -> bool:
    """Return whether *value* may be copied: no load lock, and no number that others add to."""
    if not value or envelope.is_load_lock(value):
        return False
    return value[0] not in _DIGITS or not name.startswith(KEYS)


def _end(asked: float, left: int) -> float | None:
    return None if left < 0 else asked + left / 1000
