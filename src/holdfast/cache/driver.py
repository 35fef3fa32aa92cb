"""The contract that a backend of caches implements, and the values that cross it.

The cache checks names and values, and decides what stored bytes mean; a driver stores bytes under
names. Names are `k:` and a key, `t:` and a tag, `r:` and a key that is being refreshed; `life` and
`near` are the namespace's own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from holdfast.cache.pattern import Pattern

LEASE = b"\xc1L"
"""What stands under a name while its value is loaded starts with this; it is no value."""

NEAR = "near"
"""The name under which a namespace is marked as one that processes keep copies of; see `near`."""

HEAD = 4096
"""Bytes of a value that a scan brings along; all that is known about an entry fits in them."""


class Outcome(StrEnum):
    """How far a write or an invalidation has come.

    APPLIED: in the store; from now on nobody reads what was there before. PENDING: the store can't
    be reached; this process acts on it now, the others once the store is back in its reach.
    """

    APPLIED = "applied"
    PENDING = "pending"


def closed() -> RuntimeError:
    """Return what to raise for the use of a cache that is closed."""
    return RuntimeError("the cache is closed; use it inside the block that opened it")


class Swap(NamedTuple):
    """One exchange: *value*, or None for nothing, in the place of what is as expected.

    *over* None expects nothing there, else bytes that start with *over*.
    """

    name: str
    value: bytes | None
    over: bytes | None


class Driver(Protocol):
    """A backend of caches. Times to live are whole milliseconds above 0; None is for ever.

    Every method raises UnavailableError when the backend can't answer.
    """

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Return what is stored under *names*, by position.

        Something foreign, which no cache put there, is empty bytes or None.
        """
        ...

    async def set_many(self, items: Sequence[tuple[str, bytes]], *, ttl: int | None) -> Outcome:
        """Store all *items*, over what is there."""
        ...

    async def swap(
        self,
        name: str,
        value: bytes | None,
        *,
        over: bytes | None,
        ttl: int | None = None,
        shared: bool = False,
    ) -> bool:
        """Store *value*, or remove with None, if what is there is as expected; tell whether it was.

        *over* None expects nothing there, or something foreign; empty bytes something foreign;
        else bytes that start with *over*. With *shared*, raises
        UnavailableError rather than answer for this process alone.
        """
        ...

    async def swap_many(self, swaps: Sequence[Swap], *, ttl: int | None) -> list[bool]:
        """Do each of *swaps* by itself, and tell of each whether it was done."""
        ...

    async def delete_many(self, names: Sequence[str], *, pattern: Pattern | None = None) -> Outcome:
        """Remove what is under *names*, and under every name that *pattern* fits."""
        ...

    async def increment(self, name: str, by: int, *, ttl: int | None) -> int | None:
        """Add to the whole number under *name*, 0 when nothing is there, and return the sum.

        *ttl* is for a number that begins; one that is there keeps its own. Returns None for what
        is no number; raises OverflowError for a sum of more than 64 bits. Nothing changes then.
        """
        ...

    async def expire(self, name: str, ttl: int | None) -> bool:
        """Give what is there a new time to live; tell whether anything but a lease was there."""
        ...

    async def ttl(self, name: str) -> int | None:
        """Return the milliseconds left, -1 for ever, None when nothing is there."""
        ...

    def scan(self, prefix: str) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Yield names that start with *prefix* with their first bytes, in batches, in no order.

        What is there throughout comes at least once.
        """
        ...
