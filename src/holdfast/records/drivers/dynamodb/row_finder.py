"""Finds rows: along the path that a query has, with what a unit of work has written over it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import UnsupportedError
from holdfast.records.driver import StoreCapability
from holdfast.records.driver_requests import Select
from holdfast.records.drivers.dynamodb.access_path import AccessPath, access_path
from holdfast.records.drivers.dynamodb.item_reader import NAME
from holdfast.records.entities.joins import remote_field
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.operands import (
    Aggregate,
    Column,
    Join,
    RelatedAggregate,
    RelatedColumn,
    SearchRank,
    starts_in,
)
from holdfast.records.expressions.predicate_reach import columns_of
from holdfast.records.expressions.predicates import Compare, Everything, In, Operator, all_of
from holdfast.records.rows.evaluate import first_of_groups, fits, sort
from holdfast.records.rows.row_key import values_asked_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.records.driver_requests import Groups
    from holdfast.records.drivers.dynamodb.attribute_codec import Item
    from holdfast.records.drivers.dynamodb.item_reader import ItemReader
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout
    from holdfast.records.drivers.dynamodb.unit_of_work import UnitOfWork
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.operands import Operand
    from holdfast.records.expressions.predicates import Predicate, Subquery
    from holdfast.records.rows.evaluate import Follow
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")


class RowFinder:
    """Reads rows for one call. *unit* is the unit of work that it is part of, if it is of one."""

    def __init__(self, reader: ItemReader, unit: UnitOfWork | None = None) -> None:
        self.reader = reader
        self.unit = unit
        self._tables: dict[type, list[Row]] = {}
        """The rows of entities that the call goes to, all of them."""
        self._by_value: dict[tuple[type, str], dict[object, list[Row]]] = {}

    async def entities(self, select: Select[E]) -> list[E]:
        """Return the entities that *select* asks for, in its order."""
        layout = self.reader.layout(cast("Model[object]", select.model))
        if select.groups is not None:
            return cast("TableLayout[E]", layout).entities_of(await self.rows(select))
        end = None if select.limit is None else select.offset + select.limit
        path = access_path(layout, select.where, select.order)
        single = path.access in ("key", "unique") and len(path.keys) == 1
        in_order = path.ordered or single or not select.order
        if self.unit is not None or path.client or not in_order:
            rows = await self.rows(select)
            return cast("TableLayout[E]", layout).entities_of(rows)
        items = await self._walk(layout, path, select.where, _reaching(end), end)
        found = cast("TableLayout[E]", layout).entities(items)
        return found[select.offset : end]

    async def rows(self, select: Select[E]) -> list[Row]:
        """Return the rows that *select* asks for, in its order."""
        if select.groups is not None:
            return await self._rows_of_groups(select, select.groups)
        if self.unit is not None and select.lock is not None:
            rows = await self._rows_held(self.unit, select)
            self.unit.hold(cast("Model[object]", select.model), rows)
            return rows
        return await self._rows_along_path(select)

    async def _rows_held(self, unit: UnitOfWork, select: Select[E]) -> list[Row]:
        """Return the rows of *select*; those that point at one row come as they are counted there.

        An index lags behind the writes of others: without the count a row could be missed.
        """
        model = cast("Model[object]", select.model)
        path = access_path(self.reader.layout(model), select.where, select.order)
        pointing = _pointing(model, select.where) if path.access == "index" else None
        if pointing is None:
            return await self._rows_along_path(select)
        found = await unit.pointing_at(model, *pointing)
        follow = await self.follow(select.where, [by.operand for by in select.order])
        rows = sort(list(filter(fits(select.where, follow), found)), select.order, follow)
        return rows[select.offset :][: select.limit]

    async def _rows_along_path(self, select: Select[E]) -> list[Row]:
        model = cast("Model[object]", select.model)
        layout = self.reader.layout(model)
        end = None if select.limit is None else select.offset + select.limit
        path = access_path(layout, select.where, select.order)
        follow = await self.follow(select.where, [by.operand for by in select.order])
        holds = fits(path.left, follow)
        overlay = self.unit is not None and self.unit.has_written(model)
        bounded = (path.ordered or not select.order) and end is not None and not overlay
        enough = _reaching(end) if bounded else None
        if end is not None and bounded and path.client:
            wanted = end
            enough = lambda items: sum(map(holds, layout.rows(items))) >= wanted  # noqa: E731
        items = await self._walk(layout, path, select.where, enough, end if bounded else None)
        rows = [row for row in self._noted(layout, items) if holds(row)]
        fitting = fits(select.where, follow)
        whole = not bounded or (end is not None and len(rows) < end)
        if self.unit is not None and whole:
            self.unit.check_found(model, rows, fitting)
        if overlay:
            assert self.unit is not None
            rows = self.unit.overlaid(model, rows)
            rows += [row for row in self.unit.written_rows(model) if fitting(row)]
        if overlay or (select.order and not path.ordered):
            rows = sort(rows, select.order, follow)
        return rows[select.offset : end]

    async def _rows_of_groups(self, select: Select[E], groups: Groups) -> list[Row]:
        """Return the first rows of each group: read apart where an index has each in its order."""
        layout = self.reader.layout(cast("Model[object]", select.model))

        def of(value: object) -> Select[E]:
            among = all_of((Compare(groups.column, Operator.EQ, value), select.where))
            return replace(select, where=among, groups=None)

        follow = await self.follow(select.where, [by.operand for by in select.order])
        apart = [of(value) for value in groups.values]
        if all(access_path(layout, each.where, each.order).ordered for each in apart):
            calls = [partial(self.rows, each) for each in apart]
            if self.unit is None:
                found = await self.reader.at_once(calls)
            else:  # which calls on threads must not change at once
                found = [await call() for call in calls]
            rows = [row for each in found for row in each]
        else:
            among = all_of((In(groups.column, groups.values), select.where))
            rows = await self.rows(Select(select.model, among))
        return first_of_groups(sort(rows, select.order, follow), groups, select.limit)

    async def fitting(self, model: Model[object], where: Predicate) -> list[Row]:
        """Return the rows that fit *where*, in no order."""
        return await self.rows(Select(model, where))

    async def follow(self, where: Predicate, operands: Iterable[Operand] = ()) -> Follow:
        """Return what leads from a join and a value to rows; it has read all that can be met."""
        for target in followed(where, operands):
            if target not in self._tables:
                self._tables[target] = await self.fitting(model_of(target), Everything())
        return self._beyond

    def _beyond(self, join: Join | Subquery[object], value: object) -> list[Row]:
        remote = remote_field(join)
        by_value = self._by_value.get((join.target, remote.name))
        if by_value is None:
            by_value = {}
            for row in self._tables[join.target]:
                by_value.setdefault(row[remote.position], []).append(row)
            self._by_value[join.target, remote.name] = by_value  # whole: calls may be on threads
        return by_value.get(value, [])

    async def count(self, model: Model[object], where: Predicate) -> int | None:
        """Return how many rows fit where the service counts them, None where it can't."""
        layout = self.reader.layout(model)
        path = access_path(layout, where)
        if self.unit is not None or path.client or path.access in ("key", "unique"):
            return None
        if path.access == "scan":
            self.reader.require_scan(layout, where)
        return await self.reader.count(layout, path)

    async def _walk(
        self,
        layout: TableLayout[object],
        path: AccessPath,
        where: Predicate,
        enough: Callable[[list[Item]], bool] | None,
        most: int | None,
    ) -> list[Item]:
        if path.access == "scan":
            self.reader.require_scan(layout, where)
        if self.unit is not None and self.unit.keys_only and path.access != "key":
            raise UnsupportedError(StoreCapability.SERIALIZABLE_QUERIES, NAME)
        strong = self.unit is not None
        return await self.reader.walk(layout, path, enough=enough, most=most, strong=strong)

    def _noted(self, layout: TableLayout[object], items: list[Item]) -> list[Row]:
        if self.unit is None:
            return layout.rows(items)
        return [self.unit.note(layout, item) for item in items]


