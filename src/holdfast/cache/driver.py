"""The contract that a backend of caches implements, and the values that cross it.

The cache checks names and values, and decides what stored bytes mean; a driver stores bytes under
names. Names are `k:` and a key, `t:` and a tag, `r:` and a key that is being refreshed, `l:`, `f:`
and `b:` with the name of a lock, its fencing number and a token bucket; `life` and `near` are the
namespace's own.

Every backend has the eight methods of `CacheDriver`. What only some can do is a small protocol of
its own, and a `CacheCapability` names it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from holdfast.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from holdfast.cache.pattern import Pattern
    from holdfast.cache.token_bucket import TokenBucket

LOAD_LOCK = b"\xc1L"
"""What stands under a name while its value is loaded starts with this; it is not a value."""

NEAR = "near"
"""The name that marks a namespace as one that processes keep near copies of."""

HEAD = 4096
"""Bytes of a value that a scan brings along; all that is known about an entry fits in them."""


class CacheCapability(StrEnum):
    """What some backends of caches can do and others can't.

    SHARED: entries live in a server that several processes use and that can go away
    (`SharedDriver`). ATOMIC_BATCHES: `set_many` and `delete_many` of names are one step for all.
    NEAR_COPIES: the server tells of changes, so that processes may keep copies
    (`TrackingDriver`). TOKEN_BUCKETS: tokens are taken in one step (`TokenDriver`).
    """

    SHARED = "entries shared between processes"
    ATOMIC_BATCHES = "batches in one step"
    NEAR_COPIES = "near copies"
    TOKEN_BUCKETS = "token buckets"  # noqa: S105 - no password


class Outcome(StrEnum):
    """How far a write or an invalidation has come.

    APPLIED: in the store; from now on nobody reads what was there before. PENDING: the store can't
    be reached; this process acts on it now, the others once the store is back in its reach.
    """

    APPLIED = "applied"
    PENDING = "pending"


class NotAskedError(UnavailableError):
    """The connection was closed while nothing was under way on it: the store was asked nothing."""


def closed() -> RuntimeError:
    """Return what to raise for the use of a cache that is closed."""
    return RuntimeError("the cache is closed; use it inside the block that opened it")


class Swap(NamedTuple):
    """One exchange: *value*, or None for nothing, in place of what is as expected.

    *over* None expects nothing there, or something foreign; empty bytes something foreign; else
    bytes that start with *over*. Foreign is what no cache stored.
    """

    name: str
    value: bytes | None
    over: bytes | None


class CacheDriver(Protocol):
    """A backend of caches. Times to live are whole milliseconds above 0; None is forever.

    Every method raises UnavailableError when the backend can't answer, and RuntimeError after the
    cache was closed.
    """

    @property
    def name(self) -> str:
        """The backend's name, as in its URLs."""
        ...

    @property
    def capabilities(self) -> frozenset[CacheCapability]:
        """What this backend can do beyond the methods here."""
        ...

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Return what is stored under *names*, by position.

        Something foreign is empty bytes or None.
        """
        ...

    async def set_many(self, items: Sequence[tuple[str, bytes]], *, ttl: int | None) -> Outcome:
        """Store all *items*, over what is there; in one step with ATOMIC_BATCHES."""
        ...

    async def swap_many(
        self, swaps: Sequence[Swap], *, ttl: int | None, shared: bool = False
    ) -> list[bool]:
        """Do each of *swaps* by itself, atomically, and tell of each whether it was done.

        With *shared*, raises UnavailableError rather than answer for this process alone.
        """
        ...

    async def delete_many(self, names: Sequence[str], *, pattern: Pattern | None = None) -> Outcome:
        """Remove what is under *names*, and under every name that *pattern* fits."""
        ...

    async def increment(self, name: str, by: int, *, ttl: int | None) -> int | None:
        """Add to the whole number under *name*, 0 when nothing is there, and return the sum.

        Atomic. *ttl* is for a number that begins; one that is there keeps its own. Returns None
        for what is not a number; raises OverflowError for a sum of more than 64 bits. Nothing
        changes then.
        """
        ...

    async def expire(self, name: str, ttl: int | None) -> bool:
        """Give what is there a new time to live; tell whether a value was there."""
        ...

    async def ttl(self, name: str) -> int | None:
        """Return the milliseconds left, -1 for forever, None when nothing is there."""
        ...

    def scan(self, prefix: str) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Yield names that start with *prefix* with their first bytes, in batches, in no order.

        What is there throughout comes at least once.
        """
        ...


class TokenDriver(CacheDriver, Protocol):
    """A driver that takes tokens from a bucket in one step: CacheCapability.TOKEN_BUCKETS."""

    async def take(self, name: str, bucket: TokenBucket, count: float) -> float:
        """Take *count* tokens from the *bucket* under *name*.

        Returns 0, or the seconds until there are as many; then nothing was taken. Raises
        UnavailableError rather than answer for this process alone.
        """
        ...


class SharedDriver(TokenDriver, Protocol):
    """A driver of a server that can go away: CacheCapability.SHARED."""

    async def connect(self) -> str:
        """Connect again and return what names this run of the servers and their data.

        Nothing that was asked before and not answered is carried out after this. Raises
        UnavailableError, and ConfigurationError when the server refuses.
        """
        ...

    async def discard(self, names: Sequence[str], *, pattern: Pattern | None = None) -> None:
        """Remove as `delete_many` does, without waiting for near copies.

        Another process may serve a copy until `wait_for_near_expiry` returns.
        """
        ...

    async def discard_while(self, name: str, value: bytes | None, names: Sequence[str]) -> bool:
        """Discard *names* if *name* holds *value* still, None for nothing; tell whether it did.

        In one step on one server. In a cluster the look comes first, as the names lie apart.
        """
        ...

    async def wait_for_near_expiry(self) -> None:
        """Return when no process serves a near copy of what was discarded before."""
        ...

    async def close(self) -> None:
        """Let go of the connections. Idempotent."""
        ...

    def abandon(self) -> None:
        """Be without connections in the child of a fork: those there are are the parent's.

        Nothing is said on them, and `connect` does not end them on the server. No I/O.
        """
        ...


class TrackingDriver(SharedDriver, Protocol):
    """A driver whose server tells of changes: CacheCapability.NEAR_COPIES."""

    @property
    def alive(self) -> bool:
        """False once the connection is known to be lost."""
        ...

    @property
    def separate_messages(self) -> bool:
        """Whether changes are told beside the answers: then `sync_invalidations` is needed."""
        ...

    def listen(self, on_invalidate: Callable[[Sequence[str] | None], None]) -> None:
        """Let *on_invalidate* have the names that change, None for all, from `connect` on."""
        ...

    async def sync_invalidations(self) -> None:
        """Return when every change up to now was told. Raises UnavailableError."""
        ...

    async def read_tracked(
        self, names: Sequence[str], *, validity: int
    ) -> tuple[list[bytes | None], list[int], bool]:
        """Return what is under *names*, the milliseconds that each has left, and the mark.

        The mark tells whether the namespace was marked then as one with near copies that are valid
        for *validity* milliseconds; soon it is. Times left are -1 for forever, -2 for nothing
        there.
        """
        ...


async def swap_one(
    driver: CacheDriver,
    name: str,
    value: bytes | None,
    *,
    over: bytes | None,
    ttl: int | None = None,
    shared: bool = False,
) -> bool:
    """Do one swap, and tell whether it was done; see `Swap` and `CacheDriver.swap_many`."""
    (done,) = await driver.swap_many((Swap(name, value, over),), ttl=ttl, shared=shared)
    return done
