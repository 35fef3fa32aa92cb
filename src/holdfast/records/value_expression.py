"""Values that a question computes, as callers write them: compared, and ordered by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.errors import InvalidQueryError
from holdfast.records.operands import Aggregate, RelatedAggregate, Truncated
from holdfast.records.query import Compare, In, IsNull, Not, Operator, Or, Order, Predicate
from holdfast.records.value import Kind

T = TypeVar("T")
Of = TypeVar("Of", bound=Aggregate | RelatedAggregate | Truncated)


class ValueExpression(Generic[T, Of]):
    """A value of type T that is computed: an aggregate of several rows, or a part of a time."""

    def __init__(self, operand: Of) -> None:
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
        self._check_comparable()
        return Order(self.operand)

    def desc(self) -> Order:
        """Return the descending order by this value; nulls come last."""
        self._check_comparable()
        return Order(self.operand, descending=True)

    def _compare(self, operator: Operator, other: object) -> Predicate:
        if other is None:
            raise InvalidQueryError(f"{self!r} {operator.value} None has no meaning; use is_null()")
        self._check_comparable()
        return Compare(self.operand, operator, self.operand.spec.to_row(repr(self), other))

    def _check_comparable(self) -> None:
        """Raise InvalidQueryError for a mean that databases can't round as Python does."""
        operand: Aggregate | RelatedAggregate | Truncated = self.operand
        if isinstance(operand, RelatedAggregate):
            operand = operand.aggregate
        if isinstance(operand, Truncated) or operand.function != "avg":
            return
        if operand.type.kind in (Kind.DECIMAL, Kind.TIMEDELTA):
            raise InvalidQueryError(
                f"{self!r}: a mean of {operand.type.kind.value}s is rounded, so it can be asked "
                "for, and not compared or ordered by; its sum and its count can"
            )

    def __repr__(self) -> str:
        return repr(self.operand)


class GroupAggregate(ValueExpression[T, Aggregate]):
    """An aggregate over the rows of a group: `Video.duration.sum()`, `count()`.

    For `aggregate`, where `having=` and `order_by=` take what is compared and ordered by it.
    """


class RelationAggregate(ValueExpression[T, RelatedAggregate]):
    """An aggregate over the entities that a `Many` leads to: `Project.videos.count()`.

    For `select` and `by=`; compared and ordered by it is part of any question about projects.
    """


class TruncatedTime(ValueExpression[T, Truncated]):
    """When the hour, day, week, month or year began: `Video.created_at.truncated("day")`.

    For `by=` and `select`; compared and ordered by it is part of any question.
    """
