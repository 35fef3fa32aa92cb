"""Several writes as one: in a part of the transaction around them, or in one of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.records import Savepoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.records import Store

T = TypeVar("T")

_ATTEMPTS = 20  # of a transaction that clashes


async def atomically(store: Store, work: Callable[[], Awaitable[T]]) -> T:
    """Return what *work* returns, whose writes are made together or not at all.

    In a transaction of its own it is done again when that clashed; see `Store.retrying`.
    """
    transaction = store.transaction()
    if isinstance(transaction, Savepoint):
        async with transaction:
            return await work()
    return await store.retrying(work, attempts=_ATTEMPTS)
