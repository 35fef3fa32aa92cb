"""Finds rows: along the path that a query has, with what a unit of work has written over it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import UnsupportedError
from holdfast.records.driver import Select, StoreCapability
from holdfast.records.drivers.dynamodb.access_path import AccessPath, access_path
from holdfast.records.drivers.dynamodb.item_reader import NAME
from holdfast.records.evaluate import fits, sort
from holdfast.records.hydration import from_own_rows
from holdfast.records.joins import remote_field
from holdfast.records.model import model_of
from holdfast.records.operands import Join, RelatedColumn
from holdfast.records.query import Everything, columns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.records.drivers.dynamodb.attribute_codec import Item
    from holdfast.records.drivers.dynamodb.item_reader import ItemReader
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout
    from holdfast.records.drivers.dynamodb.unit_of_work import UnitOfWork
    from holdfast.records.evaluate import Follow
    from holdfast.records.model import Model, Row
    from holdfast.records.operands import Operand
    from holdfast.records.query import Predicate

E = TypeVar("E")


class RowFinder:
    """Reads rows for one call or one unit of work. *unit* is None where nothing is written."""

    def __init__(self, reader: ItemReader, unit: UnitOfWork | None = None) -> None:
        self.reader = reader
        self.unit = unit

    async def entities(self, select: Select[E]) -> list[E]:
        """Return the entities that *select* asks for, in its order."""
        layout = self.reader.layout(cast("Model[object]", select.model))
        end = None if select.limit is None else select.offset + select.limit
        path = access_path(layout, select.where, select.order)
        single = path.access in ("key", "unique") and len(path.keys) == 1
        in_order = path.ordered or single or not select.order
        if self.unit is not None or path.client or not in_order:
            rows = await self.rows(select)
            return from_own_rows(select.model)(rows)
        items = await self._walk(layout, path, select.where, _reaching(end), end)
        found = cast("TableLayout[E]", layout).entities(items)
        return found[select.offset : end]

    async def rows(self, select: Select[E], operands: tuple[Operand, ...] = ()) -> list[Row]:
        """Return the rows that *select* asks for; what *operands* lead to is read for `follow`."""
        model = cast("Model[object]", select.model)
        layout = self.reader.layout(model)
        end = None if select.limit is None else select.offset + select.limit
        path = access_path(layout, select.where, select.order)
        follow = await self.follow(select.where, (*operands, *(by.operand for by in select.order)))
        holds = fits(path.left, follow)
        overlay = self.unit is not None and self.unit.has_written(model)
        bounded = (path.ordered or not select.order) and end is not None and not overlay
        enough = _reaching(end) if bounded else None
        if end is not None and bounded and path.client:
            wanted = end
            enough = lambda items: sum(map(holds, layout.rows(items))) >= wanted  # noqa: E731
        items = await self._walk(layout, path, select.where, enough, end if bounded else None)
        rows = [row for row in self._noted(layout, items) if holds(row)]
        if overlay:
            assert self.unit is not None
            fitting = fits(select.where, follow)
            rows = self.unit.overlaid(model, rows)
            rows += [row for row in self.unit.written_rows(model) if fitting(row)]
        if overlay or (select.order and not path.ordered):
            rows = sort(rows, select.order, follow)
        return rows[select.offset : end]

    async def fitting(self, model: Model[object], where: Predicate) -> list[Row]:
        """Return the rows that fit *where*, in no order."""
        return await self.rows(Select(model, where))

    async def follow(self, where: Predicate, operands: Iterable[Operand] = ()) -> Follow:
        """Return what leads from a join and a value to rows; it has read all that can be met."""
        joins = {each for each, _ in columns_of(where) if isinstance(each, Join)}
        related = [each for each, _ in columns_of(where) if isinstance(each, RelatedColumn)]
        related += [each for each in operands if isinstance(each, RelatedColumn)]
        joins |= {join for each in related for join in each.joins}
        known: dict[tuple[type, str], dict[object, list[Row]]] = {}
        tables: dict[type, list[Row]] = {}
        for join in joins:
            remote = remote_field(join)
            if join.target not in tables:
                tables[join.target] = await self.fitting(model_of(join.target), Everything())
            by_value: dict[object, list[Row]] = {}
            for row in tables[join.target]:
                by_value.setdefault(row[remote.position], []).append(row)
            known[join.target, remote.name] = by_value

        def rows_of(join: Join, value: object) -> list[Row]:
            return known[join.target, remote_field(join).name].get(value, [])

        return rows_of

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


def _reaching(end: int | None) -> Callable[[list[Item]], bool] | None:
    return None if end is None else partial(_has, end)


def _has(end: int, items: list[Item]) -> bool:
    return len(items) >= end
