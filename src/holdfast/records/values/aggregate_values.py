"""Aggregates over values: the type of each, and what it is, said once in Python."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Context, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never, cast

from holdfast.records.values.field_spec import Declaration, FieldSpec
from holdfast.records.values.text import ValueRejected
from holdfast.records.values.value import EXACT, Bounds, Kind, ValueType, value_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AggregateFunction: TypeAlias = Literal[
    "count", "count_distinct", "sum", "avg", "min", "max", "percentile"
]
COUNTS = ("count", "count_distinct")
EXACT_SUMS = (Kind.INT, Kind.DECIMAL, Kind.TIMEDELTA)
"""The kinds whose sums are exact, at any size."""
_LARGEST = 10**28  # more than the sum of all rows that any table can have
_MEANS = Context(prec=28)
_PLAIN: dict[Kind, type] = {Kind.INT: int, Kind.FLOAT: float}


@lru_cache(1024)  # expressions have fields of their own
def aggregate_spec(function: AggregateFunction, of: FieldSpec | None) -> FieldSpec:
    """Return the field that results of *function* over values of *of* could be those of."""
    if of is None:
        return _named(function, value_type(int, Bounds()))
    match function:
        case "count" | "count_distinct":
            return _named(function, value_type(int, Bounds()))
        case "min" | "max":
            return of
        case "sum" if of.type.kind in EXACT_SUMS:
            return _named(function, _sum_type(of.type))
        case "avg" if of.type.kind in (Kind.DECIMAL, Kind.TIMEDELTA):
            return of
        case "sum" | "avg" | "percentile":
            return _named(function, value_type(float, Bounds()))
        case _:
            assert_never(function)


def _named(function: AggregateFunction, found: ValueType) -> FieldSpec:
    return FieldSpec(function, -1, found, Declaration(), None)


def _sum_type(of: ValueType) -> ValueType:
    """Return the type of a sum of values of *of*, which may be larger than one of them."""
    return ValueType(of.python, of.kind, True, of.bounds, _sum_check(of), None)


def _sum_check(of: ValueType) -> Callable[[object], object]:
    scale = of.bounds.scale or 0
    step = Decimal(1).scaleb(-scale)

    def check(value: object) -> object:
        match of.kind, value:
            case Kind.TIMEDELTA, timedelta():
                return value
            case Kind.INT, int() if not isinstance(value, bool) and abs(value) < _LARGEST:
                return value
            case Kind.DECIMAL, Decimal() if value.is_finite() and abs(value) < _LARGEST:
                exact = value.quantize(step, context=EXACT)
                if exact != value:
                    raise ValueRejected(f"{value} has more than {scale} digits after the point")
                return exact
            case _:
                raise ValueRejected(f"expected {of.kind.value} as a sum can be, got {value!r:.100}")

    return check


def is_exact_sum(function: AggregateFunction, of: FieldSpec | None) -> bool:
    """Return whether the aggregate is a sum of values whose sums are exact."""
    return function == "sum" and of is not None and of.type.kind in EXACT_SUMS


def aggregated(
    function: AggregateFunction, values: Sequence[object], fraction: float = 0.0
) -> object:
    """Return *function* over *values*, among which there is no null; None of none, a count 0."""
    match function:
        case "count":
            return len(values)
        case "count_distinct":
            return len(set(values))
        case _ if not values:
            return None
        case "min":
            return min(cast("list[int]", values))
        case "max":
            return max(cast("list[int]", values))
        case "sum":
            return _total(values)
        case "avg":
            return mean(_total(values), len(values))
        case "percentile":
            return percentile(cast("list[float]", values), fraction)
        case _:
            assert_never(function)


def plus(left: object, right: object) -> object:
    """Return the exact sum of two numbers of one kind."""
    if isinstance(left, Decimal):
        return EXACT.add(left, cast("Decimal", right))
    return cast("int", left) + cast("int", right)


def _total(values: Sequence[object]) -> object:
    total = values[0]
    for value in values[1:]:
        total = plus(total, value)
    return total


def mean(total: object, count: int) -> object:
    """Return the mean of *count* values that add up to *total*.

    That of ints is the sum as a float, divided: what databases can order by and compare too.
    """
    if isinstance(total, Decimal):
        return _MEANS.divide(total, count)
    if isinstance(total, timedelta):
        return total / count
    return float(cast("float", total)) / count


def percentile(values: Sequence[float], fraction: float) -> float:
    """Return the value below which *fraction* of *values* lie, between two of them if need be.

    As SQL's PERCENTILE_CONT has it: the place is `fraction * (n - 1)` of those in order.
    """
    ordered = sorted(map(float, values))
    place = fraction * (len(ordered) - 1)
    low = math.floor(place)
    if place == low:
        return ordered[low]
    return ordered[low] + (place - low) * (ordered[low + 1] - ordered[low])
