"""Expressions: what a user writes about the values of a row, typed by value and entity.

A field is one; so is what operators, `coalesce`, `lower` and `length` make of others. The entity,
`Of`, is told to type checkers alone, where a field is read from its class: so another entity's
expressions are refused by a repository's types.
"""

# Overloads of one operator have nullable types in common, which are null and nothing else.
# mypy: disable-error-code="overload-overlap"
# pyright: reportOverlappingOverload=false

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Protocol,
    TypeAlias,
    TypeVar,
    cast,
    overload,
)

from holdfast.errors import InvalidQueryError
from holdfast.records.expressions import arithmetic
from holdfast.records.expressions.group_aggregate import GroupAggregate, aggregate_over
from holdfast.records.expressions.operand_conditions import match_text, one_of, several_values
from holdfast.records.expressions.operands import Column, Operation, RelatedColumn, ValueColumn
from holdfast.records.expressions.predicates import (
    Compare,
    CompareOperands,
    InSubquery,
    IsNull,
    Not,
    Of,
    Operator,
    Order,
    Part,
    Predicate,
    Subquery,
)
from holdfast.records.foreign_words import EXPRESSION_WORDS, not_there
from holdfast.records.values.value import Kind

T = TypeVar("T")
V = TypeVar("V")
T_co = TypeVar("T_co", covariant=True)
N = TypeVar(
    "N", int, float, Decimal, timedelta, int | None, float | None, Decimal | None, timedelta | None
)


class TypedByValue:
    """Lets `Field[int]` say the type of the value alone: the entity is for type checkers."""

    if not TYPE_CHECKING:

        def __class_getitem__(cls, types):  # noqa: ANN001, ANN204
            both = types if isinstance(types, tuple) else (types, Any)
            return super().__class_getitem__(both)


class Valued(TypedByValue, Generic[T_co, Of]):
    """What has a value of type T in each row of the entity Of, read of *operand*."""

    @property
    def operand(self) -> ValueColumn:
        """What a query reads."""
        raise NotImplementedError


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.records.values.aggregate_values import AggregateFunction

    class EntityInstance(Protocol):
        """An entity, of which descriptors read a value; None would be an `object` too."""

        __vocabulary__: ClassVar[Mapping[str, object]]

    Given: TypeAlias = V | Valued[V, Of]
    """A plain value, or what has one in each row."""


