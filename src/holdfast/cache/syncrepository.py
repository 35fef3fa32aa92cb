"""The blocking twins of `CachedRepository` and `Relay`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.blocking import run
from holdfast.cache import relay, repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.cache.sync import Cache
    from holdfast.records import sync
    from holdfast.records.query import Change, Predicate
    from holdfast.records.result_types import BatchResult, Upserted

E = TypeVar("E")


class CachedRepository(Generic[E]):
    """`holdfast.cache.CachedRepository` for code that blocks, over a blocking repository."""

    def __init__(
        self,
        entities: sync.Repository[E],
        cache: Cache[object],
        *,
        ttl: float = 300.0,
        write_through: bool = False,
        recorded: bool = False,
    ) -> None:
        self.repository = entities
        self._cached = repository.CachedRepository(
            entities.asynchronous,
            cache.asynchronous,
            ttl=ttl,
            write_through=write_through,
            recorded=recorded,
        )

    def get(self, key: object) -> E | None:
        return run(self._cached.get(key))

    def get_one(self, key: object) -> E:
        return run(self._cached.get_one(key))

    def get_many(self, keys: Iterable[object]) -> list[E | None]:
        return run(self._cached.get_many(keys))

    def warm(self, keys: Iterable[object], *, batch: int = 200) -> int:
        return run(self._cached.warm(keys, batch=batch))

    def add(self, entity: E) -> E:
        return run(self._cached.add(entity))

    def add_many(self, entities: Iterable[E], *, atomic: bool = True) -> BatchResult[E]:
        return run(self._cached.add_many(entities, atomic=atomic))

    def update(self, entity: E) -> E:
        return run(self._cached.update(entity))

    def patch(self, key: object, *changes: Change, when: Predicate | None = None) -> E:
        return run(self._cached.patch(key, *changes, when=when))

    def upsert(self, entity: E) -> Upserted[E]:
        return run(self._cached.upsert(entity))

    def delete(self, key: object, *, version: int | None = None) -> bool:
        return run(self._cached.delete(key, version=version))

    def delete_many(self, keys: Iterable[object]) -> int:
        return run(self._cached.delete_many(keys))

    def update_where(self, *where: Predicate, changes: Sequence[Change]) -> int:
        return run(self._cached.update_where(*where, changes=changes))

    def delete_where(self, *where: Predicate) -> int:
        return run(self._cached.delete_where(*where))

    def forget(self, keys: Iterable[object] | None = None) -> None:
        run(self._cached.forget(keys))


class Relay:
    """`holdfast.cache.Relay` for code that blocks: call `drain` now and then."""

    def __init__(self, store: sync.Store, cache: Cache[object], *, batch: int = 500) -> None:
        self._relay = relay.Relay(store.asynchronous, cache.asynchronous, batch=batch)

    def drain(self) -> int:
        return run(self._relay.drain())
