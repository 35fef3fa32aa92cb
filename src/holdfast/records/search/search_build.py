"""Writes the documents of searched entities that are not there, in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.records.driver import StoreCapability, WordIndexer
from holdfast.records.driver_requests import Select
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import (
    Compare,
    In,
    IsNull,
    Not,
    Operator,
    Order,
    Related,
    all_of,
    everything,
)
from holdfast.records.search.indexed_session import document_rows, plain_session
from holdfast.records.transactions.row_lock import lock_of

if TYPE_CHECKING:
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.store import Store

_BATCH = 500
_SMALL_BATCH = 25  # rows, each with its documents and what goes with these


def finds_words_by_index(store: Store) -> bool:
    """Return whether an index leads to the rows of *store* that have certain words."""
    return isinstance(store.driver, WordIndexer) and store.driver.indexes_words


async def build_search(store: Store, *, rebuild: bool) -> int:
    """See `Store.build_search`."""
    if not store.searched:
        return 0
    if isinstance(store.driver, WordIndexer):
        await store.driver.index_words()
    return sum([await _build(store, model, rebuild=rebuild) for model in store.searched])


async def _build(store: Store, model: Model[object], *, rebuild: bool) -> int:
    """Write documents along the keys; each batch holds its rows while it writes theirs.

    Which rows a batch has is asked before its transaction, so that this concerns no others.
    """
    index = model.search
    assert index is not None
    lock = lock_of(store.capabilities)
    size = _BATCH if StoreCapability.LARGE_WRITES in store.capabilities else _SMALL_BATCH
    key = Column(model.name, model.key)
    columns = tuple(Column(model.name, spec) for spec in model.fields)
    wanted: Predicate = everything()
    if not rebuild:
        whole = tuple(Not(IsNull(index.column(spec))) for spec in index.fields)
        wanted = Not(Related(index.join, all_of(whole)))
    last: object = None
    count = 0
    while True:
        beyond = wanted if last is None else wanted & Compare(key, Operator.GT, last)
        found = await plain_session(store).values(
            Select(model, beyond, (Order(key),), size), (key,)
        )
        keys = tuple(each for (each,) in found)
        if keys:
            async with store.transaction():
                session = plain_session(store)
                select = Select(model, In(key, keys), (Order(key),), lock=lock)
                rows = await session.values(select, columns)
                documents = document_rows(model, index, rows)
                if documents:
                    await session.upsert(index.documents, documents, (index.of.name,))
            count += len(rows)
        if len(keys) < size:
            return count
        last = keys[-1]
