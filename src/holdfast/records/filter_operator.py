"""Filters as text has them, `duration__gte=60`: what stands behind the underlines, and its meaning.

The command line and the HTTP API read filters of this one grammar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from holdfast.records.expressions.expression import Expression
    from holdfast.records.expressions.predicates import Predicate

FILTER_METHODS = {
    "": "__eq__",
    "ne": "__ne__",
    "lt": "__lt__",
    "lte": "__le__",
    "gt": "__gt__",
    "gte": "__ge__",
    "in": "in_",
    "not_in": "not_in",
    "is_null": "is_null",
    "contains": "contains",
    "startswith": "startswith",
    "endswith": "endswith",
    "iequals": "iequals",
    "icontains": "icontains",
}
"""The method of a field that each operator asks; nothing stands for equality."""

LIST_OPERATORS = ("in", "not_in")
TEXT_OPERATORS = ("contains", "startswith", "endswith", "iequals", "icontains")


def filter_condition(field: Expression[object], operator: str, value: object) -> Predicate:
    """Return the condition that *operator* sets for *field* with *value*, which it fits.

    Raises InvalidValueError.
    """
    if operator == "is_null":
        condition = field.is_null()
        return condition if value else ~condition
    return cast("Predicate", getattr(field, FILTER_METHODS[operator])(value))
