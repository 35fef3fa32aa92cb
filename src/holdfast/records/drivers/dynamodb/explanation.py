"""Tells the plan of a query, as `QueryPlan`, by the path that it would be answered along."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holdfast.records.drivers.dynamodb.access_path import AccessPath, access_path, told
from holdfast.records.drivers.dynamodb.item_size import LARGEST_ITEM
from holdfast.records.drivers.dynamodb.row_finder import followed
from holdfast.records.drivers.dynamodb.table_requests import describe
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.predicates import parts_of
from holdfast.records.query_plan import QueryPlan
from holdfast.records.rows.row_key import has_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.driver_requests import Select
    from holdfast.records.drivers.dynamodb.item_reader import ItemReader
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout
    from holdfast.records.entities.model import Model
    from holdfast.records.options import DynamoDBOptions

_UNIT = 4096  # bytes that a read unit reads consistently; twice that where it may lag


async def explained(
    reader: ItemReader, select: Select[object], options: DynamoDBOptions
) -> QueryPlan:
    """Return the plan of *select*. Raises UnsupportedError for a scan that nobody asked for."""
    layout = reader.layout(select.model)
    path = access_path(layout, select.where, select.order)
    related = _related(select)
    if path.access == "scan" or related:
        reader.require_scan(layout, select.where)
    consistent = options.consistent and path.access != "index"
    single = path.access in ("key", "unique") and len(path.keys) <= 1
    index = path.ranges[0].index.name if path.ranges else None
    return QueryPlan(
        path.access,
        layout.name,
        index,
        _entered(layout, path),
        told(path.server),
        told(path.client),
        "store" if path.ordered or single or not select.order else "client",
        consistent,
        tuple(reader.layout(model).name for model in related),
        await _most_units_with(reader, (layout, path), related, options, consistent=consistent),
    )


def _related(select: Select[object]) -> list[Model[object]]:
    operands = [by.operand for by in select.order]
    return list(map(model_of, followed(select.where, operands)))


def _entered(layout: TableLayout[object], path: AccessPath) -> str:
    """Return what the path is entered by, as people read it."""
    model = layout.model
    if path.access == "key":
        return f"{len(path.keys)} keys" if len(path.keys) != 1 else told_value(layout, path)
    if path.access == "unique":
        assert path.unique is not None
        return ", ".join(map(repr, path.unique.columns))
    if not path.ranges:
        return ""
    first = path.ranges[0]
    said = [
        f"{model.name}.{each.spec.name} == {value!r}"
        for each, value in zip(first.index.attributes, first.fixed, strict=False)
    ]
    if len(path.ranges) > 1:
        said[0] = f"{len(path.ranges)} values of {model.name}.{first.index.partition.spec.name}"
    if first.bound is not None:
        how, value = first.bound
        spec = first.index.attributes[len(first.fixed)].spec
        said.append(f"{model.name}.{spec.name} {how.value} {value!r}")
    if first.start is not None:
        said.append("from the cursor on")
    return " and ".join(said)


def told_value(layout: TableLayout[object], path: AccessPath) -> str:
    """Return the one key of *path*, as people read it."""
    return told(parts_of(has_key(layout.model, path.keys[0])))


async def _most_units_with(
    reader: ItemReader,
    own: tuple[TableLayout[object], AccessPath],
    related: Sequence[Model[object]],
    options: DynamoDBOptions,
    *,
    consistent: bool,
) -> float | None:
    """Return what the query's *own* path costs at the most, and the tables of *related*."""
    units = await _most_units(reader, *own, consistent=consistent)
    for model in related:
        whole = AccessPath("scan")
        more = await _most_units(reader, reader.layout(model), whole, consistent=options.consistent)
        units = None if units is None or more is None else units + more
    return units


async def _most_units(
    reader: ItemReader, layout: TableLayout[object], path: AccessPath, *, consistent: bool
) -> float | None:
    share = 1.0 if consistent else 0.5
    if path.access in ("key", "unique"):
        count = len(path.keys) if path.access == "key" else 1
        guard = 1.0 if path.access == "unique" else 0.0
        return count * (LARGEST_ITEM / _UNIT) * share + guard
    found = await describe(reader.service, layout.name)
    if found is None:
        return None
    size: int | None = found.get("TableSizeBytes")
    if path.ranges:
        name = path.ranges[0].index.name
        indexes = found.get("GlobalSecondaryIndexes", [])
        sizes = [each.get("IndexSizeBytes") for each in indexes if each.get("IndexName") == name]
        size = sizes[0] if sizes else None
    return None if size is None else math.ceil(size / _UNIT) * share