class Expression(Valued[T, Of]):
    """A value of each row: a field, or what is computed of fields. A null makes it null."""

    def __init__(self, operand: ValueColumn) -> None:
        self._operand = operand

    if not TYPE_CHECKING:

        def __getattr__(self, name):  # noqa: ANN001, ANN204 - hidden from type checkers
            not_there(self, "a field", name, EXPRESSION_WORDS)

    @property
    def operand(self) -> ValueColumn:
        """What a query reads."""
        return self._operand

    if TYPE_CHECKING:

        @overload
        def __eq__(self, other: Given[T | None, Of]) -> Predicate[Of]: ...
        @overload
        def __eq__(self, other: object) -> bool: ...
        def __eq__(self, other: object) -> Predicate[Of] | bool: ...
        @overload
        def __ne__(self, other: Given[T | None, Of]) -> Predicate[Of]: ...
        @overload
        def __ne__(self, other: object) -> bool: ...
        def __ne__(self, other: object) -> Predicate[Of] | bool: ...

    else:

        def __eq__(self, other):  # noqa: ANN001, ANN204 - its types stand above
            return IsNull(self.operand) if other is None else self._compare(Operator.EQ, other)

        def __ne__(self, other):  # noqa: ANN001, ANN204
            return Not(self == other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return repr(self.operand)

    def _value(self, value: object) -> object:
        """Return the row value of *value*, which is compared with. Raises InvalidValueError."""
        operand = self.operand
        match operand:
            case Column(entity, spec) | RelatedColumn(_, Column(entity, spec)):
                return spec.to_row(entity, value)
            case _:
                return arithmetic.constant(value, operand.type, operand).value

    def _compare(self, operator: Operator, other: object) -> Predicate[Of]:
        operand = self.operand
        if other is None:
            raise InvalidQueryError(
                f"{operand!r} {operator.value} None has no meaning; use is_null()"
            )
        if isinstance(other, Valued):
            left, right = arithmetic.alike(operand, other.operand, operator.value)
            return CompareOperands(left, operator, right)
        if operator is not Operator.EQ and operand.type.kind is Kind.JSON:
            raise InvalidQueryError(f"{operand!r} is JSON, which has no order")
        return Compare(operand, operator, self._value(other))

    def __lt__(self, other: Given[T | None, Of]) -> Predicate[Of]:
        return self._compare(Operator.LT, other)

    def __le__(self, other: Given[T | None, Of]) -> Predicate[Of]:
        return self._compare(Operator.LE, other)

    def __gt__(self, other: Given[T | None, Of]) -> Predicate[Of]:
        return self._compare(Operator.GT, other)

    def __ge__(self, other: Given[T | None, Of]) -> Predicate[Of]:
        return self._compare(Operator.GE, other)

    def in_(self, values: Iterable[T] | Subquery[T | None]) -> Predicate[Of]:
        """One of *values*, or of what a `subquery` gives; None among plain ones stands for null.

        No values: nothing.
        """
        operand = self.operand
        if isinstance(values, Subquery):
            arithmetic.check_same_type(operand, values.column)
            return InSubquery(operand, values)
        several = several_values(operand, values)
        return one_of(operand, [None if v is None else self._value(v) for v in several])

    def not_in(self, values: Iterable[T] | Subquery[T | None]) -> Predicate[Of]:
        """None of *values*: nulls are included, unless None is among them."""
        return ~self.in_(values)

    def between(self, low: Given[T | None, Of], high: Given[T | None, Of]) -> Predicate[Of]:
        """From *low* to *high*, both included."""
        return self._compare(Operator.GE, low) & self._compare(Operator.LE, high)

    def is_null(self) -> Predicate[Of]:
        """Without a value."""
        return IsNull(self.operand)

    def contains(self, text: str) -> Predicate[Of]:
        """*text* stands in it, to the letter."""
        return match_text(self.operand, Part.ANYWHERE, text)

    def startswith(self, text: str) -> Predicate[Of]:
        """It starts with *text*, to the letter."""
        return match_text(self.operand, Part.START, text)

    def endswith(self, text: str) -> Predicate[Of]:
        """It ends with *text*, to the letter."""
        return match_text(self.operand, Part.END, text)

    def iequals(self, text: str) -> Predicate[Of]:
        """It is *text* but for case (see `fold_case`)."""
        return match_text(self.operand, Part.WHOLE, text, ignore_case=True)

    def icontains(self, text: str) -> Predicate[Of]:
        """*text* stands in it but for case (see `fold_case`)."""
        return match_text(self.operand, Part.ANYWHERE, text, ignore_case=True)

    def asc(self) -> Order[Of]:
        """Return the ascending order by this value; nulls come last."""
        return self._order(descending=False)

    def desc(self) -> Order[Of]:
        """Return the descending order by this value; nulls come last."""
        return self._order(descending=True)

    def _order(self, *, descending: bool) -> Order[Of]:
        if self.operand.type.kind is Kind.JSON:
            raise InvalidQueryError(f"{self.operand!r} is JSON, which has no order")
        return Order(self.operand, descending)

    # --- aggregates -------------------------------------------------------------------------

    def count(self) -> GroupAggregate[int]:
        """Return the aggregate: how many have a value."""
        return self._aggregated("count")

    def count_distinct(self) -> GroupAggregate[int]:
        """Return the aggregate: how many different values there are."""
        return self._aggregated("count_distinct")

    def min(self) -> GroupAggregate[T | None]:
        """Return the aggregate: the least value, None of none."""
        return self._aggregated("min")

    def max(self) -> GroupAggregate[T | None]:
        """Return the aggregate: the greatest value, None of none."""
        return self._aggregated("max")

    @overload
    def sum(self: Valued[int | None, Of]) -> GroupAggregate[int | None]: ...
    @overload
    def sum(self: Valued[float | None, Of]) -> GroupAggregate[float | None]: ...
    @overload
    def sum(self: Valued[Decimal | None, Of]) -> GroupAggregate[Decimal | None]: ...
    @overload
    def sum(self: Valued[timedelta | None, Of]) -> GroupAggregate[timedelta | None]: ...
    def sum(self: Valued[Any, Of]) -> GroupAggregate[Any]:
        """Return the aggregate: the sum of the values, None of none."""
        return GroupAggregate(aggregate_over(self.operand, "sum"))

    @overload
    def avg(self: Valued[int | None, Of]) -> GroupAggregate[float | None]: ...
    @overload
    def avg(self: Valued[float | None, Of]) -> GroupAggregate[float | None]: ...
    @overload
    def avg(self: Valued[Decimal | None, Of]) -> GroupAggregate[Decimal | None]: ...
    @overload
    def avg(self: Valued[timedelta | None, Of]) -> GroupAggregate[timedelta | None]: ...
    def avg(self: Valued[Any, Of]) -> GroupAggregate[Any]:
        """Return the aggregate: the mean of the values, None of none; a float for ints."""
        return GroupAggregate(aggregate_over(self.operand, "avg"))

    def percentile(self: Valued[float | None, Of], fraction: float) -> GroupAggregate[float | None]:
        """Return the aggregate: the value that *fraction* of the values don't reach, None of none.

        Between two values it is interpolated: `percentile(0.5)` of 1 and 2 is 1.5. Raises
        UnsupportedError where the backend has none.
        """
        return GroupAggregate(aggregate_over(self.operand, "percentile", fraction))

    def _aggregated(self, function: AggregateFunction) -> GroupAggregate[Any]:
        return GroupAggregate(aggregate_over(self.operand, function))

    # --- arithmetic: see `arithmetic` for what comes out ---------------------------------------

    if TYPE_CHECKING:

        @overload
        def __add__(self: Valued[int, Of], other: int | Valued[int, Of]) -> Expression[int, Of]: ...
        @overload
        def __add__(
            self: Valued[float, Of], other: float | Valued[float, Of]
        ) -> Expression[float, Of]: ...
        @overload
        def __add__(
            self: Valued[Decimal, Of], other: Decimal | int | Valued[Decimal, Of] | Valued[int, Of]
        ) -> Expression[Decimal, Of]: ...
        @overload
        def __add__(
            self: Valued[int, Of], other: Decimal | Valued[Decimal, Of]
        ) -> Expression[Decimal, Of]: ...
        @overload
        def __add__(
            self: Valued[timedelta, Of], other: timedelta | Valued[timedelta, Of]
        ) -> Expression[timedelta, Of]: ...
        @overload
        def __add__(
            self: Valued[datetime, Of], other: timedelta | Valued[timedelta, Of]
        ) -> Expression[datetime, Of]: ...
        @overload
        def __add__(
            self: Valued[int | None, Of], other: int | Valued[int | None, Of]
        ) -> Expression[int | None, Of]: ...
        @overload
        def __add__(
            self: Valued[float | None, Of], other: float | Valued[float | None, Of]
        ) -> Expression[float | None, Of]: ...
        @overload
        def __add__(
            self: Valued[Decimal | None, Of],
            other: Decimal | int | Valued[Decimal | None, Of] | Valued[int | None, Of],
        ) -> Expression[Decimal | None, Of]: ...
        @overload
        def __add__(
            self: Valued[int | None, Of], other: Decimal | Valued[Decimal | None, Of]
        ) -> Expression[Decimal | None, Of]: ...
        @overload
        def __add__(
            self: Valued[timedelta | None, Of], other: timedelta | Valued[timedelta | None, Of]
        ) -> Expression[timedelta | None, Of]: ...
        @overload
        def __add__(
            self: Valued[datetime | None, Of], other: timedelta | Valued[timedelta | None, Of]
        ) -> Expression[datetime | None, Of]: ...
        def __add__(self, other: object) -> object: ...

        @overload
        def __sub__(self: Valued[int, Of], other: int | Valued[int, Of]) -> Expression[int, Of]: ...
        @overload
        def __sub__(
            self: Valued[float, Of], other: float | Valued[float, Of]
        ) -> Expression[float, Of]: ...
        @overload
        def __sub__(
            self: Valued[Decimal, Of], other: Decimal | int | Valued[Decimal, Of] | Valued[int, Of]
        ) -> Expression[Decimal, Of]: ...
        @overload
        def __sub__(
            self: Valued[int, Of], other: Decimal | Valued[Decimal, Of]
        ) -> Expression[Decimal, Of]: ...
        @overload
        def __sub__(
            self: Valued[timedelta, Of], other: timedelta | Valued[timedelta, Of]
        ) -> Expression[timedelta, Of]: ...
        @overload
        def __sub__(
            self: Valued[datetime, Of], other: timedelta | Valued[timedelta, Of]
        ) -> Expression[datetime, Of]: ...
        @overload
        def __sub__(
            self: Valued[datetime, Of], other: datetime | Valued[datetime, Of]
        ) -> Expression[timedelta, Of]: ...
        @overload
        def __sub__(
            self: Valued[int | None, Of], other: int | Valued[int | None, Of]
        ) -> Expression[int | None, Of]: ...
        @overload
        def __sub__(
            self: Valued[float | None, Of], other: float | Valued[float | None, Of]
        ) -> Expression[float | None, Of]: ...
        @overload
        def __sub__(
            self: Valued[Decimal | None, Of],
            other: Decimal | int | Valued[Decimal | None, Of] | Valued[int | None, Of],
        ) -> Expression[Decimal | None, Of]: ...
        @overload
        def __sub__(
            self: Valued[int | None, Of], other: Decimal | Valued[Decimal | None, Of]
        ) -> Expression[Decimal | None, Of]: ...
        @overload
        def __sub__(
            self: Valued[timedelta | None, Of], other: timedelta | Valued[timedelta | None, Of]
        ) -> Expression[timedelta | None, Of]: ...
        @overload
        def __sub__(
            self: Valued[datetime | None, Of], other: timedelta | Valued[timedelta | None, Of]
        ) -> Expression[datetime | None, Of]: ...
        @overload
        def __sub__(
            self: Valued[datetime | None, Of], other: datetime | Valued[datetime | None, Of]
        ) -> Expression[timedelta | None, Of]: ...
        def __sub__(self, other: object) -> object: ...

        @overload
        def __mul__(self: Valued[int, Of], other: int | Valued[int, Of]) -> Expression[int, Of]: ...
        @overload
        def __mul__(
            self: Valued[float, Of], other: float | Valued[float, Of]
        ) -> Expression[float, Of]: ...
        @overload
        def __mul__(
            self: Valued[Decimal, Of], other: Decimal | int | Valued[Decimal, Of] | Valued[int, Of]
        ) -> Expression[Decimal, Of]: ...
        @overload
        def __mul__(
            self: Valued[int, Of], other: Decimal | Valued[Decimal, Of]
        ) -> Expression[Decimal, Of]: ...
        @overload
        def __mul__(
            self: Valued[timedelta, Of], other: int | Valued[int, Of]
        ) -> Expression[timedelta, Of]: ...
        @overload
        def __mul__(
            self: Valued[int | None, Of], other: int | Valued[int | None, Of]
        ) -> Expression[int | None, Of]: ...
        @overload
        def __mul__(
            self: Valued[float | None, Of], other: float | Valued[float | None, Of]
        ) -> Expression[float | None, Of]: ...
        @overload
        def __mul__(
            self: Valued[Decimal | None, Of],
            other: Decimal | int | Valued[Decimal | None, Of] | Valued[int | None, Of],
        ) -> Expression[Decimal | None, Of]: ...
        @overload
        def __mul__(
            self: Valued[int | None, Of], other: Decimal | Valued[Decimal | None, Of]
        ) -> Expression[Decimal | None, Of]: ...
        @overload
        def __mul__(
            self: Valued[timedelta | None, Of], other: int | Valued[int | None, Of]
        ) -> Expression[timedelta | None, Of]: ...
        def __mul__(self, other: object) -> object: ...

        @overload
        def __truediv__(
            self: Valued[float | None, Of], other: float | Valued[float | None, Of]
        ) -> Expression[float | None, Of]: ...
        @overload
        def __truediv__(
            self: Valued[timedelta | None, Of], other: timedelta | Valued[timedelta | None, Of]
        ) -> Expression[float | None, Of]: ...
        def __truediv__(self, other: object) -> object: ...

        def __radd__(self: Valued[N, Of], other: N) -> Expression[N, Of]: ...
        def __rsub__(self: Valued[N, Of], other: N) -> Expression[N, Of]: ...
        def __rmul__(self: Valued[N, Of], other: N) -> Expression[N, Of]: ...
        def __rtruediv__(
            self: Valued[float | None, Of], other: float
        ) -> Expression[float | None, Of]: ...
        def __neg__(self: Valued[N, Of]) -> Expression[N, Of]: ...

    else:

        def __add__(self, other):  # noqa: ANN001, ANN204 - the types of all stand above
            return _calculated(self, Operation.ADD, other)

        def __sub__(self, other):  # noqa: ANN001, ANN204
            return _calculated(self, Operation.SUBTRACT, other)

        def __mul__(self, other):  # noqa: ANN001, ANN204
            return _calculated(self, Operation.MULTIPLY, other)

        def __truediv__(self, other):  # noqa: ANN001, ANN204
            return _calculated(self, Operation.DIVIDE, other)

        def __radd__(self, other):  # noqa: ANN001, ANN204
            return _calculated(other, Operation.ADD, self)

        def __rsub__(self, other):  # noqa: ANN001, ANN204
            return _calculated(other, Operation.SUBTRACT, self)

        def __rmul__(self, other):  # noqa: ANN001, ANN204
            return _calculated(other, Operation.MULTIPLY, self)

        def __neg__(self):  # noqa: ANN204
            spans = self.operand.type.kind is Kind.TIMEDELTA
            return _calculated(timedelta(0) if spans else 0, Operation.SUBTRACT, self)

        def __rtruediv__(self, other):  # noqa: ANN001, ANN204
            return _calculated(other, Operation.DIVIDE, self)


def _calculated(left: object, operation: Operation, right: object) -> Expression[Any, Any]:
    if isinstance(left, Valued):
        start = left.operand
        end = right.operand if isinstance(right, Valued) else arithmetic.number(right, start)
    else:
        end = cast("Valued[object]", right).operand
        start = arithmetic.number(left, end)
    return Expression(arithmetic.calculation(start, operation, end))
