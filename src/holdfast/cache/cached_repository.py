"""Entities by key through a cache, forgotten when what changed them is committed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from functools import partial, wraps
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

import orjson

from holdfast.cache.driver import Outcome
from holdfast.cache.entity_codec import EntityCodec
from holdfast.cache.entry_name import milliseconds
from holdfast.cache.outbox import CacheInvalidation
from holdfast.errors import InvalidValueError, NotFoundError, UnavailableError
from holdfast.records.entities.table_names import stored_name
from holdfast.records.repository import Repository
from holdfast.records.transactions.transaction import current

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
    from uuid import UUID

    from holdfast.cache.cache import Cache
    from holdfast.cache.codec import Codec
    from holdfast.records.argument_types import (
        AnyField,
        ChangeArgument,
        Condition,
        Ordering,
        RelationArgument,
    )
    from holdfast.records.driver_requests import RowLock
    from holdfast.records.result_types import BatchResult, Upserted

E = TypeVar("E")
T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., object]")

_log = logging.getLogger("holdfast.cache")

_LONGEST = 200  # characters of a key that stand in a cache's key as they are


def _nothing(_: object) -> list[object]:
    return []


def _asked(verb: F) -> F:
    """Return *verb* as one that a cached repository asks of the repository that it was given."""
    name = verb.__name__

    @wraps(verb)
    def asked(self: CachedRepository[Any], /, *args: object, **words: object) -> object:
        return getattr(self.repository, name)(*args, **words)

    return cast("F", asked)


class CachedRepository(Repository[E]):
    """A repository whose `get` by key is answered from a cache: `CachedRepository(videos, cache)`.

    Inside a transaction it reads the store itself and nothing of that is cached. A write removes
    what is cached of its entities once it is committed, before its call, or the transaction's
    block, returns; what is rolled back removes nothing. With *write_through* the committed
    entities are read again at once, so that they are in the cache. *ttl* is in seconds, and bounds
    how long an entity is served after a change that did not come through here, or after a process
    that ended between its commit and the removal. With *recorded* the removal is a row of the
    transaction, which an `Outbox` carries out when the process does not; the store must hold
    `CacheInvalidation`. That there is no such entity is cached too.

    It can stand wherever a `Repository` is asked for. Relations, locks and every other question
    are asked of `repository` itself, which may be of a class of your own.
    """

    def __init__(
        self,
        repository: Repository[E],
        cache: Cache[object],
        *,
        ttl: float = 300.0,
        write_through: bool = False,
        recorded: bool = False,
    ) -> None:
        milliseconds("ttl", ttl)
        super().__init__(repository.model.entity, repository.store)
        self.repository = repository
        codec = cast("Codec[E | None]", EntityCodec(self.model))
        self._cache = cache.coded(codec)
        self._ttl = ttl
        self._write_through = write_through
        store = repository.store
        self._recorded = store.repository(CacheInvalidation) if recorded else None
        place = stored_name(self.model, store.schema)
        self._tag = f"records:{hashlib.sha256(place.encode()).hexdigest()[:32]}"

    find = _asked(Repository[E].find)
    first = _asked(Repository[E].first)
    one = _asked(Repository[E].one)
    page = _asked(Repository[E].page)
    search = _asked(Repository[E].search)
    stream = _asked(Repository[E].stream)
    select = _asked(Repository[E].select)
    aggregate = _asked(Repository[E].aggregate)
    count = _asked(Repository[E].count)
    exists = _asked(Repository[E].exists)
    explain = _asked(Repository[E].explain)
    purge = _asked(Repository[E].purge)
    with_deleted = _asked(Repository[E].with_deleted)

    async def get(
        self,
        key: object,
        *,
        load: RelationArgument | Sequence[RelationArgument] = (),
        lock: RowLock | None = None,
    ) -> E | None:
        """Return the entity under *key*, None when there is none.

        With *load* or *lock* the store is asked, and nothing cached.
        """
        if self._inside or load or lock is not None:
            return await self.repository.get(key, load=load, lock=lock)
        return await self._cache.get_or_set(
            self._name(key), partial(self.repository.get, key), ttl=self._ttl, tags=(self._tag,)
        )

    async def get_one(
        self,
        key: object,
        *,
        load: RelationArgument | Sequence[RelationArgument] = (),
        lock: RowLock | None = None,
    ) -> E:
        """Return the entity under *key*, as `get` does. Raises NotFoundError."""
        found = await self.get(key, load=load, lock=lock)
        if found is None:
            raise NotFoundError(self.model.name, key)
        return found

    async def get_many(
        self, keys: Iterable[object], *, load: RelationArgument | Sequence[RelationArgument] = ()
    ) -> list[E | None]:
        """Return the entities under *keys*, by position; those not cached, in one query.

        With *load* the store is asked for all of them.
        """
        asked = list(keys)
        if self._inside or load:
            return await self.repository.get_many(asked, load=load)
        by_name = {self._name(key): key for key in asked}

        async def fetch(names: Sequence[str]) -> dict[str, E | None]:
            loaded = await self.repository.get_many([by_name[name] for name in names])
            return dict(zip(names, loaded, strict=True))

        found = await self._cache.get_or_set_many(by_name, fetch, ttl=self._ttl, tags=(self._tag,))
        return [found[self._name(key)] for key in asked]

    async def warm(self, keys: Iterable[object], *, batch: int = 200, at_once: int = 1) -> int:
        """Put the entities under *keys* into the cache; return how many keys there were.

        They are read *batch* at a time, *at_once* batches at the same time, and never held longer.
        What changes meanwhile is not stored. Not for the inside of a transaction, where it stores
        nothing.
        """
        if batch < 1 or at_once < 1:
            raise InvalidValueError("cache", "warm", f"expected 1 or more: {batch}, {at_once}")
        batches = _batched(keys, batch)
        if at_once == 1:
            return sum([len(await self.get_many(some)) for some in batches])

        async def work() -> int:
            return sum([len(await self.get_many(some)) for some in batches])

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work()) for _ in range(at_once)]
        return sum(task.result() for task in tasks)

    async def add(self, entity: E) -> E:
        """`Repository.add`."""
        return await self._invalidating(
            [self._key_of(entity)],
            self.repository.add(entity),
            lambda added: [self._key_of(added)],
        )

    async def add_many(self, entities: Iterable[E], *, atomic: bool = True) -> BatchResult[E]:
        """`Repository.add_many`."""
        added = list(entities)
        keys = [self._key_of(entity) for entity in added]
        return await self._invalidating(
            keys,
            self.repository.add_many(added, atomic=atomic),
            lambda result: [self._key_of(entity) for entity in result.entities],
        )

    async def update(self, entity: E) -> E:
        """`Repository.update`."""
        return await self._invalidating([self._key_of(entity)], self.repository.update(entity))

    async def patch(
        self,
        key: object,
        *changes: ChangeArgument[E],
        when: Condition[E] | None = None,
        version: int | None = None,
    ) -> E:
        """`Repository.patch`."""
        return await self._invalidating(
            [key], self.repository.patch(key, *changes, when=when, version=version)
        )

    async def upsert(
        self, entity: E, *, on: AnyField[E] | Sequence[AnyField[E]] = ()
    ) -> Upserted[E]:
        """`Repository.upsert`."""
        return await self._invalidating(
            [self._key_of(entity)],
            self.repository.upsert(entity, on=on),
            lambda result: [self._key_of(result.entity)],
        )

    async def upsert_many(
        self, entities: Iterable[E], *, on: AnyField[E] | Sequence[AnyField[E]] = ()
    ) -> list[Upserted[E]]:
        """`Repository.upsert_many`."""
        given = list(entities)
        return await self._invalidating(
            [self._key_of(entity) for entity in given],
            self.repository.upsert_many(given, on=on),
            lambda results: [self._key_of(result.entity) for result in results],
        )

    async def delete(self, key: object, *, version: int | None = None) -> bool:
        """`Repository.delete`."""
        return await self._invalidating([key], self.repository.delete(key, version=version))

    async def delete_many(self, keys: Iterable[object]) -> int:
        """`Repository.delete_many`."""
        gone = list(keys)
        return await self._invalidating(gone, self.repository.delete_many(gone))

    async def update_where(
        self, *where: Condition[E], changes: ChangeArgument[E] | Sequence[ChangeArgument[E]]
    ) -> int:
        """`Repository.update_where`; every cached entity of the kind is removed."""
        return await self._invalidating(None, self.repository.update_where(*where, changes=changes))

    async def take(
        self,
        *where: Condition[E],
        changes: ChangeArgument[E] | Sequence[ChangeArgument[E]],
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | Sequence[tuple[Condition[E], int]],
    ) -> list[E]:
        """`Repository.take`; every cached entity of the kind is removed."""
        return await self._invalidating(
            None, self.repository.take(*where, changes=changes, order_by=order_by, limit=limit)
        )

    async def delete_where(self, *where: Condition[E]) -> int:
        """`Repository.delete_where`; every cached entity of the kind is removed."""
        return await self._invalidating(None, self.repository.delete_where(*where))

    async def restore(self, key: object) -> E:
        """`Repository.restore`."""
        return await self._invalidating([key], self.repository.restore(key))

    async def forget(self, keys: Iterable[object] | None = None) -> None:
        """Remove *keys* from the cache, or every entity of the kind, once what runs is committed.

        For changes that did not come through here: raw SQL, cascades of the store.
        """
        await self._changed(None if keys is None else list(keys))

    @property
    def _inside(self) -> bool:
        return current(self.repository.store.driver) is not None

    async def _invalidating(
        self,
        keys: list[object] | None,
        work: Awaitable[T],
        made: Callable[[T], list[object]] = _nothing,
    ) -> T:
        """Do *work* on *keys*, None for all of the kind; *made* are those that it gives itself."""
        if self._recorded is None:
            try:
                result = await work
            except BaseException:  # an answer that was lost may belong to a commit
                await self._changed(keys)
                raise
            await self._changed(keys and [*keys, *made(result)])
            return result
        inside = self._inside
        try:
            async with self.repository.store.transaction():
                result = await work
                await self._changed(keys and [*keys, *made(result)])
        except BaseException:
            if not inside:
                await self._remove(keys)
            raise
        return result

    async def _changed(self, keys: list[object] | None) -> None:
        """Remove *keys* after the commit of what runs now, or at once."""
        transaction = current(self.repository.store.driver)
        if transaction is None:
            await self._remove(keys)
        elif self._recorded is None:
            transaction.after_commit(partial(self._remove, keys))
        else:
            tags = [self._tag] if keys is None else []
            names = [self._name(key) for key in _known(keys)]
            row = await self._recorded.add(
                CacheInvalidation(namespace=self._cache.namespace, keys=names, tags=tags)
            )
            transaction.after_commit(partial(self._carry_out, self._recorded, row.id, keys))

    async def _carry_out(
        self, recorded: Repository[CacheInvalidation], row: UUID, keys: list[object] | None
    ) -> None:
        if await self._remove(keys) is Outcome.PENDING:
            return  # the outbox does it, should this process end before its store is back
        try:
            await recorded.delete(row)
        except UnavailableError:
            _log.warning("a removal that is done stays recorded: it will be done again")

    async def _remove(self, keys: list[object] | None) -> Outcome:
        if keys is None:
            return await self._cache.invalidate(tags=[self._tag])
        known = _known(keys)
        outcome = await self._cache.invalidate(keys=[self._name(key) for key in known])
        if self._write_through:
            await self.get_many(known)
        return outcome

    def _key_of(self, entity: E) -> object:
        values, names = vars(entity), self.model.key_names
        if len(names) == 1:
            return values.get(names[0])  # None: the store makes a new one
        return tuple(values.get(name) for name in names)

    def _name(self, key: object) -> str:
        parts = [str(part) for part in self.model.key_parts(self.model.check_key(key))]
        # Of several a list, in which no text can pass for two.
        text = parts[0] if len(parts) == 1 else orjson.dumps(parts).decode()
        if len(text) > _LONGEST:
            text = f"#{hashlib.sha256(text.encode()).hexdigest()}"
        return f"{self._tag}:{text}"


def _known(keys: Iterable[object] | None) -> list[object]:
    """Return *keys* without those that the store had not given yet, each once."""
    return [key for key in dict.fromkeys(keys or ()) if key is not None]


def _batched(keys: Iterable[object], size: int) -> Iterator[list[object]]:
    rest = iter(keys)
    while some := list(islice(rest, size)):
        yield some
