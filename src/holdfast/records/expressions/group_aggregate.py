"""Aggregates over the rows of a group, as callers write them: `Video.duration.sum()`, `count()`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.errors import InvalidQueryError
from holdfast.records.expressions.operands import Aggregate, RelatedAggregate
from holdfast.records.expressions.predicates import (
    Compare,
    In,
    IsNull,
    Not,
    Operator,
    Or,
    Order,
    Predicate,
)
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from holdfast.records.expressions.operands import ValueColumn
    from holdfast.records.values.aggregate_values import AggregateFunction

T = TypeVar("T")

_NUMBERS = (Kind.INT, Kind.FLOAT, Kind.DECIMAL, Kind.TIMEDELTA)
_ORDERED = tuple(kind for kind in Kind if kind not in (Kind.JSON, Kind.BOOL))
_AGGREGATED: dict[AggregateFunction, tuple[Kind, ...]] = {
    "count": tuple(Kind),
    "count_distinct": tuple(kind for kind in Kind if kind is not Kind.JSON),
    "min": _ORDERED,
    "max": _ORDERED,
    "sum": _NUMBERS,
    "avg": _NUMBERS,
    "percentile": (Kind.INT, Kind.FLOAT),
}


def aggregate_over(
    operand: ValueColumn, function: AggregateFunction, fraction: float = 0.0
) -> Aggregate:
    """Return *function* over *operand*. Raises InvalidQueryError for one that it doesn't have."""
    if operand.type.kind not in _AGGREGATED[function]:
        raise InvalidQueryError(
            f"{operand!r} is a {operand.type.kind.value} field, which has no {function}()"
        )
    is_number = isinstance(fraction, (int, float)) and not isinstance(fraction, bool)
    if not is_number or not 0 <= fraction <= 1:
        raise InvalidQueryError(f"percentile({fraction!r}): expected a number from 0 to 1")
    return Aggregate(function, operand, float(fraction))


def check_comparable(operand: Aggregate | RelatedAggregate) -> None:
    """Raise InvalidQueryError for a mean that databases can't round as Python does."""
    aggregate = operand.aggregate if isinstance(operand, RelatedAggregate) else operand
    if aggregate.function == "avg" and operand.type.kind in (Kind.DECIMAL, Kind.TIMEDELTA):
        raise InvalidQueryError(
            f"{operand!r}: a mean of {operand.type.kind.value}s is rounded, so it can be asked "
            "for, and not compared or ordered by; its sum and its count can"
        )


class GroupAggregate(Generic[T]):
    """A value of type T that is computed of the rows of a group.

    For `aggregate`, where `having=` and `order_by=` take what is compared and ordered by it.
    """

    def __init__(self, operand: Aggregate) -> None:
        self.operand = operand

    if TYPE_CHECKING:

        def __eq__(self, other: T) -> Predicate: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        def __ne__(self, other: T) -> Predicate: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]

    else:

        def __eq__(self, other):  # noqa: ANN001, ANN204 - its types stand above
            return IsNull(self.operand) if other is None else self._compare(Operator.EQ, other)

        def __ne__(self, other):  # noqa: ANN001, ANN204
            return Not(self == other)

    __hash__ = object.__hash__

    def __lt__(self, other: T) -> Predicate:
        return self._compare(Operator.LT, other)

    def __le__(self, other: T) -> Predicate:
        return self._compare(Operator.LE, other)

    def __gt__(self, other: T) -> Predicate:
        return self._compare(Operator.GT, other)

    def __ge__(self, other: T) -> Predicate:
        return self._compare(Operator.GE, other)

    def between(self, low: T, high: T) -> Predicate:
        """From *low* to *high*, both included."""
        return (self >= low) & (self <= high)

    def in_(self, values: Iterable[T]) -> Predicate:
        """One of *values*; None among them stands for null. No values: nothing."""
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise InvalidQueryError(f"{self!r}.in_ takes several values: got {values!r:.100}")
        found = tuple(self == value for value in values)
        return Or(found) if found else In(self.operand, ())

    def not_in(self, values: Iterable[T]) -> Predicate:
        """None of *values*: nulls are included, unless None is among them."""
        return ~self.in_(values)

    def is_null(self) -> Predicate:
        """Without a value: of no rows, or of none that has one. A count is never null."""
        return IsNull(self.operand)

    def asc(self) -> Order:
        """Return the ascending order by this value; nulls come last."""
        check_comparable(self.operand)
        return Order(self.operand)

    def desc(self) -> Order:
        """Return the descending order by this value; nulls come last."""
        check_comparable(self.operand)
        return Order(self.operand, descending=True)

    def _compare(self, operator: Operator, other: object) -> Predicate:
        if other is None:
            raise InvalidQueryError(f"{self!r} {operator.value} None has no meaning; use is_null()")
        check_comparable(self.operand)
        return Compare(self.operand, operator, self.operand.spec.to_row(repr(self), other))

    def __repr__(self) -> str:
        return repr(self.operand)
