"""Conditions and orders by the key of a row: one field, or the several of a composite key."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import (
    Compare,
    In,
    InRows,
    Operator,
    Order,
    all_of,
    node,
    parts_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")


def has_key(model: Model[E], key: object) -> Predicate:
    """Return the condition that the row is the one under *key*."""
    values = zip(model.key_columns, model.key_parts(key), strict=True)
    return all_of(tuple(Compare(column, Operator.EQ, value) for column, value in values))


def has_key_among(model: Model[E], keys: Iterable[object]) -> Predicate:
    """Return the condition that the row is one of those under *keys*."""
    columns = model.key_columns
    if len(columns) == 1:
        return In(columns[0], tuple(keys))
    return InRows(columns, tuple(cast("Iterable[tuple[object, ...]]", keys)))


def key_order(model: Model[E], *, descending: bool = False) -> tuple[Order, ...]:
    """Return the order of the keys."""
    return tuple(Order(column, descending) for column in model.key_columns)


def values_asked_for(where: Predicate) -> dict[FieldSpec, object]:
    """Return the fields that *where* compares with one value, which all that fit have."""
    found: dict[FieldSpec, object] = {}
    for part in parts_of(where):
        match node(part):
            case Compare(Column(spec=spec), Operator.EQ, value):
                found.setdefault(spec, value)
            case _:
                continue
    return found


def key_asked_for(model: Model[E], where: Predicate) -> object:
    """Return the key that *where* names among all that must fit, None where it names none."""
    found = values_asked_for(where)
    if any(spec not in found for spec in model.keys):
        return None
    first, *further = (found[spec] for spec in model.keys)
    return (first, *further) if further else first
