"""Rows along an order, each with its place in it: where pages and streams go on from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from holdfast.records.expressions.operands import Aggregate, Column, GroupValue, Path
from holdfast.records.expressions.predicates import After, all_of
from holdfast.records.rows.hydration import from_own_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.driver import BatchReader, Reader
    from holdfast.records.driver_requests import Select
    from holdfast.records.expressions.operands import ValueColumn
    from holdfast.records.expressions.predicates import Order

E = TypeVar("E")
_OF_NO_ROW = (Path, Aggregate, GroupValue)
"""What no row has as a value of a known type."""

Place: TypeAlias = "tuple[object, ...]"
"""The row values that an order goes by at one row."""


async def find_placed(reader: Reader, select: Select[E]) -> tuple[list[E], Callable[[int], Place]]:
    """Return what *select* finds, and the function from an index in it to the place there.

    What the order goes by beyond the row is read in the same statement, so it is that by which
    the rows were ordered.
    """
    model, order = select.model, select.order
    further = tuple(each for each in _operands(order) if not isinstance(each, Column))
    if not further:
        items = await reader.find(select)
        return items, lambda at: _place(items[at], order)
    own = tuple(Column(model.name, spec) for spec in model.fields)
    width = len(own)
    rows = await reader.values(select, (*own, *further))

    def place_at(at: int) -> Place:
        row, beyond = rows[at], iter(rows[at][width:])
        return tuple(
            row[operand.spec.position] if isinstance(operand, Column) else next(beyond)
            for operand in _operands(order)
        )

    return from_own_rows(model)([row[:width] for row in rows]), place_at


async def find_behind(
    reader: Reader, select: Select[E], place: Place | None, *, of_table: bool
) -> tuple[list[E], Callable[[int], Place]]:
    """Do as `find_placed` for the rows behind *place*, None for the first.

    *of_table*: the *reader* is a `BatchReader`, and rows come in the order of the table; the order
    of *select* is by key, and *place* is the key's values.
    """
    if of_table:
        key = place[0] if place is not None and len(place) == 1 else place
        items = await cast("BatchReader", reader).find_behind(replace(select, order=()), key)
        return items, lambda at: _place(items[at], select.order)
    if place is not None:
        behind = After(select.order, place)
        select = replace(select, where=all_of((select.where, behind)))
    return await find_placed(reader, select)


async def next_batch(
    reader: Reader, select: Select[E], place: object, *, resumes: bool
) -> tuple[list[E], object]:
    """Return the rows of *select* behind *place*, None for the first, and the place behind them.

    That is None at the end. *resumes*: the *reader* is a `BatchReader`, and *place* its own.
    """
    if resumes:
        return await cast("BatchReader", reader).find_batch(select, place)
    behind = cast("Place | None", place)
    items, place_at = await find_behind(reader, select, behind, of_table=False)
    return items, place_at(len(items) - 1) if len(items) == select.limit else None


def _place(entity: object, order: tuple[Order, ...]) -> Place:
    values = vars(entity)
    found: list[object] = []
    for operand in _operands(order):
        value = values[operand.spec.name]
        found.append(None if value is None else operand.spec.type.check(value))
    return tuple(found)


def _operands(order: tuple[Order, ...]) -> list[ValueColumn]:
    return [by.operand for by in order if not isinstance(by.operand, _OF_NO_ROW)]
