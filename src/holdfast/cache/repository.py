"""Entities by key through a cache, forgotten when what changed them is committed."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from holdfast.cache.entitycodec import EntityCodec
from holdfast.cache.naming import milliseconds
from holdfast.errors import NotFoundError
from holdfast.records.transaction import current

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

    from holdfast.cache.cache import Cache
    from holdfast.cache.codec import Coder
    from holdfast.records.page import BatchResult, Upserted
    from holdfast.records.query import Change, Predicate
    from holdfast.records.repository import Repository

E = TypeVar("E")
T = TypeVar("T")

_LONGEST = 200  # characters of a key that stand in a cache's key as they are


class CachedRepository(Generic[E]):
    """A repository whose `get` by key is answered from a cache: `CachedRepository(videos, cache)`.

    Inside a transaction it reads the store itself and nothing of that is cached. A write removes
    what is cached of its entities once it is committed, before its call, or the transaction's
    block, returns; what is rolled back removes nothing. With *write_through* the committed
    entities are read again at once, so that they are in the cache. *ttl* is in seconds, and bounds
    how long an entity is served after a change that did not come through here, or after a process
    that ended between its commit and the removal. That there is no such entity is cached too.

    Everything else is asked of `repository` itself.
    """

    def __init__(
        self,
        repository: Repository[E],
        cache: Cache[object],
        *,
        ttl: float = 300.0,
        write_through: bool = False,
    ) -> None:
        milliseconds("ttl", ttl)
        self.repository = repository
        self._model = repository.model
        codec = cast("Coder[E | None]", EntityCodec(self._model))
        self._cache = cache.coded(codec)
        self._ttl = ttl
        self._write_through = write_through
        self._tag = f"records:{hashlib.sha256(self._model.table.encode()).hexdigest()[:32]}"

    async def get(self, key: object) -> E | None:
        """Return the entity under *key*, None when there is none."""
        if self._inside:
            return await self.repository.get(key)
        return await self._cache.get_or_set(
            self._name(key), partial(self.repository.get, key), ttl=self._ttl, tags=(self._tag,)
        )

    async def get_one(self, key: object) -> E:
        """Return the entity under *key*. Raises NotFoundError."""
        found = await self.get(key)
        if found is None:
            raise NotFoundError(self._model.name, key)
        return found

    async def get_many(self, keys: Iterable[object]) -> list[E | None]:
        """Return the entities under *keys*, by position; those not cached, in one query."""
        asked = list(keys)
        if self._inside:
            return await self.repository.get_many(asked)
        names = [self._name(key) for key in asked]
        found: dict[str, E | None] = await self._cache.get_many(names)
        missing = {name: key for name, key in zip(names, asked, strict=True) if name not in found}
        loaded = await self.repository.get_many(missing.values())
        return [
            found[name] if name in found else fresh[name]
            for fresh in [dict(zip(missing, loaded, strict=True))]
            for name in names
        ]

    async def add(self, entity: E) -> E:
        """`Repository.add`."""
        return await self._writing([self._key_of(entity)], self.repository.add(entity))

    async def add_many(self, entities: Iterable[E], *, atomic: bool = True) -> BatchResult[E]:
        """`Repository.add_many`."""
        added = list(entities)
        keys = [self._key_of(entity) for entity in added]
        return await self._writing(keys, self.repository.add_many(added, atomic=atomic))

    async def update(self, entity: E) -> E:
        """`Repository.update`."""
        return await self._writing([self._key_of(entity)], self.repository.update(entity))

    async def patch(self, key: object, *changes: Change, when: Predicate | None = None) -> E:
        """`Repository.patch`."""
        return await self._writing([key], self.repository.patch(key, *changes, when=when))

    async def upsert(self, entity: E) -> Upserted[E]:
        """`Repository.upsert` on the key."""
        return await self._writing([self._key_of(entity)], self.repository.upsert(entity))

    async def delete(self, key: object, *, version: int | None = None) -> bool:
        """`Repository.delete`."""
        return await self._writing([key], self.repository.delete(key, version=version))

    async def delete_many(self, keys: Iterable[object]) -> int:
        """`Repository.delete_many`."""
        gone = list(keys)
        return await self._writing(gone, self.repository.delete_many(gone))

    async def update_where(self, *where: Predicate, changes: Sequence[Change]) -> int:
        """`Repository.update_where`; every cached entity of the kind is removed."""
        return await self._writing(None, self.repository.update_where(*where, changes=changes))

    async def delete_where(self, *where: Predicate) -> int:
        """`Repository.delete_where`; every cached entity of the kind is removed."""
        return await self._writing(None, self.repository.delete_where(*where))

    async def forget(self, keys: Iterable[object] | None = None) -> None:
        """Remove *keys* from the cache, or every entity of the kind, once what runs is committed.

        For changes that did not come through here: raw SQL, cascades of the store.
        """
        await self._changed(None if keys is None else list(keys))

    @property
    def _inside(self) -> bool:
        return current(self.repository.store.driver) is not None

    async def _writing(self, keys: list[object] | None, work: Awaitable[T]) -> T:
        try:
            return await work
        finally:  # also when it raised: an answer that was lost may belong to a commit
            await self._changed(keys)

    async def _changed(self, keys: list[object] | None) -> None:
        transaction = current(self.repository.store.driver)
        if transaction is None:
            await self._remove(keys)
        else:
            transaction.after_commit(partial(self._remove, keys))

    async def _remove(self, keys: list[object] | None) -> None:
        if keys is None:
            await self._cache.invalidate(tags=[self._tag])
            return
        known = [key for key in keys if key is not None]
        await self._cache.invalidate(keys=[self._name(key) for key in known])
        if self._write_through:
            for key in known:
                await self.get(key)

    def _key_of(self, entity: E) -> object:
        return vars(entity).get(self._model.key.name)  # None: the store makes a new one

    def _name(self, key: object) -> str:
        text = str(self._model.key.to_row(self._model.name, key))
        if len(text) > _LONGEST:
            text = f"#{hashlib.sha256(text.encode()).hexdigest()}"
        return f"{self._tag}:{text}"
