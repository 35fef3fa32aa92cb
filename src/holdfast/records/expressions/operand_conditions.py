"""Conditions on one operand, as fields, expressions and places in JSON say them alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.records.expressions import arithmetic
from holdfast.records.expressions.operands import Column, Path
from holdfast.records.expressions.predicates import In, IsNull, Match, Or, Part, Predicate
from holdfast.records.values.text import ValueRejected, check_text
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from holdfast.records.expressions.operands import Operand


def several_values(operand: Operand, values: Iterable[object]) -> Iterable[object]:
    """Return *values*. Raises InvalidQueryError for one: a text would be its characters."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InvalidQueryError(f"{operand!r}.in_ takes several values: got {values!r:.100}")
    return values


def one_of(operand: Operand, values: list[object]) -> Predicate:
    """Return the condition that *operand* is one of *values*; None among them stands for null."""
    known = In(operand, tuple(value for value in values if value is not None))
    return Or((known, IsNull(operand))) if None in values else known


def match_text(operand: Operand, part: Part, text: str, *, ignore_case: bool = False) -> Predicate:
    """Return the condition that *text* is that *part* of *operand*, which is text or JSON.

    Raises InvalidQueryError and InvalidValueError.
    """
    if not isinstance(text, str):
        raise InvalidQueryError(f"{operand!r}: expected text to look for, got {text!r}")
    if not isinstance(operand, Path) and operand.type.kind is not Kind.STR:
        json = operand.type.kind is Kind.JSON
        hint = ': write has_item(item), or look inside it, field["name"]' if json else ""
        raise InvalidQueryError(f"{operand!r} is not a text field{hint}")
    try:
        check_text(text)
    except ValueRejected as unfit:
        column = operand.column if isinstance(operand, Path) else operand
        name = column.name if isinstance(column, Column) else repr(operand)
        raise InvalidValueError(arithmetic.entity_of(operand), name, str(unfit)) from None
    return Match(operand, part, text, ignore_case)
