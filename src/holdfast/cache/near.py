"""Reads answered from this process while the store is known to have said nothing else.

The store tells of changes, in order with its answers: an answer to what was asked at a time proves
that every change before that time was heard of. So copies are served for a lease, which begins when
the last answered question was asked and no later; and whoever changes something waits for as long
before it says APPLIED. After that nobody serves what was there before: either it heard of the
change, or its lease is over. (Gray and Cheriton, "Leases", SOSP 1989.) That a namespace has such
processes is marked in the store, for those who write; who loses the mark serves nothing until it is
made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from holdfast.cache import entry
from holdfast.cache.driver import NEAR
from holdfast.cache.fallback import Remote
from holdfast.cache.naming import KEYS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from holdfast.cache.driver import Outcome, Swap
    from holdfast.cache.health import Statistics
    from holdfast.cache.nearstore import NearStore
    from holdfast.cache.pattern import Pattern

_DIGITS = frozenset(b"-0123456789")


class Telling(Remote, Protocol):
    """A backend that tells when what was read from it changes."""

    @property
    def alive(self) -> bool:
        """False once the connection is known to be lost."""
        ...

    @property
    def tells_apart(self) -> bool:
        """Tells whether changes are told beside the answers, so that `hear` must be asked."""
        ...

    async def hear(self) -> None:
        """Return when every change up to now was told. Raises UnavailableError."""
        ...

    async def read(
        self, names: Sequence[str], *, lease: int
    ) -> tuple[list[bytes | None], list[int], bool]:
        """Return what is under *names*, the milliseconds that each has left, and the mark.

        The last tells whether the namespace was marked then as one with leases of *lease*
        milliseconds; soon it is. Times left are -1 for ever, -2 for nothing there.
        """
        ...


class NearDriver:
    """A driver over *remote* that keeps copies in *store*, for *lease* seconds after it heard."""

    def __init__(
        self,
        remote: Telling,
        store: NearStore,
        statistics: Statistics,
        *,
        lease: float,
        clock: Callable[[], float],
    ) -> None:
        self._remote = remote
        self._store = store
        self._statistics = statistics
        self._lease = lease
        self._clock = clock
        self._until = 0.0  # the end of the lease

    def told(self, names: Sequence[str] | None) -> None:
        """Forget *names*, or everything: the store says that they changed."""
        if names is None:
            self._forget_all()
            return
        self._store.drop(names)
        if NEAR in names:  # renewed or lost: the next answer says which
            self._until = 0.0

    async def connect(self) -> str:
        self._forget_all()
        return await self._remote.connect()

    async def close(self) -> None:
        self._forget_all()
        await self._remote.close()

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        if self._clock() >= self._until or not self._remote.alive:
            return await self._fetched(names)
        found = self._store.find(names)
        missing = [name for name, copy in zip(names, found, strict=True) if copy is None]
        self._statistics.near_hits += len(names) - len(missing)
        if not missing:
            return found
        fetched = dict(zip(missing, await self._fetched(missing), strict=True))
        return [
            fetched[name] if copy is None else copy for name, copy in zip(names, found, strict=True)
        ]

    async def set_many(self, items: Sequence[tuple[str, bytes]], *, ttl: int | None) -> Outcome:
        names = [name for name, _ in items]
        self._store.drop(names)
        try:
            return await self._remote.set_many(items, ttl=ttl)
        finally:
            self._store.drop(names)

    async def swap(
        self,
        name: str,
        value: bytes | None,
        *,
        over: bytes | None,
        ttl: int | None = None,
        shared: bool = False,
    ) -> bool:
        try:
            return await self._remote.swap(name, value, over=over, ttl=ttl, shared=shared)
        finally:
            self._store.drop((name,))

    async def swap_many(self, swaps: Sequence[Swap], *, ttl: int | None) -> list[bool]:
        try:
            return await self._remote.swap_many(swaps, ttl=ttl)
        finally:
            self._store.drop([swap.name for swap in swaps])

    async def delete_many(self, names: Sequence[str], *, pattern: Pattern | None = None) -> Outcome:
        self._store.drop(names, pattern)
        try:
            return await self._remote.delete_many(names, pattern=pattern)
        finally:
            self._store.drop(names, pattern)

    async def discard(self, names: Sequence[str], *, pattern: Pattern | None = None) -> None:
        try:
            await self._remote.discard(names, pattern=pattern)
        finally:
            self._store.drop(names, pattern)

    async def outlast(self) -> None:
        await self._remote.outlast()

    async def increment(self, name: str, by: int, *, ttl: int | None) -> int | None:
        try:
            return await self._remote.increment(name, by, ttl=ttl)
        finally:
            self._store.drop((name,))

    async def expire(self, name: str, ttl: int | None) -> bool:
        try:
            return await self._remote.expire(name, ttl)
        finally:
            self._store.drop((name,))

    async def ttl(self, name: str) -> int | None:
        return await self._remote.ttl(name)

    def scan(self, prefix: str) -> AsyncIterator[list[tuple[str, bytes]]]:
        return self._remote.scan(prefix)

    async def _fetched(self, names: Sequence[str]) -> list[bytes | None]:
        """Read *names* from the store, keep copies, and begin the lease anew."""
        if not names:
            return []
        asked = self._clock()
        heard = not self._remote.tells_apart
        if not heard and asked >= self._until:
            await self._remote.hear()
            heard = True
        fetch = self._store.fetching(names)
        try:
            values, lefts, marked = await self._remote.read(names, lease=round(self._lease * 1000))
        except BaseException:
            self._store.give_up(fetch)
            raise
        if (
            not marked
        ):  # whoever writes may not wait now, so there is no lease; copies stay heard of
            self._until = 0.0
            self._store.give_up(fetch)
            return values
        self._store.keep(
            fetch,
            [
                (name, value if _keeps(name, value) and left != -2 else None, _end(asked, left))
                for name, value, left in zip(names, values, lefts, strict=True)
            ],
        )
        if heard:
            self._until = max(self._until, asked + self._lease)
        return values

    def _forget_all(self) -> None:
        self._until = 0.0
        self._store.clear()


def _keeps(name: str, value: bytes | None) -> bool:
    """Tell whether *value* may be kept: no lease of a load, and no number that others add to."""
    if not value or entry.is_lease(value):
        return False
    return value[0] not in _DIGITS or not name.startswith(KEYS)


def _end(asked: float, left: int) -> float | None:
    return None if left < 0 else asked + left / 1000
