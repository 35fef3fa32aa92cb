"""Sessions that keep the documents of searched entities with each write of them.

They stand right above the driver contract, and below write hooks, so that every backend and every
verb has them. A deletion takes the documents along by their reference. A write that changes no
searched field is passed on as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from holdfast.records.driver_requests import Select, Update
from holdfast.records.expressions.field_changes import SetTo
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import In, Order
from holdfast.records.search.search_words import document_of
from holdfast.records.transactions.own_transaction import in_own_transaction
from holdfast.records.transactions.row_lock import lock_of
from holdfast.records.transactions.transaction import current, session_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from holdfast.errors import ConflictError
    from holdfast.records.driver import Session, Values
    from holdfast.records.driver_requests import AggregateQuery, RowLock
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.entities.search_index import SearchIndex
    from holdfast.records.expressions.field_changes import Change
    from holdfast.records.expressions.operands import ValueColumn
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.store import Store

E = TypeVar("E")
T = TypeVar("T")


class IndexedSession:
    """See `Session`: *session*, inside a transaction, with documents kept.

    With a *lock* the rows of a write to many are held while their documents are written.
    """

    def __init__(self, session: Session, lock: RowLock | None) -> None:
        self._session = session
        self._lock: RowLock | None = lock

    async def get(self, model: Model[E], key: object) -> E | None:
        """See `Reader`."""
        return await self._session.get(model, key)

    async def find(self, select: Select[E]) -> list[E]:
        """See `Reader`."""
        return await self._session.find(select)

    async def values(self, select: Select[E], columns: tuple[ValueColumn, ...]) -> list[Values]:
        """See `Reader`."""
        return await self._session.values(select, columns)

    async def aggregate(self, query: AggregateQuery[E]) -> list[Values]:
        """See `Reader`."""
        return await self._session.aggregate(query)

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """See `Writer`."""
        stored = await self._session.insert(model, rows, atomic=atomic)
        if model.search is not None:
            made = [row for row in stored if isinstance(row, tuple)]
            documents = document_rows(model, model.search, made)
            if documents:
                await self._session.insert(model.search.documents, documents, atomic=True)
        return stored

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """See `Writer`."""
        stored = await self._session.replace(model, row, expected)
        if stored is not None:
            await self._written(model, [stored])
        return stored

    async def patch(self, update: Update[E]) -> E | None:
        """See `Writer`."""
        stored = await self._session.patch(update)
        if stored is not None and changes_words(update):
            await self._written(update.model, [stored])
        return stored

    async def update(self, update: Update[E]) -> int:
        """See `Writer`."""
        model, index = update.model, update.model.search
        if index is None or not changes_words(update):
            return await self._session.update(update)
        key = Column(model.name, model.key)
        select = Select(model, update.where, (Order(key),), lock=self._lock)
        keys = tuple(found for (found,) in await self._session.values(select, (key,)))
        if not keys:
            return 0
        # By key: a row that fits only now would be changed without its documents.
        these = In(key, keys)
        count = await self._session.update(Update(model, these, update.changes))
        wanted = _words_set(update)
        if not all(isinstance(change, SetTo) for change in wanted):
            await self._written(model, await self._session.find(Select(model, these)))
            return count
        changes: tuple[Change, ...] = tuple(
            SetTo(index.column(change.column.spec), document_of(cast("str | None", change.value)))
            for change in wanted
            if isinstance(change, SetTo)
        )
        await self._session.update(Update(index.documents, In(index.of, keys), changes))
        return count

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `Writer`."""
        stored = await self._session.upsert(model, rows, on)
        await self._written(model, [entity for entity, _ in stored])
        return stored

    async def delete(self, model: Model[E], where: Predicate) -> int:
        """See `Writer`."""
        return await self._session.delete(model, where)

    async def _written(self, model: Model[E], entities: Sequence[E]) -> None:
        """Overwrite the documents of *entities*, of two of a row the later's."""
        index = model.search
        if index is None:
            return
        documents = document_rows(model, index, map(model.stored_row, entities))
        await self._session.upsert(index.documents, documents, (index.of.name,))


class IndexedWrites:
    """See `Writer`: the writes of a searched entity, each a transaction or a part of one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """See `Writer`."""
        return await self._whole(lambda session: session.insert(model, rows, atomic=atomic))

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """See `Writer`."""
        return await self._whole(lambda session: session.replace(model, row, expected))

    async def patch(self, update: Update[E]) -> E | None:
        """See `Writer`."""
        if not changes_words(update):
            return await plain_session(self._store).patch(update)
        return await self._whole(lambda session: session.patch(update))

    async def update(self, update: Update[E]) -> int:
        """See `Writer`."""
        if not changes_words(update):
            return await plain_session(self._store).update(update)
        return await self._whole(lambda session: session.update(update))

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `Writer`."""
        return await self._whole(lambda session: session.upsert(model, rows, on))

    async def delete(self, model: Model[E], where: Predicate) -> int:
        """See `Writer`."""
        return await plain_session(self._store).delete(model, where)

    async def _whole(self, work: Callable[[Session], Awaitable[T]]) -> T:
        return await whole_write(self._store, lambda: work(indexed_session(self._store)))


async def whole_write(store: Store, work: Callable[[], Awaitable[T]]) -> T:
    """Do *work* in the transaction around it, or in one of its own, again after a clash."""
    if current(store.driver) is not None:
        return await work()
    blocking = store.affinity.blocking
    return await in_own_transaction(store.transaction, work, blocking=blocking)


def plain_session(store: Store) -> Session:
    """Return where *store* reads and writes now, with nothing kept beside."""
    return session_of(store.driver, store.affinity, store.recorder)


def indexed_session(store: Store) -> Session:
    """Return the same with documents kept; for the inside of a transaction."""
    if not store.searched:
        return plain_session(store)
    return IndexedSession(plain_session(store), lock_of(store.capabilities))


def indexed_writes(store: Store, model: Model[E]) -> IndexedWrites | None:
    """Return how rows of *model* are written with their documents; None where it has none."""
    return None if model.search is None else IndexedWrites(store)


def changes_words(update: Update[E]) -> bool:
    """Return whether *update* changes a field whose words are searched."""
    return update.model.search is not None and bool(_words_set(update))


def _words_set(update: Update[Any]) -> list[Change]:
    return [change for change in update.changes if change.column.spec.declaration.search]


def document_rows(model: Model[E], index: SearchIndex, rows: Iterable[Row]) -> list[Row]:
    """Return the documents of *rows*, along their keys, those of the last of a key."""
    at = model.key.position
    by_key = {row[at]: row for row in rows}
    return [index.row(key, by_key[key]) for key in sorted(by_key, key=lambda key: cast("int", key))]
