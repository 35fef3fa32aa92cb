"""What each verb does to a view: pure functions of rows, checked against every constraint."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import ConfigurationError, ConflictError, ForeignKeyError
from holdfast.records.drivers.memory.index_walk import index_walk
from holdfast.records.drivers.memory.layers import indexed_positions
from holdfast.records.entities.joins import remote_field
from holdfast.records.entities.model import Model, model_of
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import (
    Compare,
    In,
    InRows,
    Operator,
    Predicate,
    all_of,
    parts_of,
)
from holdfast.records.rows.evaluate import changed, first_of_groups, fits, reader, sort
from holdfast.records.rows.grouped_rows import grouped
from holdfast.records.rows.hydration import copied_row, from_rows
from holdfast.records.rows.row_key import key_asked_for
from holdfast.records.rows.row_rules import check_row, duplicate, unique_values
from holdfast.records.values.json_values import copy_json
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.records.driver import Values
    from holdfast.records.driver_requests import AggregateQuery, Select, Taking, Update
    from holdfast.records.drivers.memory.layers import Layer, View
    from holdfast.records.entities.constraint import Unique
    from holdfast.records.entities.model import Row
    from holdfast.records.expressions.operands import Join, ValueColumn
    from holdfast.records.expressions.predicates import Subquery
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")


class MemoryExecutor:
    """The models' rows as one view shows them. Writes leave a part done when they raise."""

    def __init__(
        self,
        view: View,
        models: tuple[Model[object], ...],
        base: dict[str, Layer],
        numbers: dict[str, int],
    ) -> None:
        self.view = view
        self._models = models
        self._base = base
        self._numbers = numbers

    # --- reading ----------------------------------------------------------------------------

    def get(self, model: Model[E], key: object) -> E | None:
        """See `Reader`."""
        row = self.view.get(self._table(model), key)
        return None if row is None else from_rows(model)((row,))[0]

    def find(self, select: Select[E]) -> list[E]:
        """See `Reader`."""
        return from_rows(select.model)(self._select(select))

    def values(self, select: Select[E], columns: tuple[ValueColumn, ...]) -> list[Values]:
        """See `Reader`."""
        readers = [(reader(column, self._related), column.spec) for column in columns]
        return [
            tuple(_copy(read(row), spec) for read, spec in readers) for row in self._select(select)
        ]

    def aggregate(self, query: AggregateQuery[E]) -> list[Values]:
        """See `Reader`."""
        return grouped(query, self._fitting(query.model, query.where), self._related)

    def _select(self, select: Select[E]) -> list[Row]:
        model = cast("Model[object]", select.model)
        if select.groups is not None:
            among = all_of((In(select.groups.column, select.groups.values), select.where))
            rows = sort(self._fitting(model, among), select.order, self._related)
            return first_of_groups(rows, select.groups, select.limit)
        walk = index_walk(model, select.where, select.order) if select.order else None
        end = None if select.limit is None else select.offset + select.limit
        if walk is None:
            rows = sort(self._fitting(model, select.where), select.order, self._related)
            return rows[select.offset : end]
        holds = fits(select.where, self._related)
        met = self.view.walk(
            self._table(model),
            walk.positions,
            walk.low,
            walk.high,
            descending=walk.descending,
        )
        start = min(select.offset, sys.maxsize)
        end = None if end is None else min(end, sys.maxsize)
        return list(islice((row for _, row in met if holds(row)), start, end))

    def _fitting(self, model: Model[E], where: Predicate) -> list[Row]:
        holds = fits(where, self._related)
        return [row for row in self._candidates(model, where) if holds(row)]

    def _related(self, join: Join | Subquery[object], value: object) -> Sequence[Row]:
        """Return the rows that *join* leads to from a row whose local field has *value*."""
        target: Model[object] = model_of(join.target)
        table, remote = self._table(target), remote_field(join)
        if target.keys == (remote,):
            row = self.view.get(table, value)
            return () if row is None else (row,)
        if (remote.position,) not in indexed_positions(target):
            return [row for row in self.view.rows(table) if row[remote.position] == value]
        return self.view.lookup(table, (remote.position,), (value,))

    def _candidates(self, model: Model[E], where: Predicate) -> Iterable[Row]:
        """Return rows among which are all that fit: by key or index where *where* allows it."""
        table = self._table(model)
        key = key_asked_for(model, where)
        if key is not None:
            row = self.view.get(table, key)
            return () if row is None else (row,)
        for part in parts_of(where):
            match part:
                case InRows(columns, keys) if columns == model.key_columns:
                    rows = (self.view.get(table, key) for key in dict.fromkeys(keys))
                    return [row for row in rows if row is not None]
                case Compare(Column(_, spec), Operator.EQ, value):
                    values: tuple[object, ...] = (value,)
                case In(Column(_, spec), values):
                    pass
                case _:
                    continue
            if model.keys == (spec,):
                rows = (self.view.get(table, value) for value in dict.fromkeys(values))
                return [row for row in rows if row is not None]
            if (spec.position,) in indexed_positions(cast("Model[object]", model)):
                return [
                    row
                    for value in dict.fromkeys(values)
                    for row in self.view.lookup(table, (spec.position,), (value,))
                ]
        return self.view.rows(table)

    # --- writing ----------------------------------------------------------------------------

    def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """See `Writer`."""
        results: list[Row | ConflictError] = []
        for index, row in enumerate(rows):
            try:
                added = self._add(model, row, index if len(rows) > 1 else None)
                results.append(copied_row(model, added))
            except ConflictError as conflict:
                if atomic:
                    raise
                results.append(conflict)
        return results

    def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """See `Writer`."""
        key = model.key_of(row)
        stored = self.view.get(self._table(model), key)
        if stored is None:
            return None
        if model.version is not None and stored[model.version.position] != expected:
            return None
        if model.deleted_at is not None and stored[model.deleted_at.position] is not None:
            return None
        written = self._keeping(model, row, stored)
        self._put(model, written, stored)
        return from_rows(model)((written,))[0]

    def patch(self, update: Update[E]) -> E | None:
        """See `Writer`."""
        rows = self._fitting(update.model, update.where)
        if not rows:
            return None
        written = changed(rows[0], update.changes)
        self._put(update.model, written, rows[0])
        return from_rows(update.model)((written,))[0]

    def update(self, update: Update[E]) -> int:
        """See `Writer`."""
        rows = self._fitting(update.model, update.where)
        for row in rows:
            self._put(update.model, changed(row, update.changes), row)
        return len(rows)

    def take(self, taking: Taking[E]) -> list[E]:
        """See `TakingWriter`."""
        model, changes = taking.update.model, taking.update.changes
        fit = [row for each in taking.each() for row in self._select(each.select(None))]
        taken: list[Row] = []
        for stored in {model.key_of(row): row for row in fit}.values():
            row = changed(stored, changes)
            self._put(model, row, stored)
            taken.append(row)
        return from_rows(model)(taken)

    def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `Writer`."""
        written: list[Row] = []
        created: list[bool] = []
        for index, row in enumerate(rows):
            stored = self._same(model, row, on)
            created.append(stored is None)
            at = index if len(rows) > 1 else None
            if stored is None:
                written.append(self._add(model, row, at))
                continue
            replaced = list(self._keeping(model, row, stored))
            for spec in model.keys:
                replaced[spec.position] = stored[spec.position]
            if model.version is not None:
                place = model.version.position
                replaced[place] = cast("int", stored[place]) + 1
            self._put(model, tuple(replaced), stored, at)
            written.append(tuple(replaced))
        return list(zip(from_rows(model)(written), created, strict=True))

    def delete(self, model: Model[E], where: Predicate) -> int:
        """See `Writer`."""
        rows = self._fitting(model, where)
        gone = self._remove(model, rows)
        self._check_gone(gone)
        return len(rows)

    def _add(self, model: Model[E], row: Row, index: int | None) -> Row:
        key = model.key_of(row)
        table = self._table(model)
        if model.keys[0].role == "generated":
            last = self._numbers.get(table, 0)
            key = last + 1 if key is None else key
            self._numbers[table] = max(last, cast("int", key))
            row = (*row[: model.key.position], key, *row[model.key.position + 1 :])
        if self.view.get(table, key) is not None:
            raise duplicate(model, model.key_unique, index)
        self._put(model, row, None, index)
        return row

    def _put(self, model: Model[E], row: Row, stored: Row | None, index: int | None = None) -> None:
        """Write *row* over *stored*, which is None for a new one."""
        table = self._table(model)
        key = model.key_of(row)
        check_row(model, row)
        for unique in model.all_uniques:
            if any(model.key_of(other) != key for other in self._alike(model, unique, row)):
                raise duplicate(model, unique, index)
        for spec in model.references:
            value = row[spec.position]
            if value is None or (stored is not None and stored[spec.position] == value):
                continue
            target = _target(spec)
            itself = target is model and value == key
            if not itself and self.view.get(self._table(target), value) is None:
                raise ForeignKeyError(model.name, (spec.name,), index)
        self.view.write(table, key, row)

    def _keeping(self, model: Model[E], row: Row, stored: Row) -> Row:
        """Return *row* with what *stored* keeps (`FieldSpec.kept`)."""
        return tuple(
            old if spec.kept else new
            for spec, new, old in zip(model.fields, row, stored, strict=True)
        )

    def _same(self, model: Model[E], row: Row, on: tuple[str, ...]) -> Row | None:
        if on == model.key_names:
            return self.view.get(self._table(model), model.key_of(row))
        return next(iter(self._alike(model, model.unique_on(on), row)), None)

    def _alike(self, model: Model[E], unique: Unique, row: Row) -> list[Row]:
        """Return the stored rows that *unique* can't tell from *row*."""
        values = unique_values(unique, row)
        if values is None:
            return []
        table = self._table(model)
        if not unique.plain:
            return self.view.same(table, unique, values)
        places = tuple(column.spec.position for column in unique.columns)
        return self.view.lookup(table, places, values)

    def _remove(self, model: Model[E], rows: Sequence[Row]) -> list[tuple[Model[object], object]]:
        """Delete *rows* and what goes with them; return what is gone, for `_check_gone`."""
        gone: list[tuple[Model[object], object]] = []
        waiting = [(cast("Model[object]", model), row) for row in rows]
        while waiting:  # a chain of rows may be longer than calls can be deep
            owner, row = waiting.pop()
            key = owner.key_of(row)
            if self.view.get(self._table(owner), key) is None:
                continue  # gone with another one already
            self.view.write(self._table(owner), key, None)
            gone.append((owner, key))
            for child, spec in self._pointing_at(owner):
                assert spec.reference is not None
                pointing = self.view.lookup(self._table(child), (spec.position,), (key,))
                if spec.reference.on_delete == "cascade":
                    waiting += [(child, other) for other in pointing]
                elif spec.reference.on_delete == "set null":
                    for other in pointing:
                        nulled = (*other[: spec.position], None, *other[spec.position + 1 :])
                        self._put(child, nulled, other)
        return gone

    def _check_gone(self, gone: list[tuple[Model[object], object]]) -> None:
        for model, key in gone:
            for child, spec in self._pointing_at(model):
                if self.view.lookup(self._table(child), (spec.position,), (key,)):
                    raise ForeignKeyError(child.name, (spec.name,))

    def _pointing_at(self, model: Model[E]) -> list[tuple[Model[object], FieldSpec]]:
        return [
            (child, spec)
            for child in self._models
            for spec in child.references
            if _target(spec) is model
        ]

    def _table(self, model: Model[E]) -> str:
        if model.table not in self._base:
            raise ConfigurationError(
                f"{model.name} has no table {model.table!r} yet: call store.create_schema()"
            )
        return model.table


def _target(spec: FieldSpec) -> Model[object]:
    assert spec.reference is not None
    return model_of(spec.reference.target())


def _copy(value: object, spec: FieldSpec) -> object:
    return copy_json(value) if spec.type.kind is Kind.JSON else value
