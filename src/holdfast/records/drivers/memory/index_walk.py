"""Which way to the rows of a query: along an index when one fits, else over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.records.drivers.memory.layers import Positions, indexed_positions, sortable
from holdfast.records.drivers.memory.sorted_tuples import TOP, Entry
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import After, And, Compare, Operator, Order, Predicate

if TYPE_CHECKING:
    from holdfast.records.entities.model import Model


@dataclass(frozen=True, slots=True)
class Walk:
    """The entries of the index on *positions* from *low* up to, without, *high*."""

    positions: Positions
    low: Entry
    high: Entry
    descending: bool


def index_walk(model: Model[object], where: Predicate, order: tuple[Order, ...]) -> Walk | None:
    """Return a walk that meets the rows of *where* along *order*, None when no index does."""
    if not all(isinstance(by.operand, Column) for by in order):
        return None
    conditions = where.parts if isinstance(where, And) else (where,)
    fixed = _fixed(conditions)
    wanted = [by for by in order if _position(by) not in fixed]
    if len({by.descending for by in wanted}) > 1 or any(_nullable(by) for by in wanted):
        return None
    descending = bool(wanted) and wanted[0].descending
    along = [_position(by) for by in wanted]
    for positions in indexed_positions(model):
        full = (*positions, *(spec.position for spec in model.keys))
        head = 0
        while head < len(full) and full[head] in fixed:
            head += 1
        if list(full[head : head + len(along)]) != along:
            continue
        prefix = tuple(sortable(model.fields[at], fixed[at]) for at in full[:head])
        low, high = _bounds(conditions, wanted, prefix)
        return Walk(positions, low, high, descending)
    return None


def _fixed(conditions: tuple[Predicate, ...]) -> dict[int, object]:
    """Return the fields that have one value in all rows that fit, by position."""
    fixed: dict[int, object] = {}
    for condition in conditions:
        match condition:
            case Compare(Column(_, spec), Operator.EQ, value):
                fixed[spec.position] = value
            case _:
                continue
    return fixed


def _bounds(
    conditions: tuple[Predicate, ...],
    wanted: list[Order],
    prefix: Entry,
) -> tuple[Entry, Entry]:
    low: Entry = prefix
    high: Entry = (*prefix, TOP)
    if not wanted:
        return low, high
    first = _position(wanted[0])
    for condition in conditions:
        match condition:
            case After(order, values) if [_position(by) for by in order] == [
                _position(by) for by in wanted
            ]:
                place = (*prefix, *values)
                ways = {by.descending for by in order}
                if ways == {True}:  # its own way, which may be against that of the walk
                    high = min(high, place)
                elif ways == {False}:
                    low = max(low, (*place, TOP))
            case Compare(Column(_, spec), how, value) if spec.position == first:
                match how:
                    case Operator.GE:
                        low = max(low, (*prefix, value))
                    case Operator.GT:
                        low = max(low, (*prefix, value, TOP))
                    case Operator.LE:
                        high = min(high, (*prefix, value, TOP))
                    case Operator.LT:
                        high = min(high, (*prefix, value))
                    case Operator.EQ:
                        continue
            case _:
                continue
    return low, high


def _position(by: Order) -> int:
    assert isinstance(by.operand, Column)
    return by.operand.spec.position


def _nullable(by: Order) -> bool:
    assert isinstance(by.operand, Column)
    return by.operand.spec.type.nullable
