"""The transactional outbox: invalidations recorded in the transaction that causes them.

A process may die between its commit and the removal from the cache. Where that must not leave an
old value behind, the removal is a row of the same transaction; who carries it out removes the row,
and an outbox does so for those that died. Carrying one out twice does no harm.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.cache.driver import Outcome
from holdfast.cache.options import CacheOptions
from holdfast.errors import InvalidValueError, UnavailableError
from holdfast.records import Entity, Field, created_at, field, key
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.cache.cache import Cache
    from holdfast.records import Store

_log = logging.getLogger("holdfast.cache")


class CacheInvalidation(Entity, table="cache_invalidations", indexes=[("namespace", "id")]):
    """Keys and tags to remove from the cache of *namespace*: open the store with this entity, too.

    They are carried out in the order of *id*, which begins with the time; *created_at* tells
    people since when one waits.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    namespace: Field[str] = field(default=CacheOptions().prefix, max_length=100)
    keys: Field[list[str]] = field(default_factory=list)
    tags: Field[list[str]] = field(default_factory=list)
    created_at: Field[datetime] = created_at()


class Outbox:
    """Carries out the invalidations that *store* holds for *cache*, oldest first.

    Each is carried out at least once. Those of another namespace are left alone. Any number of
    outboxes may be drained at once, in any number of processes. *batch* is how many rows are read
    at a time.
    """

    def __init__(self, store: Store, cache: Cache[object], *, batch: int = 500) -> None:
        if batch < 1:
            raise InvalidValueError("cache", "batch", f"expected 1 or more, got {batch}")
        self._recorded = store.repository(CacheInvalidation)
        self._cache = cache
        self._batch = batch

    async def drain(self) -> int:
        """Carry out what is recorded now for this cache; return how many were.

        A row is removed once its invalidation is applied. Stops where the cache's store is away:
        what it could not reach stays recorded. Raises UnavailableError when the store of records
        is away.
        """
        done = 0
        while rows := await self._recorded.find(
            CacheInvalidation.namespace == self._cache.namespace,
            order_by=[CacheInvalidation.id.asc()],
            limit=self._batch,
        ):
            if await self._carry_out(rows) is Outcome.PENDING:
                break
            done += len(rows)
            if len(rows) < self._batch:
                break
        return done

    async def run(self, *, every: float = 1.0) -> None:
        """`drain` every so many seconds, until cancelled; a store that is away is tried again."""
        while True:
            try:
                await self.drain()
            except UnavailableError:
                _log.warning("recorded invalidations wait for their store", exc_info=True)
            await asyncio.sleep(every)

    async def _carry_out(self, rows: Sequence[CacheInvalidation]) -> Outcome:
        keys = dict.fromkeys(name for row in rows for name in row.keys)
        tags = dict.fromkeys(tag for row in rows for tag in row.tags)
        outcome = await self._cache.invalidate(keys=keys, tags=tags)
        if outcome is Outcome.APPLIED:
            await self._recorded.delete_many([row.id for row in rows])
        return outcome
