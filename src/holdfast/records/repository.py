"""Repositories: everything that can be asked of, and done to, the entities of one kind."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from holdfast.errors import (
    InvalidQueryError,
    InvalidValueError,
    MultipleFoundError,
    NotFoundError,
    PreconditionFailedError,
    StaleVersionError,
)
from holdfast.records import cursor as cursors
from holdfast.records.driver import Figures, Select, Update
from holdfast.records.field import Field
from holdfast.records.hydrate import from_rows
from holdfast.records.loading import load_relations
from holdfast.records.model import model_of
from holdfast.records.page import BatchResult, Page, Upserted
from holdfast.records.query import (
    Aggregate,
    Change,
    Column,
    Compare,
    In,
    Increment,
    Operator,
    Order,
    Predicate,
    SetTo,
    all_of,
    columns_of,
)
from holdfast.records.transaction import current, session_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from holdfast.errors import ConflictError
    from holdfast.records.driver import Session
    from holdfast.records.model import FieldSpec, Row
    from holdfast.records.relation import Relation
    from holdfast.records.store import Store

E = TypeVar("E")

PAGE_LIMIT = 10_000


class Repository(Generic[E]):
    """The entities of one kind in a store.

    Each call is a transaction of its own, or part of the one that it is called inside of. What is
    returned is a copy: changing it changes nothing until it is written. A domain's repository is a
    subclass with queries of its own.
    """

    def __init__(self, entity: type[E], store: Store) -> None:
        self.store = store
        self.model = model_of(entity)
        store.require(self.model)
        self._driver = store.driver
        self._hydrate = from_rows(self.model)
        self._key_column = Column(self.model.name, self.model.key)
        self._by_key = Order(self._key_column)

    # --- reading ----------------------------------------------------------------------------

    async def get(self, key: object, *, load: Sequence[Relation] = ()) -> E | None:
        """Return the entity under *key*, None when there is none."""
        wanted = self._key(key)
        if not load:
            return await session_of(self._driver).get(self.model, wanted)
        async with self._one_view():
            found = await self._session.get(self.model, wanted)
            if found is not None:
                await self._load([found], load)
            return found

    async def get_one(self, key: object, *, load: Sequence[Relation] = ()) -> E:
        """Return the entity under *key*. Raises NotFoundError."""
        found = await self.get(key, load=load)
        if found is None:
            raise NotFoundError(self.model.name, key)
        return found

    async def get_many(
        self, keys: Iterable[object], *, load: Sequence[Relation] = ()
    ) -> list[E | None]:
        """Return the entities under *keys*, by position, None where there is none."""
        wanted = [self._key(key) for key in keys]
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
        *where: Predicate,
        order_by: Order | Sequence[Order] = (),
        limit: int | None = None,
        offset: int = 0,
        load: Sequence[Relation] = (),
    ) -> list[E]:
        """Return what fits *where*, along *order_by* (then by key), with *load* fetched too."""
        select = Select(
            self.model,
            self._where(where),
            self._order(order_by),
            _count("limit", limit),
            _count("offset", offset) or 0,
        )
        if not load:
            return await session_of(self._driver).find(select)
        async with self._one_view():
            found = await self._session.find(select)
            await self._load(found, load)
            return found

    async def first(
        self,
        *where: Predicate,
        order_by: Order | Sequence[Order] = (),
        load: Sequence[Relation] = (),
    ) -> E | None:
        """Return the first that fits, None when none does."""
        found = await self.find(*where, order_by=order_by, limit=1, load=load)
        return found[0] if found else None

    async def one(self, *where: Predicate, load: Sequence[Relation] = ()) -> E:
        """Return the only one that fits. Raises NotFoundError and MultipleFoundError."""
        found = await self.find(*where, limit=2, load=load)
        if not found:
            raise NotFoundError(self.model.name)
        if len(found) > 1:
            raise MultipleFoundError(self.model.name)
        return found[0]

    async def page(
        self,
        *where: Predicate,
        order_by: Order | Sequence[Order] = (),
        size: int = 50,
        cursor: str | None = None,
        total: bool = False,
        load: Sequence[Relation] = (),
    ) -> Page[E]:
        """Return the page of up to *size* results after (or before) *cursor*, or the first one.

        The order is total, ties break by key, so that nothing is shown twice or left out when rows
        are added or deleted between pages. Raises InvalidQueryError for another query's cursor.
        """
        if not 1 <= size <= PAGE_LIMIT:
            raise InvalidQueryError(f"size={size}: expected 1 to {PAGE_LIMIT}")
        predicate, order = self._where(where), self._order(order_by)
        place = None if cursor is None else cursors.decode(cursor, predicate, order)
        backwards = place is not None and place.direction == "before"
        along = cursors.reverse(order) if backwards else order
        wanted = predicate
        if place is not None:
            wanted = all_of((predicate, cursors.beyond(along, place.values)))
        async with self._one_view() if load or total else nullcontext():
            items = await self._session.find(Select(self.model, wanted, along, size + 1))
            counted = await self._count(predicate) if total else None
            further = len(items) > size
            items = items[:size]
            await self._load(items, load)
        if backwards:
            items.reverse()
        before = further if backwards else place is not None
        after = bool(place) if backwards else further
        return Page(
            items,
            next=self._cursor("after", items[-1], predicate, order) if after and items else None,
            previous=self._cursor("before", items[0], predicate, order)
            if before and items
            else None,
            total=counted,
        )

    async def stream(
        self,
        *where: Predicate,
        order_by: Order | Sequence[Order] = (),
        batch: int = 500,
        load: Sequence[Relation] = (),
    ) -> AsyncIterator[E]:
        """Yield what fits, along *order_by* (then by key), holding *batch* entities at a time.

        Outside a transaction each batch is read by itself: rows that stay are yielded exactly
        once, rows added or deleted meanwhile may be seen or not.
        """
        if not 1 <= batch <= PAGE_LIMIT:
            raise InvalidQueryError(f"batch={batch}: expected 1 to {PAGE_LIMIT}")
        predicate, order = self._where(where), self._order(order_by)
        wanted = predicate
        while True:
            async with self._one_view() if load else nullcontext():
                items = await self._session.find(Select(self.model, wanted, order, batch))
                place = self._place(items[-1], order) if len(items) == batch else None
                await self._load(items, load)
            for item in items:
                yield item
            if place is None:
                return
            wanted = all_of((predicate, cursors.beyond(order, place)))

    async def count(self, *where: Predicate) -> int:
        """Return how many fit; all, when nothing is said."""
        return await self._count(self._where(where))

    async def exists(self, *where: Predicate) -> bool:
        """Tell whether any fits."""
        select = Select(self.model, self._where(where), (), 1)
        return bool(await self._session.values(select, (self._key_column,)))

    # --- writing ----------------------------------------------------------------------------

    async def add(self, entity: E) -> E:
        """Store a new *entity* and return it as stored, with version 1.

        Raises DuplicateError, ForeignKeyError and InvalidValueError.
        """
        row = self._new_row(entity)
        stored = await session_of(self._driver).insert(self.model, (row,), atomic=True)
        return self._hydrate(cast("list[Row]", stored))[0]

    async def add_many(self, entities: Iterable[E], *, atomic: bool = True) -> BatchResult[E]:
        """Store new *entities*; their results stand at their positions.

        When *atomic*, the first conflict is raised, with its index, and nothing was stored. Else
        each is stored or refused by itself. A value that can't be stored is an error either way.
        """
        now = self.store.now()
        rows = [self.model.row(self._own(entity), version=1, now=now) for entity in entities]
        if not rows:
            return BatchResult([])
        stored = await self._session.insert(self.model, rows, atomic=atomic)
        results: list[E | ConflictError] = [
            outcome if isinstance(outcome, Exception) else self._hydrate((outcome,))[0]
            for outcome in stored
        ]
        return BatchResult(results)

    async def update(self, entity: E) -> E:
        """Overwrite the stored row of *entity* and return it as stored, one version up.

        The version it was read with must still be the stored one, else StaleVersionError; an
        entity without a version field overwrites what is there. Raises NotFoundError too.
        """
        values = self._own(entity).__dict__
        version = self.model.version
        expected: int | None = None
        if version is not None:
            known = values.get(version.name)
            if known is None:
                raise InvalidValueError(
                    self.model.name,
                    version.name,
                    "is missing: update what a repository returned, or patch by key",
                )
            expected = cast("int", version.to_row(self.model.name, known))
        row = self.model.row(entity, version=(expected or 0) + 1, now=self.store.now())
        key = row[self.model.key.position]
        if key is None:
            raise InvalidValueError(self.model.name, self.model.key.name, "the value is missing")
        stored = await session_of(self._driver).replace(self.model, row, expected)
        if stored is None:
            raise await self._why_not(key, expected)
        return stored

    async def patch(self, key: object, *changes: Change, when: Predicate | None = None) -> E:
        """Make *changes* to the row under *key* and return it as stored, one version up.

        With *when*, only if the row fits it, else PreconditionFailedError. Raises NotFoundError.
        """
        wanted = self._key(key)
        where: Predicate = Compare(self._key_column, Operator.EQ, wanted)
        if when is not None:
            where = all_of((where, self._where((when,))))
        update = Update(self.model, where, self._changes(changes))
        stored = await session_of(self._driver).patch(update)
        if stored is not None:
            return stored
        if when is not None and await self._session.get(self.model, wanted) is not None:
            raise PreconditionFailedError(self.model.name, key)
        raise NotFoundError(self.model.name, key)

    async def upsert(self, entity: E, *, on: Sequence[Field[Any]] = ()) -> Upserted[E]:
        """Add *entity*, or overwrite the row with the same *on* fields (the key, by default).

        The overwritten row keeps its key and its time of creation, and goes one version up. *on*
        is a field or fields declared unique. Any number may do this at once: there is one row, and
        no error. A clash in another unique field is a DuplicateError.
        """
        ((stored, created),) = await self._session.upsert(
            self.model, (self._new_row(entity),), self._conflict(on)
        )
        return Upserted(stored, created)

    async def update_where(self, *where: Predicate, changes: Sequence[Change]) -> int:
        """Make *changes* to all rows that fit and return how many did.

        Without a predicate it is refused: say `everything()`.
        """
        self._require_predicate(where, "update_where")
        update = Update(self.model, self._where(where), self._changes(changes))
        return await self._session.update(update)

    async def delete(self, key: object, *, version: int | None = None) -> bool:
        """Delete the row under *key* and tell whether there was one.

        With *version*, only if that is the stored one, else StaleVersionError.
        """
        wanted = self._key(key)
        where: Predicate = Compare(self._key_column, Operator.EQ, wanted)
        if version is not None:
            spec = self.model.version
            if spec is None:
                raise InvalidQueryError(f"{self.model.name} has no version field")
            expected = spec.to_row(self.model.name, version)
            where &= Compare(Column(self.model.name, spec), Operator.EQ, expected)
        if await self._session.delete(self.model, where):
            return True
        if version is not None:
            error = await self._why_not(wanted, version)
            if isinstance(error, StaleVersionError):
                raise error
        return False

    async def delete_where(self, *where: Predicate) -> int:
        """Delete all rows that fit and return how many did; refused without a predicate."""
        self._require_predicate(where, "delete_where")
        return await self._session.delete(self.model, self._where(where))

    # --- parts ------------------------------------------------------------------------------

    @property
    def _session(self) -> Session:
        return session_of(self._driver)

    def _one_view(self) -> AbstractAsyncContextManager[object]:
        """Return what makes several reads see one state of the store."""
        if current(self._driver) is not None:
            return nullcontext()
        return self.store.transaction(read_only=True)

    async def _load(self, entities: Sequence[E], relations: Sequence[Relation]) -> None:
        if relations and entities:
            await load_relations(self._session, self.model, entities, relations)

    async def _count(self, predicate: Predicate) -> int:
        query = Figures(self.model, (Aggregate("count"),), predicate)
        return cast("int", (await self._session.figures(query))[0][0])

    def _key(self, key: object) -> object:
        return self.model.key.to_row(self.model.name, key)

    def _own(self, entity: E) -> E:
        if type(entity) is not self.model.entity:
            raise InvalidQueryError(
                f"expected a {self.model.name}, got {type(entity).__name__}: {entity!r}"
            )
        return entity

    def _new_row(self, entity: E) -> Row:
        return self.model.row(self._own(entity), version=1, now=self.store.now())

    def _where(self, where: tuple[Predicate, ...]) -> Predicate:
        predicate = all_of(where)
        for column in columns_of(predicate):
            self._owned(column)
        return predicate

    def _owned(self, column: Column) -> FieldSpec:
        if self.model.by_name.get(column.spec.name) is not column.spec:
            raise InvalidQueryError(f"{column!r} is no field of {self.model.name}")
        return column.spec

    def _order(self, order_by: Order | Sequence[Order]) -> tuple[Order, ...]:
        several = isinstance(order_by, (list, tuple))
        given = tuple(cast("Sequence[Order]", order_by)) if several else (cast("Order", order_by),)
        for by in given:
            if not isinstance(by, Order):
                raise InvalidQueryError(f"expected an order such as Video.title.asc(), got {by!r}")
            self._owned(cast("Column", by.operand))
        if any(cast("Column", by.operand).spec is self.model.key for by in given):
            return given
        return (*given, self._by_key)

    def _changes(self, changes: Sequence[Change]) -> tuple[Change, ...]:
        if not changes:
            raise InvalidQueryError("no changes: expected such as Video.title.to('x')")
        seen: set[str] = set()
        for change in changes:
            if not isinstance(change, (SetTo, Increment)):
                raise InvalidQueryError(
                    f"expected a change such as Video.title.to('x'), got {change!r}"
                )
            spec = self._owned(change.column)
            if spec.role != "plain":
                raise InvalidQueryError(f"{change.column!r} is set by the store alone")
            if spec.name in seen:
                raise InvalidQueryError(f"{change.column!r} is changed twice")
            seen.add(spec.name)
        extra: list[Change] = []
        if self.model.version is not None:
            extra.append(Increment(Column(self.model.name, self.model.version), 1))
        if self.model.updated_at is not None:
            extra.append(SetTo(Column(self.model.name, self.model.updated_at), self.store.now()))
        return (*changes, *extra)

    def _conflict(self, on: Sequence[Field[Any]]) -> tuple[str, ...]:
        names: list[str] = []
        for word in on:
            if not isinstance(word, Field):
                raise InvalidQueryError(f"on= takes fields such as Video.slug, got {word!r}")
            names.append(self._owned(word.column).name)
        if not names:
            return (self.model.key.name,)
        chosen = next(
            (
                unique
                for unique in ((self.model.key.name,), *self.model.uniques)
                if set(unique) == set(names)
            ),
            None,
        )
        if chosen is None:
            raise InvalidQueryError(
                f"{', '.join(names)}: not declared unique, so on= can't name it"
            )
        return chosen

    def _require_predicate(self, where: tuple[Predicate, ...], verb: str) -> None:
        if not where:
            raise InvalidQueryError(
                f"{verb} without a predicate: say everything() to mean all rows"
            )

    def _place(self, entity: E, order: tuple[Order, ...]) -> tuple[object, ...]:
        values = entity.__dict__
        specs = [cast("Column", by.operand).spec for by in order]
        return tuple(
            None if values[spec.name] is None else spec.type.check(values[spec.name])
            for spec in specs
        )

    def _cursor(
        self,
        direction: cursors.Direction,
        entity: E,
        predicate: Predicate,
        order: tuple[Order, ...],
    ) -> str:
        return cursors.encode(
            cursors.Cursor(direction, self._place(entity, order)), predicate, order
        )

    async def _why_not(self, key: object, expected: int | None) -> Exception:
        """Return why a conditional write found no row."""
        stored = await self._session.get(self.model, key)
        if stored is None or self.model.version is None or expected is None:
            return NotFoundError(self.model.name, key)
        actual = stored.__dict__[self.model.version.name]
        return StaleVersionError(self.model.name, key, expected=expected, actual=actual)


def _count(name: str, value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise InvalidQueryError(f"{name}={value!r}: expected a whole number from 0 on")
    return value
