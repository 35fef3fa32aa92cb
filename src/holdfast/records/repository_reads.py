"""What a repository can be asked: the base of `Repository`, which adds the writes."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from copy import deepcopy
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from holdfast.errors import (
    InvalidQueryError,
    InvalidValueError,
    MultipleFoundError,
    NotFoundError,
    UnsupportedError,
)
from holdfast.records import cursor as cursors
from holdfast.records import validation
from holdfast.records.driver import AggregateQuery, Select, StoreCapability
from holdfast.records.eager_loading import load_relations
from holdfast.records.hooked_writes import hooked_writes
from holdfast.records.hydration import loaded
from holdfast.records.model import model_of
from holdfast.records.operands import Column
from holdfast.records.placed_rows import find_placed
from holdfast.records.query import After, Aggregate, Compare, In, Operator, Predicate, all_of
from holdfast.records.query_plan import Planner
from holdfast.records.result_types import Page
from holdfast.records.row_lock import check_row_lock
from holdfast.records.transaction import current, session_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from holdfast.records.argument_types import (
        AggregateArgument,
        AnyValue,
        Condition,
        FieldArgument,
        Ordering,
        RelationArgument,
    )
    from holdfast.records.driver import RowLock, Session, Writer
    from holdfast.records.query_plan import QueryPlan
    from holdfast.records.store import Store

E = TypeVar("E")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

PAGE_LIMIT = 10_000


class RepositoryReads(Generic[E]):
    """Everything that can be asked of the entities of one kind."""

    def __init__(self, entity: type[E], store: Store) -> None:
        self.store = store
        self.model = model_of(entity)
        store.require(self.model)
        self._driver = store.driver
        self._affinity = store.affinity
        self._recorder = store.recorder
        self._hooked = hooked_writes(store, self.model)
        self._key_column = Column(self.model.name, self.model.key)

    async def get(
        self,
        key: object,
        *,
        load: RelationArgument | Sequence[RelationArgument] = (),
        lock: RowLock | None = None,
    ) -> E | None:
        """Return the entity under *key*, None when there is none.

        With `lock="update"` nobody else changes, deletes or locks its row until the transaction
        ends; see `find`.
        """
        wanted = self._key(key)
        if lock is not None:
            check_row_lock(self._driver, lock)
            by_key = Compare(self._key_column, Operator.EQ, wanted)
            rows = await self._session.find(Select(self.model, by_key, lock=lock))
            await self._load(rows, load)
            return next(iter(rows), None)
        if not load:
            return await session_of(self._driver, self._affinity, self._recorder).get(
                self.model, wanted
            )
        async with self._one_view():
            if (found := await self._session.get(self.model, wanted)) is not None:
                await self._load([found], load)
            return found

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
            found = await self._session.find(
                Select(self.model, In(self._key_column, tuple(dict.fromkeys(wanted))))
            )
            await self._load(found, load)
        name, spec = self.model.key.name, self.model.key
        by_key = {spec.to_row(self.model.name, entity.__dict__[name]): entity for entity in found}
        results: list[E | None] = []
        for key in wanted:
            results.append(by_key.get(key))
            if key in by_key:  # a key asked for twice gives two copies
                by_key[key] = deepcopy(by_key[key])
        return results

    async def find(
        self,
        *where: Condition,
        order_by: Ordering | Sequence[Ordering] = (),
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
            validation.condition(self.model, where),
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
        *where: Condition,
        order_by: Ordering | Sequence[Ordering] = (),
        load: RelationArgument | Sequence[RelationArgument] = (),
    ) -> E | None:
        """Return the first that fits, None when none does."""
        return next(iter(await self.find(*where, order_by=order_by, limit=1, load=load)), None)

    async def one(
        self, *where: Condition, load: RelationArgument | Sequence[RelationArgument] = ()
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
        *where: Condition,
        order_by: Ordering | Sequence[Ordering] = (),
        size: int = 50,
        cursor: str | None = None,
        total: bool = False,
        load: RelationArgument | Sequence[RelationArgument] = (),
    ) -> Page[E]:
        """Return the page of up to *size* results after (or before) *cursor*, or the first one.

        The order is total, ties break by key, so that nothing is shown twice or left out when rows
        are added or deleted between pages. Raises InvalidCursorError for another query's cursor.
        """
        if not validation.count("size", size) or size > PAGE_LIMIT:
            raise InvalidQueryError(f"size={size}: expected 1 to {PAGE_LIMIT}")
        predicate, order = (
            validation.condition(self.model, where),
            validation.total_order(self.model, order_by),
        )
        place = None if cursor is None else cursors.decode(cursor, predicate, order)
        backwards = place is not None and place.direction == "before"
        along = cursors.reverse(order) if backwards else order
        wanted = predicate
        if place is not None:
            wanted = all_of((predicate, After(along, place.values)))
        async with self._one_view() if load or total else nullcontext():
            items, place_at = await find_placed(
                self._session, Select(self.model, wanted, along, size + 1)
            )
            counted = await self._count(predicate) if total else None
            further = len(items) > size
            items = items[:size]
            await self._load(items, load)
        first, last = 0, len(items) - 1
        if backwards:
            items.reverse()
            first, last = last, first
        before = further if backwards else place is not None
        after = bool(place) if backwards else further
        return Page(
            items,
            next=cursors.encode(cursors.Cursor("after", place_at(last)), predicate, order)
            if after and items
            else None,
            previous=cursors.encode(cursors.Cursor("before", place_at(first)), predicate, order)
            if before and items
            else None,
            total=counted,
        )

    async def stream(
        self,
        *where: Condition,
        order_by: Ordering | Sequence[Ordering] = (),
        batch: int = 500,
        load: RelationArgument | Sequence[RelationArgument] = (),
    ) -> AsyncIterator[E]:
        """Yield what fits, along *order_by* (then by key), holding *batch* entities at a time.

        Outside a transaction each batch is read by itself: rows that stay are yielded exactly
        once, rows added or deleted meanwhile may be seen or not.
        """
        if not validation.count("batch", batch) or batch > PAGE_LIMIT:
            raise InvalidQueryError(f"batch={batch}: expected 1 to {PAGE_LIMIT}")
        predicate, order = (
            validation.condition(self.model, where),
            validation.total_order(self.model, order_by),
        )
        wanted = predicate
        while True:
            async with self._one_view() if load else nullcontext():
                items, place_at = await find_placed(
                    self._session, Select(self.model, wanted, order, batch)
                )
                place = place_at(batch - 1) if len(items) == batch else None
                await self._load(items, load)
            for item in items:
                yield item
            if place is None:
                return
            wanted = all_of((predicate, After(order, place)))

    @overload
    async def select(
        self,
        first: FieldArgument[A],
        /,
        *,
        where: Condition | Sequence[Condition] = (),
        order_by: Ordering | Sequence[Ordering] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[A]]: ...
    @overload
    async def select(
        self,
        first: FieldArgument[A],
        second: FieldArgument[B],
        /,
        *,
        where: Condition | Sequence[Condition] = (),
        order_by: Ordering | Sequence[Ordering] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[A, B]]: ...
    @overload
    async def select(
        self,
        first: FieldArgument[A],
        second: FieldArgument[B],
        third: FieldArgument[C],
        /,
        *,
        where: Condition | Sequence[Condition] = (),
        order_by: Ordering | Sequence[Ordering] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[A, B, C]]: ...
    @overload
    async def select(
        self,
        *fields: AnyValue,
        where: Condition | Sequence[Condition] = (),
        order_by: Ordering | Sequence[Ordering] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[object, ...]]: ...
    async def select(
        self,
        *fields: AnyValue,
        where: Condition | Sequence[Condition] = (),
        order_by: Ordering | Sequence[Ordering] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> Any:
        """Return a tuple of the values of *fields* for each that fits, fetching nothing else."""
        wanted = validation.value_columns(self.model, fields)
        if not wanted:
            raise InvalidQueryError("no fields: expected such as Video.id, Video.title")
        select = Select(
            self.model,
            validation.condition(self.model, validation.one_or_several(where)),
            validation.total_order(self.model, order_by),
            validation.count("limit", limit),
            validation.count("offset", offset) or 0,
        )
        rows = await self._session.values(select, wanted)
        return loaded(self.model, rows, [column.spec for column in wanted])

    async def aggregate(
        self,
        *figures: AggregateArgument,
        where: Condition | Sequence[Condition] = (),
        by: AnyValue | Sequence[AnyValue] = (),
    ) -> list[tuple[object, ...]]:
        """Return figures over what fits, as `Video.duration.sum()` and `count()` say them.

        A row for each value of *by* that is there, in the order of these values, nulls last: first
        the values, then the figures. Without *by* one row. Nulls don't count; a figure of no
        values is None, a count 0. Sums and means of integers, decimals and durations are exact; a
        sum of floats that no float can hold raises InvalidValueError; MariaDB and MySQL can't tell.
        """
        groups = validation.value_columns(self.model, validation.one_or_several(by))
        query = AggregateQuery(
            self.model,
            validation.aggregates(self.model, figures),
            validation.condition(self.model, validation.one_or_several(where)),
            groups,
        )
        rows = await self._session.aggregate(query)
        for figure in chain.from_iterable(rows):
            if isinstance(figure, float) and not isfinite(figure):
                raise InvalidValueError(self.model.name, "sum", "it is too large for a float")
        kinds = [column.spec for column in groups] + [
            figure.operand.spec
            if figure.operand is not None and figure.function in ("min", "max")
            else None
            for figure in query.aggregates
        ]
        return loaded(self.model, rows, kinds)

    async def count(self, *where: Condition) -> int:
        """Return how many fit; all, when nothing is said."""
        return await self._count(validation.condition(self.model, where))

    async def exists(self, *where: Condition) -> bool:
        """Tell whether any fits."""
        select = Select(self.model, validation.condition(self.model, where), (), 1)
        return bool(await self._session.values(select, (self._key_column,)))

    async def explain(
        self,
        *where: Condition,
        order_by: Ordering | Sequence[Ordering] = (),
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
            validation.condition(self.model, where),
            validation.total_order(self.model, order_by),
            validation.count("limit", limit),
        )
        return await driver.explain(select)

    @property
    def _session(self) -> Session:
        return session_of(self._driver, self._affinity, self._recorder)

    @property
    def _writing(self) -> Writer:
        if not self._affinity.strict:
            self._affinity.check()
        if self._hooked is not None:
            return self._hooked
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

    def _key(self, key: object) -> object:
        return self.model.key.to_row(self.model.name, key)
