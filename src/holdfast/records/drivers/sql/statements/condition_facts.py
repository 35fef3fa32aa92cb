"""What a condition tells of all rows that fit it: their keys, or what is null in none of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import (
    Compare,
    In,
    InRows,
    IsNull,
    Match,
    Not,
    Operator,
    node,
    parts_of,
)

if TYPE_CHECKING:
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.operands import Operand
    from holdfast.records.expressions.predicates import Predicate

E = TypeVar("E")


def by_key(model: Model[E], where: Predicate) -> bool:
    """Return whether *where* names the keys of the rows that it asks for."""
    return any(map(partial(_names_key, model), parts_of(where)))


def valued_operands(where: Predicate) -> tuple[Operand, ...]:
    """Return what has a value in each row that fits *where*, though it may be null in others.

    Where these rows are ordered, nothing need be said of nulls. In MariaDB and MySQL no index has
    an order that says where they stand, as `ORDER BY x IS NULL, x`.
    """
    found = map(_valued, parts_of(where))
    return tuple(operand for operand in found if operand is not None)


def _names_key(model: Model[E], part: Predicate) -> bool:
    match node(part):
        case Compare(Column(_, spec), Operator.EQ) | In(Column(_, spec)):
            return spec in model.keys
        case InRows(columns):
            return columns == model.key_columns
        case _:
            return False


def _valued(part: Predicate) -> Operand | None:
    match node(part):
        case Compare(operand) | In(operand) | Match(operand):
            return operand
        case Not(IsNull(operand)):
            return operand
        case _:
            return None
