"""What an entity's constraints ask of a row, as functions of it: said once in Python.

The memory backend keeps constraints by them. For the others they tell before a row is sent that a
check refuses it, and afterwards which constraint it was that stood in the way.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from holdfast.errors import CheckError, DuplicateError, InvalidValueError
from holdfast.records.expressions.predicates import Compare, Match, Operator, Part, all_of
from holdfast.records.rows.evaluate import fits
from holdfast.records.values.field_spec import LEFT_OUT
from holdfast.records.values.text import fold_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.records.entities.constraint import Check, Unique
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.operands import Join
    from holdfast.records.expressions.predicates import Predicate, Subquery

E = TypeVar("E")


def _nowhere(join: Join | Subquery[object], _value: object) -> Iterable[Row]:
    raise AssertionError(f"a constraint follows no relation: {join!r}")


@cache
def _rules(model: Model[Any]) -> tuple[tuple[Check, Callable[[Row], bool]], ...]:
    return tuple((check, fits(check.predicate, _nowhere)) for check in model.checks)


def broken_check(model: Model[E], row: Row) -> Check | None:
    """Return the first of the model's checks that *row* does not fit, None when it fits all.

    Those of values that only the database knows are left to it.
    """
    rules: Iterable[tuple[Check, Callable[[Row], bool]]] = _rules(model)
    unknown = {spec.name for spec in model.server_defaults if row[spec.position] is LEFT_OUT}
    if unknown:
        rules = [rule for rule in rules if unknown.isdisjoint(rule[0].fields)]
    return next((check for check, holds in rules if not holds(row)), None)


def check_row(model: Model[E], row: Row) -> Row:
    """Return *row*. Raises CheckError, or InvalidValueError for a field out of its bounds."""
    if model.checks:
        broken = broken_check(model, row)
        if broken is not None:
            raise check_error(model, broken)
    return row


def check_error(model: Model[E], broken: Check) -> InvalidValueError:
    """Return the error for a row that the check *broken* refuses."""
    if broken.of is not None:
        return InvalidValueError(model.name, broken.of.name, str(broken.of.outside))
    return CheckError(model.name, broken.name, broken.fields)


def duplicate(model: Model[E], taken: Unique | None, index: int | None = None) -> DuplicateError:
    """Return the error for a row, number *index* of its batch, whose values are *taken*."""
    if taken is None:
        return DuplicateError(model.name, (), index)
    return DuplicateError(model.name, taken.fields, index, constraint=taken.name)


@cache
def _membership(unique: Unique) -> Callable[[Row], bool] | None:
    return None if unique.where is None else fits(unique.where, _nowhere)


def takes_part(unique: Unique, row: Row) -> bool:
    """Return whether *row* is one of those that *unique* keeps apart, a null left aside."""
    holds = _membership(unique)
    return holds is None or holds(row)


def unique_values(unique: Unique, row: Row) -> tuple[object, ...] | None:
    """Return what *unique* compares of *row*; None when it is like no other row."""
    values = tuple(row[column.spec.position] for column in unique.columns)
    if None in values or not takes_part(unique, row):
        return None
    return folded(values) if unique.ignore_case else values


def identities(columns: Sequence[Sequence[object]]) -> list[object]:
    """Return of each row what tells it from others, None where a value is null.

    *columns* are the values of the fields that tell the rows apart, a list for each. UUIDs are
    compared as the numbers that they are, which is done in C.
    """
    plain = [
        [value.int if type(value) is UUID else value for value in column] for column in columns
    ]
    if len(plain) == 1:
        return plain[0]
    return [None if None in values else values for values in zip(*plain, strict=True)]


def alike(unique: Unique, values: Sequence[object]) -> Predicate:
    """Return what the rows fit of which *unique* compares *values*, as `unique_values` has them."""
    parts: list[Predicate] = [] if unique.where is None else [unique.where]
    for column, value in zip(unique.columns, values, strict=True):
        if unique.ignore_case and isinstance(value, str):
            parts.append(Match(column, Part.WHOLE, value, ignore_case=True))
        else:
            parts.append(Compare(column, Operator.EQ, value))
    return all_of(tuple(parts))


def folded(values: Iterable[object]) -> tuple[object, ...]:
    """Return *values* with the case of texts folded."""
    return tuple(fold_case(value) if isinstance(value, str) else value for value in values)
