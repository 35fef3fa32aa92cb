"""What a repository can be asked: the base of `Repository`, which adds the writes."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import (
    InvalidQueryError,
    MultipleFoundError,
    NotFoundError,
    UnsupportedError,
)
from holdfast.records import validation
from holdfast.records.cursor import Cursor, CursorCodec, reverse
from holdfast.records.driver import BatchReading, StoreCapability
from holdfast.records.driver_requests import AggregateQuery, Select
from holdfast.records.eager_loading import load_relations
from holdfast.records.entities.model import model_of
from holdfast.records.entities.search_index import searched
from holdfast.records.expressions.operands import Aggregate
from holdfast.records.expressions.predicates import Order, Predicate
from holdfast.records.foreign_words import READ_WORDS, not_there
from holdfast.records.hooked_writes import hooked_writes
from holdfast.records.placed_rows import find_behind, next_batch
from holdfast.records.query_plan import Planner
from holdfast.records.result_types import Page, SearchHit
from holdfast.records.rows.row_key import has_key, has_key_among
from holdfast.records.search.indexed_session import indexed_writes
from holdfast.records.search.search_words import search_terms
from holdfast.records.transactions.row_lock import check_row_lock
from holdfast.records.transactions.transaction import current, session_of
from holdfast.records.value_reads import ValueReads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from holdfast.records.argument_types import Condition, Ordering, RelationArgument
    from holdfast.records.driver import Session, Writer
    from holdfast.records.driver_requests import RowLock
    from holdfast.records.placed_rows import Place
    from holdfast.records.query_plan import QueryPlan
    from holdfast.records.store import Store

E = TypeVar("E")

PAGE_LIMIT = 10_000


class RepositoryReads(ValueReads[E]):
    """Everything that can be asked of the entities of one kind."""

    def __init__(self, entity: type[E], store: Store) -> None:
        self.store = store
        self.model = model_of(entity)
        store.check_model(self.model)
        self._driver = store.driver
        self._affinity = store.affinity
        self._recorder = store.recorder
        self._beside = hooked_writes(store, self.model) or indexed_writes(store, self.model)
        self._key = self.model.check_key
        self._living = self.model.living
        """What limits each verb to rows that are not deleted; None where nothing has to."""

    if not TYPE_CHECKING:

        def __getattr__(self, name):  # noqa: ANN001, ANN204 - hidden from type checkers
            not_there(self, "a repository", name, READ_WORDS)

    async def get(
        self,
        key: object,
        *,
        load: RelationArgument | Sequence[RelationArgument] = (),
        lock: RowLock | None = None,
    ) -> E | None:
        """Return the entity under *key*, None when there is none.

        A composite key is a tuple of its fields' values, in the order of their declaration.

        With `lock="update"` nobody else changes, deletes or locks its row until the transaction
        ends; see `find`.
        """
        wanted = self._key(key)
        if lock is not None:
            check_row_lock(self._driver, lock)
            by_key = has_key(self.model, wanted)
            rows = await self._session.find(Select(self.model, self._there(by_key), lock=lock))
            await self._load(rows, load)
            return next(iter(rows), None)
        if not load:
            session = session_of(self._driver, self._affinity, self._recorder)
            found: E | None = await session.get(self.model, wanted)
            return found if self._living is None else self._seen(found)
        async with self._one_view():
            found = await self._session.get(self.model, wanted)
            if (seen := self._seen(found)) is not None:
                await self._load([seen], load)
            return seen

    async def get_one(
        self,
        key: object,
        *,
        load: RelationArgument | Sequence[RelationArgument] = (),
        lock: RowLock | None = None,
    ) -> E:
        """Return the entity under *key*, its row held with *lock* as by `get`.

        Raises NotFoundError.
        """
        found = await self.get(key, load=load, lock=lock)
        if found is None:
            raise NotFoundError(self.model.name, key)
        return found

    async def get_many(
        self, keys: Iterable[object], *, load: RelationArgument | Sequence[RelationArgument] = ()
    ) -> list[E | None]:
        """Return the entities under *keys*, by position, None where there is none."""
        wanted = [self._key(key) for key in validation.several("get_many", keys)]
        if not wanted:
            return []
        async with self._one_view() if load else nullcontext():
            these = has_key_among(self.model, dict.fromkeys(wanted))
            found = await self._session.find(Select(self.model, self._there(these)))
            await self._load(found, load)
        by_key = {self.model.key_of_entity(entity): entity for entity in found}
        results: list[E | None] = []
        given: set[object] = set()
        for key in wanted:
            entity = by_key.get(key)
            results.append(deepcopy(entity) if key in given else entity)  # each a copy of its own
            given.add(key)
        return results

    async def find(
        self,
        *where: Condition[E],
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        load: RelationArgument | Sequence[RelationArgument] = (),
        lock: RowLock | None = None,
        skip_locked: bool = False,
    ) -> list[E]:
        """Return what fits *where*, along *order_by* (then by key), with *load* fetched too.

        With `lock="update"`, inside a transaction, nobody else changes, deletes or locks these
        rows until it ends, and what others hold is waited for, up to `lock_timeout`; with
        *skip_locked* that is left out instead. What *load* fetches is not held.

        Raises UnsupportedError where the backend has no row locks, TransactionError outside of a
        transaction and in a read-only one, LockTimeoutError, and SerializationError for a deadlock.
        """
        if lock is not None or skip_locked:
            check_row_lock(self._driver, lock, skip_locked=skip_locked)
        select = Select(
            self.model,
            self._condition(where),
            validation.total_order(self.model, order_by),
            validation.count("limit", limit),
            validation.count("offset", offset) or 0,
            lock,
            skip_locked,
        )
        if not load:
            return await session_of(self._driver, self._affinity, self._recorder).find(select)
        async with self._one_view():
            found = await self._session.find(select)
            await self._load(found, load)
            return found

    async def first(
        self,
        *where: Condition[E],
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        load: RelationArgument | Sequence[RelationArgument] = (),
    ) -> E | None:
        """Return the first that fits, None when none does."""
        return next(iter(await self.find(*where, order_by=order_by, limit=1, load=load)), None)

    async def one(
        self, *where: Condition[E], load: RelationArgument | Sequence[RelationArgument] = ()
    ) -> E:
        """Return the only one that fits. Raises NotFoundError and MultipleFoundError."""
        found = await self.find(*where, limit=2, load=load)
        if not found:
            raise NotFoundError(self.model.name)
        if len(found) > 1:
            raise MultipleFoundError(self.model.name)
        return found[0]

    async def page(
        self,
        *where: Condition[E],
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        size: int = 50,
        cursor: str | None = None,
        total: bool = False,
        load: RelationArgument | Sequence[RelationArgument] = (),
    ) -> Page[E]:
        """Return the page of up to *size* results after (or before) *cursor*, or the first one.

        The order is total, ties break by key, so that nothing is shown twice or left out when rows
        are added or deleted between pages. Without *order_by* DynamoDB, outside of a transaction,
        goes along a scan in the order of the table, which has no way back: `previous` is None.
        Raises InvalidCursorError for another query's cursor.
        """
        order = validation.total_order(self.model, order_by)
        select = Select(self.model, self._condition(where), order)
        of_table = not validation.orders(self.model, order_by) and self._walks_table(select)
        asked = CursorCodec(select.where, order, of_table=of_table)
        found, _ = await self._page(asked, size, cursor, total=total, load=load)
        return found

    async def search(
        self,
        text: str,
        *where: Condition[E],
        size: int = 50,
        cursor: str | None = None,
        total: bool = False,
        load: RelationArgument | Sequence[RelationArgument] = (),
    ) -> Page[SearchHit[E]]:
        """Return the page of what has the words of *text* and fits *where*, the best first.

        All words have to stand in the fields that are declared with `search`, in one or in several
        of them: `night -rain "red car" cam*` has *night* and the phrase, not *rain*, and a word
        that begins with *cam*. Nothing is found by a text without a word to look for. Of equal rank
        (`SearchHit.rank`) they come by key; pages are as those of `page`.

        Raises InvalidQueryError for an entity without such fields and for more than 64 words.
        """
        index, terms = searched(self.model), search_terms(text)
        predicate = self._condition((index.predicate(terms), *where))
        if not terms.wanted:
            return Page([], None, None, 0 if total else None)
        best = Order(index.rank(terms), descending=True)
        order = (best, *map(Order, self.model.key_columns))
        asked = CursorCodec(predicate, order)
        found, places = await self._page(asked, size, cursor, total=total, load=load)
        return found.map(lambda entity: SearchHit(entity, cast("int", next(places)[0])))

    async def _page(
        self,
        asked: CursorCodec,
        size: int,
        cursor: str | None,
        *,
        total: bool,
        load: RelationArgument | Sequence[RelationArgument],
    ) -> tuple[Page[E], Iterator[Place]]:
        """Return the page of what is *asked*, and the place of each of its items."""
        if not validation.count("size", size) or size > PAGE_LIMIT:
            raise InvalidQueryError(f"size={size}: expected 1 to {PAGE_LIMIT}")
        place = None if cursor is None else asked.decode(cursor)
        backwards = place is not None and place.direction == "before"
        along = reverse(asked.order) if backwards else asked.order
        select = Select(self.model, asked.where, along, size + 1)
        values = None if place is None else place.values
        async with self._one_view() if load or total else nullcontext():
            items, place_at = await find_behind(
                self._session, select, values, of_table=asked.of_table
            )
            counted = await self._count(asked.where) if total else None
            further = len(items) > size
            items = items[:size]
            await self._load(items, load)
        found_at = range(len(items))
        if backwards:
            items.reverse()
            found_at = found_at[::-1]
        before = (further if backwards else place is not None) and not asked.of_table
        after = bool(place) if backwards else further
        found = Page(
            items,
            next=asked.encode(Cursor("after", place_at(found_at[-1]))) if after and items else None,
            previous=asked.encode(Cursor("before", place_at(found_at[0])))
            if before and items
            else None,
            total=counted,
        )
        return found, map(place_at, found_at)

    async def stream(
        self,
        *where: Condition[E],
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        batch: int = 500,
        load: RelationArgument | Sequence[RelationArgument] = (),
    ) -> AsyncIterator[E]:
        """Yield what fits, along *order_by* (then by key), holding *batch* entities at a time.

        Outside a transaction each batch is read by itself: rows that stay are yielded exactly
        once, rows added or deleted meanwhile may be seen or not. Without *order_by* DynamoDB goes
        along a scan in the order of the table, whose rows are read once.
        """
        if not validation.count("batch", batch) or batch > PAGE_LIMIT:
            raise InvalidQueryError(f"batch={batch}: expected 1 to {PAGE_LIMIT}")
        order = validation.total_order(self.model, order_by)
        session, resumes = self._session, self._batches is not None
        if resumes and not validation.orders(self.model, order_by):
            order = ()
        select = Select(self.model, self._condition(where), order, batch)
        place: object = None
        while True:
            async with self._one_view() if load else nullcontext():
                reader = session if resumes else self._session
                items, place = await next_batch(reader, select, place, resumes=resumes)
                await self._load(items, load)
            for item in items:
                yield item
            if place is None:
                return

    async def count(self, *where: Condition[E]) -> int:
        """Return how many fit; all, when nothing is said."""
        return await self._count(self._condition(where))

    async def exists(self, *where: Condition[E]) -> bool:
        """Return whether any fits."""
        select = Select(self.model, self._condition(where), (), 1)
        return bool(await self._session.values(select, self.model.key_columns))

    def with_deleted(self) -> RepositoryReads[E]:
        """Return what reads all rows, those that are marked as deleted too.

        What relations lead to is among the living all the same. Raises InvalidQueryError for an
        entity without a `deleted_at()` field.
        """
        validation.check_deletable(self.model)
        reads: RepositoryReads[E] = RepositoryReads(self.model.entity, self.store)
        reads._living = None
        return reads

    def _condition(self, where: Iterable[object]) -> Predicate:
        """Return what all of *where* make together, of the rows that are there."""
        return validation.condition(self.model, where, with_deleted=self._living is None)

    def _there(self, where: Predicate) -> Predicate:
        return where if self._living is None else where & self._living

    def _seen(self, found: E | None) -> E | None:
        """Return *found*, None where it is deleted."""
        if found is None or self._living is None:
            return found
        assert self.model.deleted_at is not None
        return found if found.__dict__[self.model.deleted_at.name] is None else None

    async def explain(
        self,
        *where: Condition[E],
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
    ) -> QueryPlan:
        """Return how `find` with the same would be answered: by key, index or scan, at what cost.

        Nothing of it is read. Raises UnsupportedError where the backend tells no plans, and for a
        query that `find` would refuse.
        """
        driver = self._driver
        if not isinstance(driver, Planner):
            raise UnsupportedError("plans of queries", driver.name)
        self._affinity.check()
        select = Select(
            self.model,
            self._condition(where),
            validation.total_order(self.model, order_by),
            validation.count("limit", limit),
        )
        return await driver.explain(select)

    @property
    def _batches(self) -> BatchReading | None:
        """The driver where sessions read batches, None in a transaction."""
        driver = self._driver
        if isinstance(driver, BatchReading) and driver.reads_batches and current(driver) is None:
            return driver
        return None

    def _walks_table(self, select: Select[E]) -> bool:
        batches = self._batches
        return batches is not None and batches.walks_table(select)

    @property
    def _session(self) -> Session:
        return session_of(self._driver, self._affinity, self._recorder)

    @property
    def _writing(self) -> Writer:
        if not self._affinity.strict:
            self._affinity.check()
        if self.model.view:
            raise InvalidQueryError(f"{self.model.name} is a view: it is read, and never written")
        if self._beside is not None:
            return self._beside
        return session_of(self._driver, self._affinity, self._recorder)

    def _one_view(self) -> AbstractAsyncContextManager[object]:
        """Return what makes several reads see one state of the store."""
        if current(self._driver) is not None:
            return nullcontext()
        if StoreCapability.SNAPSHOTS not in self._driver.capabilities:
            return nullcontext()
        return self.store.transaction(read_only=True, replica=False)

    async def _load(
        self, entities: Sequence[E], load: RelationArgument | Sequence[RelationArgument]
    ) -> None:
        relations = validation.one_or_several(load)
        if relations and entities:
            await load_relations(self._session, self.model, entities, relations)

    async def _count(self, predicate: Predicate) -> int:
        query = AggregateQuery(self.model, (Aggregate("count"),), predicate)
        return cast("int", (await self._session.aggregate(query))[0][0])