def followed(where: Predicate, operands: Iterable[Operand] = ()) -> list[type]:
    """Return the entities whose rows *where* and *operands* read beside the row's own."""
    found: dict[type, None] = {}
    waiting = list(operands)
    for start, entity in columns_of(where):
        found |= {entity: None} if entity is not None else {}
        found |= {start.target: None} if isinstance(start, Join) else {}
        waiting += [] if isinstance(start, Join) else [start]
    while waiting:
        for start in starts_in(waiting.pop()):
            match start:
                case RelatedColumn(joins):
                    found |= dict.fromkeys(join.target for join in joins)
                case SearchRank(columns):
                    waiting += columns
                case Aggregate(_, operand):
                    waiting += [] if operand is None else [operand]
                case RelatedAggregate(join, beyond, aggregate):
                    waiting.append(aggregate)
                    found[join.target] = None
                    found |= dict.fromkeys(followed(cast("Predicate", beyond)))
                case Column():
                    continue
    return list(found)


def _pointing(model: Model[object], where: Predicate) -> tuple[FieldSpec, object] | None:
    """Return the reference that *where* fixes, with the key that it is to have."""
    asked = values_asked_for(where)
    return next(((spec, asked[spec]) for spec in model.references if spec in asked), None)


def _reaching(end: int | None) -> Callable[[list[Item]], bool] | None:
    return None if end is None else partial(_has, end)


def _has(end: int, items: list[Item]) -> bool:
    return len(items) >= end
