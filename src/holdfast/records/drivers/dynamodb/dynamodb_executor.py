"""What each verb does in a unit of work: rows checked against every constraint, then gathered."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import ConflictError, ForeignKeyError
from holdfast.records.driver_requests import AggregateQuery
from holdfast.records.drivers.dynamodb.numbering import numbered
from holdfast.records.drivers.dynamodb.row_finder import RowFinder
from holdfast.records.drivers.dynamodb.table_layout import target_of
from holdfast.records.drivers.dynamodb.unit_of_work import Clash, marks, said
from holdfast.records.drivers.dynamodb.unknown_parts import refuse_unknown
from holdfast.records.expressions.operands import Aggregate
from holdfast.records.rows.evaluate import changed, reader
from holdfast.records.rows.grouped_rows import grouped
from holdfast.records.rows.row_rules import check_row, duplicate, unique_values
from holdfast.records.values.json_values import copy_json
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.driver import Values
    from holdfast.records.driver_requests import Select, Taking, Update
    from holdfast.records.drivers.dynamodb.item_reader import ItemReader
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout
    from holdfast.records.drivers.dynamodb.unit_of_work import UnitOfWork
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.operands import ValueColumn
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

_COUNT = (Aggregate("count"),)


class DynamoDBReading:
    """The verbs that read, of the rows as one unit of work sees them, or as the store has them."""

    def __init__(self, reader: ItemReader, unit: UnitOfWork | None = None) -> None:
        self.finder = RowFinder(reader, unit)
        self._reader = reader
        self._unit = unit

    async def get(self, model: Model[E], key: object) -> E | None:
        """See `Reader`."""
        known = cast("Model[object]", model)
        if self._unit is not None:
            row = await self._unit.row(known, key)
            return None if row is None else self._entities(model, (row,))[0]
        layout = self._reader.layout(known)
        item = await self._reader.item(layout, key)
        return None if item is None else cast("E", layout.entities((item,))[0])

    def _entities(self, model: Model[E], rows: Sequence[Row]) -> list[E]:
        layout = cast("TableLayout[E]", self._reader.layout(cast("Model[object]", model)))
        return layout.entities_of(rows, copied=True)

    async def find(self, select: Select[E]) -> list[E]:
        """See `Reader`."""
        refuse_unknown(select)
        return await self.finder.entities(select)

    async def values(self, select: Select[E], columns: tuple[ValueColumn, ...]) -> list[Values]:
        """See `Reader`."""
        refuse_unknown(select)
        follow = await self.finder.follow(select.where, columns)
        rows = await self.finder.rows(select)
        readers = [(reader(column, follow), column.spec) for column in columns]
        return [tuple(_copy(read(row), spec) for read, spec in readers) for row in rows]

    async def aggregate(self, query: AggregateQuery[E]) -> list[Values]:
        """See `Reader`."""
        refuse_unknown(query)
        model = cast("Model[object]", query.model)
        if query == AggregateQuery(query.model, _COUNT, query.where):
            counted = await self.finder.count(model, query.where)
            if counted is not None:
                return [(counted,)]
        follow = await self.finder.follow(query.where, (*query.by, *query.aggregates))
        rows = await self.finder.fitting(model, query.where)
        return grouped(query, rows, follow)


class DynamoDBExecutor(DynamoDBReading):
    """All verbs, in one unit of work. Writes leave a part done in it when they raise."""

    def __init__(self, reader: ItemReader, unit: UnitOfWork) -> None:
        super().__init__(reader, unit)
        self.unit = unit

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """See `Writer`."""
        known = cast("Model[object]", model)
        return await self.add(known, await numbered(self._reader, known, rows), atomic=atomic)

    async def add(
        self, model: Model[object], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """Do as `insert` with rows that all have a key."""
        await self.unit.prefetch(model, rows)
        self.unit.expected = {(model, model.key_of(row)) for row in rows}
        results: list[Row | ConflictError] = []
        for index, row in enumerate(rows):
            try:
                results.append(await self._add(model, row, index if len(rows) > 1 else None))
            except ConflictError as conflict:
                if atomic:
                    raise
                results.append(conflict)
        return results

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """See `Writer`."""
        known = cast("Model[object]", model)
        stored = await self.unit.row(known, model.key_of(row))
        if stored is None:
            return None
        if model.version is not None and stored[model.version.position] != expected:
            return None
        if model.deleted_at is not None and stored[model.deleted_at.position] is not None:
            return None
        written = _keeping(known, row, stored)
        await self._put(known, written, stored)
        return self._entities(model, (written,))[0]

    async def patch(self, update: Update[E]) -> E | None:
        """See `Writer`."""
        model = cast("Model[object]", update.model)
        rows = await self.finder.fitting(model, update.where)
        if not rows:
            return None
        written = changed(rows[0], update.changes)
        await self._put(model, written, rows[0])
        return self._entities(update.model, (written,))[0]

    async def update(self, update: Update[E]) -> int:
        """See `Writer`."""
        model = cast("Model[object]", update.model)
        rows = await self.finder.fitting(model, update.where)
        written = [changed(row, update.changes) for row in rows]
        await self.unit.prefetch(model, written)
        for row, stored in zip(written, rows, strict=True):
            await self._put(model, row, stored)
        return len(rows)

    async def take(self, taking: Taking[E]) -> list[E]:
        """See `TakingWriter`."""
        update = taking.update
        model = cast("Model[object]", update.model)
        taken: list[Row] = []
        for each in taking.each():
            rows = await self.finder.rows(each.select(None))
            written = [changed(row, update.changes) for row in rows]
            await self.unit.prefetch(model, written)
            for row, stored in zip(written, rows, strict=True):
                await self._put(model, row, stored)
            taken += written
        return self._entities(update.model, taken)

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `Writer`."""
        known = cast("Model[object]", model)
        await self.unit.prefetch(known, rows)
        written: list[Row] = []
        created: list[bool] = []
        for index, row in enumerate(rows):
            stored = await self._same(known, row, on)
            created.append(stored is None)
            at = index if len(rows) > 1 else None
            if stored is None:
                (row,) = await numbered(self._reader, known, (row,))  # noqa: PLW2901
                written.append(await self._add(known, row, at))
                continue
            replaced = list(_keeping(known, row, stored))
            for spec in model.keys:
                replaced[spec.position] = stored[spec.position]
            if model.version is not None:
                place = model.version.position
                replaced[place] = cast("int", stored[place]) + 1
            await self._put(known, tuple(replaced), stored, at)
            written.append(tuple(replaced))
        return list(zip(self._entities(model, written), created, strict=True))

    async def delete(self, model: Model[E], where: Predicate) -> int:
        """See `Writer`."""
        known = cast("Model[object]", model)
        rows = await self.finder.fitting(known, where)
        for owner, key in await self._remove(known, rows):
            for child, spec in self._referring(owner):
                if await self.unit.pointing_at(child, spec, key):
                    raise ForeignKeyError(child.name, (spec.name,))
        return len(rows)

    async def _add(self, model: Model[object], row: Row, index: int | None) -> Row:
        if await self._is_taken(model, model.key_of(row)):
            raise duplicate(model, model.key_unique, index)
        await self._put(model, row, None, index)
        return row

    async def _is_taken(self, model: Model[object], key: object) -> bool:
        if self.unit.assumes and (model, key) not in self.unit.written:
            return False
        return await self.unit.row(model, key) is not None

    async def _put(
        self, model: Model[object], row: Row, stored: Row | None, index: int | None = None
    ) -> None:
        """Write *row* over *stored*, which is None for a new one."""
        key = model.key_of(row)
        check_row(model, row)
        if stored is not None and marks(model, stored, row):
            await self._check_marked(model, key)
        for unique in model.all_uniques:
            values = unique_values(unique, row)
            if values is None:
                continue
            holder = await self.unit.holder(model, unique, values)
            if holder is not None and holder != key:
                raise duplicate(model, unique, index)
        for spec in model.references:
            value = row[spec.position]
            if value is None or (stored is not None and stored[spec.position] == value):
                continue
            target = target_of(spec)
            itself = target is model and value == key
            if not itself and not await self._is_there(target, value):
                raise ForeignKeyError(model.name, (spec.name,), index)
        self.unit.write(model, key, row)

    async def _check_marked(self, model: Model[object], key: object) -> None:
        """Raise Clash when a living row points at the one that is marked as deleted, unread.

        Soft deletion has looked for such rows along an index, which lags.
        """
        known = set(self.unit.seen)
        for child, spec in self._referring(model):
            assert spec.reference is not None
            if spec.reference.on_delete == "set null":
                continue
            for row in await self.unit.pointing_at(child, spec, key):
                place = (child, child.key_of(row))
                marked = child.deleted_at is not None and row[child.deleted_at.position] is not None
                if not marked and place not in known and place not in self.unit.written:
                    raise Clash(said(place))

    async def _is_there(self, model: Model[object], key: object) -> bool:
        if self.unit.assumes and (model, key) not in self.unit.written:
            return (model, key) not in self.unit.expected
        return await self.unit.row(model, key) is not None

    async def _same(self, model: Model[object], row: Row, on: tuple[str, ...]) -> Row | None:
        if on == model.key_names:
            key = model.key_of(row)
            return None if key is None else await self.unit.row(model, key)
        unique = model.unique_on(on)
        values = unique_values(unique, row)
        if values is None:
            return None
        holder = await self.unit.holder(model, unique, values)
        return None if holder is None else await self.unit.row(model, holder)

    async def _remove(
        self, model: Model[object], rows: Sequence[Row]
    ) -> list[tuple[Model[object], object]]:
        """Delete *rows* and what goes with them; return what is gone."""
        gone: list[tuple[Model[object], object]] = []
        waiting = [(model, row) for row in rows]
        while waiting:
            owner, row = waiting.pop()
            key = owner.key_of(row)
            if await self.unit.row(owner, key) is None:
                continue  # gone with another one already
            self.unit.write(owner, key, None)
            gone.append((owner, key))
            for child, spec in self._referring(owner):
                assert spec.reference is not None
                if spec.reference.on_delete == "restrict":
                    continue
                pointing = await self.unit.pointing_at(child, spec, key)
                if spec.reference.on_delete == "cascade":
                    waiting += [(child, other) for other in pointing]
                    continue
                for other in pointing:
                    nulled = (*other[: spec.position], None, *other[spec.position + 1 :])
                    await self._put(child, nulled, other)
        return gone

    def _referring(self, model: Model[object]) -> list[tuple[Model[object], FieldSpec]]:
        return [
            (layout.model, spec)
            for layout in self._reader.layouts
            for spec in layout.model.references
            if target_of(spec) is model
        ]


def _keeping(model: Model[object], row: Row, stored: Row) -> Row:
    """Return *row* with what *stored* keeps (`FieldSpec.kept`)."""
    return tuple(
        old if spec.kept else new for spec, new, old in zip(model.fields, row, stored, strict=True)
    )


def _copy(value: object, spec: FieldSpec) -> object:
    return copy_json(value) if spec.type.kind is Kind.JSON else value
