"""Fields: on the class typed expressions, on an instance plain values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.records.json_values import copy_json
from holdfast.records.operands import Aggregate, Column, Operand, Path, Truncated
from holdfast.records.query import (
    Compare,
    In,
    Increment,
    IsNull,
    Match,
    Not,
    Operator,
    Or,
    Order,
    Part,
    Predicate,
    SetTo,
)
from holdfast.records.text import ValueRejected, check_text
from holdfast.records.truncated_times import check_unit
from holdfast.records.value import Kind
from holdfast.records.value_expression import GroupAggregate, TruncatedTime

if TYPE_CHECKING:
    from datetime import date, datetime

    from holdfast.records.aggregate_values import AggregateFunction
    from holdfast.records.field_spec import Declaration, FieldSpec
    from holdfast.records.truncated_times import Unit

T = TypeVar("T")
N = TypeVar("N", int, float, Decimal, timedelta)
M = TypeVar("M", float, Decimal, timedelta)


class Field(Generic[T]):
    """A field of type T: `Video.duration` is this expression, `video.duration` the value."""

    declaration: Declaration
    owner: str
    spec: FieldSpec

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> Field[T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> T: ...
        def __get__(self, instance: object, owner: type) -> Field[T] | T: ...
        def __set__(self, instance: object, value: T) -> None: ...

        @overload
        def __eq__(self, other: T) -> Predicate: ...  # pyright: ignore[reportOverlappingOverload]
        @overload
        def __eq__(self, other: object) -> bool: ...
        def __eq__(self, other: object) -> Predicate | bool: ...
        @overload
        def __ne__(self, other: T) -> Predicate: ...  # pyright: ignore[reportOverlappingOverload]
        @overload
        def __ne__(self, other: object) -> bool: ...
        def __ne__(self, other: object) -> Predicate | bool: ...

    else:

        def __eq__(self, other):  # noqa: ANN001, ANN204 - its types stand above
            return IsNull(self.column) if other is None else self._compare(Operator.EQ, other)

        def __ne__(self, other):  # noqa: ANN001, ANN204
            return Not(self == other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{self.owner}.{self.spec.name}" if hasattr(self, "spec") else "a field"

    @property
    def column(self) -> Column:
        """The column of this field, as queries name it."""
        return Column(self.owner, self.spec)

    def _value(self, value: object) -> object:
        if isinstance(value, Field):
            raise InvalidQueryError(
                f"{self.column!r} is compared with another field; a field is compared with a value"
            )
        return self.spec.to_row(self.owner, value)

    def _compare(self, operator: Operator, other: object) -> Predicate:
        if other is None:
            raise InvalidQueryError(
                f"{self.column!r} {operator.value} None has no meaning; use is_null()"
            )
        if operator is not Operator.EQ and self.spec.type.kind is Kind.JSON:
            raise InvalidQueryError(f"{self.column!r} is JSON, which has no order")
        return Compare(self.column, operator, self._value(other))

    def __lt__(self, other: T) -> Predicate:
        return self._compare(Operator.LT, other)

    def __le__(self, other: T) -> Predicate:
        return self._compare(Operator.LE, other)

    def __gt__(self, other: T) -> Predicate:
        return self._compare(Operator.GT, other)

    def __ge__(self, other: T) -> Predicate:
        return self._compare(Operator.GE, other)

    def in_(self, values: Iterable[T]) -> Predicate:
        """One of *values*; None among them stands for null. No values: nothing."""
        several = _several(self.column, values)
        return _one_of(self.column, [None if v is None else self._value(v) for v in several])

    def not_in(self, values: Iterable[T]) -> Predicate:
        """None of *values*: nulls are included, unless None is among them."""
        return ~self.in_(values)

    def between(self, low: T, high: T) -> Predicate:
        """From *low* to *high*, both included."""
        return (self >= low) & (self <= high)

    def is_null(self) -> Predicate:
        """Without a value."""
        return IsNull(self.column)

    def contains(self, text: str) -> Predicate:
        """*text* stands in it, to the letter."""
        return _match(self.column, Part.ANYWHERE, text)

    def startswith(self, text: str) -> Predicate:
        """It starts with *text*, to the letter."""
        return _match(self.column, Part.START, text)

    def endswith(self, text: str) -> Predicate:
        """It ends with *text*, to the letter."""
        return _match(self.column, Part.END, text)

    def iequals(self, text: str) -> Predicate:
        """It is *text* but for case (see `fold_case`)."""
        return _match(self.column, Part.WHOLE, text, ignore_case=True)

    def icontains(self, text: str) -> Predicate:
        """*text* stands in it but for case (see `fold_case`)."""
        return _match(self.column, Part.ANYWHERE, text, ignore_case=True)

    def __getitem__(self, step: str | int) -> JsonPath:
        """Return the place inside this JSON field; raises InvalidQueryError for other fields."""
        if self.spec.type.kind is not Kind.JSON:
            raise InvalidQueryError(f"{self.column!r} is not a JSON field: it has nothing inside")
        return JsonPath(self.column, ())[step]

    __iter__ = None  # or Python would try to iterate through __getitem__

    def asc(self) -> Order:
        """Return the ascending order by this field; nulls come last."""
        return self._order(descending=False)

    def desc(self) -> Order:
        """Return the descending order by this field; nulls come last."""
        return self._order(descending=True)

    def _order(self, *, descending: bool) -> Order:
        if self.spec.type.kind is Kind.JSON:
            raise InvalidQueryError(f"{self.column!r} is JSON, which has no order")
        return Order(self.column, descending)

    def to(self, value: T) -> SetTo:
        """Return the change that gives the field *value*."""
        return SetTo(self.column, self._value(value))

    @overload
    def increment(self: Field[int], amount: int = 1) -> Increment: ...
    @overload
    def increment(self: Field[float], amount: float) -> Increment: ...
    @overload
    def increment(self: Field[Decimal], amount: Decimal) -> Increment: ...
    @overload
    def increment(self: Field[timedelta], amount: timedelta) -> Increment: ...
    def increment(self, amount: object = 1) -> Increment:
        """Return the change that adds *amount* to what is stored; concurrent increments add up."""
        if self.spec.type.kind not in _NUMBERS:
            raise InvalidQueryError(f"{self.column!r} is not a number and can't be incremented")
        return Increment(self.column, self._value(amount))

    @overload
    def truncated(
        self: Field[datetime], unit: Literal["hour"], *, zone: str = "UTC"
    ) -> TruncatedTime[datetime]: ...
    @overload
    def truncated(
        self: Field[datetime | None], unit: Literal["hour"], *, zone: str = "UTC"
    ) -> TruncatedTime[datetime | None]: ...
    @overload
    def truncated(
        self: Field[datetime], unit: Literal["day", "week", "month", "year"], *, zone: str = "UTC"
    ) -> TruncatedTime[date]: ...
    @overload
    def truncated(
        self: Field[datetime | None],
        unit: Literal["day", "week", "month", "year"],
        *,
        zone: str = "UTC",
    ) -> TruncatedTime[date | None]: ...
    def truncated(self, unit: Unit, *, zone: str = "UTC") -> TruncatedTime[Any]:
        """Return when the *unit* began that the moment lies in, by the clocks of *zone*.

        A date for a day, a week (its Monday), a month and a year; the moment in UTC for an hour.
        Where the backend knows no zones, any but UTC raises UnsupportedError.
        """
        check_unit(unit, zone)
        if self.spec.type.kind is not Kind.DATETIME:
            raise InvalidQueryError(f"{self.column!r} is no datetime, and lies in no {unit}")
        return TruncatedTime(Truncated(self.column, unit, zone))

    def count(self) -> GroupAggregate[int]:
        """Return the aggregate: how many have a value."""
        return GroupAggregate(Aggregate("count", self.column))

    def count_distinct(self) -> GroupAggregate[int]:
        """Return the aggregate: how many different values there are."""
        return GroupAggregate(aggregate_over(self, "count_distinct"))

    def min(self) -> GroupAggregate[T | None]:
        """Return the aggregate: the least value, None of none."""
        return GroupAggregate(aggregate_over(self, "min"))

    def max(self) -> GroupAggregate[T | None]:
        """Return the aggregate: the greatest value, None of none."""
        return GroupAggregate(aggregate_over(self, "max"))

    @overload
    def sum(self: Field[int] | Field[int | None]) -> GroupAggregate[int | None]: ...  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    @overload
    def sum(self: Field[float] | Field[float | None]) -> GroupAggregate[float | None]: ...  # type: ignore[overload-overlap]
    @overload
    def sum(self: Field[Decimal] | Field[Decimal | None]) -> GroupAggregate[Decimal | None]: ...  # type: ignore[overload-overlap]
    @overload
    def sum(
        self: Field[timedelta] | Field[timedelta | None],
    ) -> GroupAggregate[timedelta | None]: ...
    def sum(self) -> GroupAggregate[Any]:
        """Return the aggregate: the sum of the values, None of none."""
        return GroupAggregate(aggregate_over(self, "sum"))

    @overload
    def avg(self: Field[int] | Field[int | None]) -> GroupAggregate[float | None]: ...  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    @overload
    def avg(self: Field[float] | Field[float | None]) -> GroupAggregate[float | None]: ...  # type: ignore[overload-overlap]
    @overload
    def avg(self: Field[Decimal] | Field[Decimal | None]) -> GroupAggregate[Decimal | None]: ...  # type: ignore[overload-overlap]
    @overload
    def avg(
        self: Field[timedelta] | Field[timedelta | None],
    ) -> GroupAggregate[timedelta | None]: ...
    def avg(self) -> GroupAggregate[Any]:
        """Return the aggregate: the mean of the values, None of none; a float for int fields."""
        return GroupAggregate(aggregate_over(self, "avg"))

    @overload
    def percentile(
        self: Field[int] | Field[int | None], fraction: float
    ) -> GroupAggregate[float | None]: ...
    @overload
    def percentile(
        self: Field[float] | Field[float | None], fraction: float
    ) -> GroupAggregate[float | None]: ...
    def percentile(self, fraction: float) -> GroupAggregate[float | None]:
        """Return the aggregate: the value that *fraction* of the values don't reach, None of none.

        Between two values it is interpolated: `percentile(0.5)` of 1 and 2 is 1.5. Raises
        UnsupportedError where the backend has none.
        """
        return GroupAggregate(aggregate_over(self, "percentile", fraction))


def aggregate_over(field: object, function: AggregateFunction, fraction: float = 0.0) -> Aggregate:
    """Return *function* over *field*. Raises InvalidQueryError for one that it doesn't have."""
    if not isinstance(field, Field):
        raise InvalidQueryError(f"expected a field such as Video.duration, got {field!r}")
    column = field.column
    if column.type.kind not in _AGGREGATED[function]:
        raise InvalidQueryError(
            f"{column!r} is a {column.type.kind.value} field, which has no {function}()"
        )
    is_number = isinstance(fraction, (int, float)) and not isinstance(fraction, bool)
    if not is_number or not 0 <= fraction <= 1:
        raise InvalidQueryError(f"percentile({fraction!r}): expected a number from 0 to 1")
    return Aggregate(function, column, float(fraction))


def count() -> GroupAggregate[int]:
    """Return the aggregate: how many rows."""
    return GroupAggregate(Aggregate("count"))


_LONGEST_LIST = 2**31 - 1


class JsonPath:
    """A place inside a JSON field, such as `Video.attributes["provider"]`."""

    def __init__(self, column: Column, steps: tuple[str | int, ...]) -> None:
        self.operand = Path(column, steps)

    def __getitem__(self, step: str | int) -> JsonPath:
        if isinstance(step, bool) or not isinstance(step, (str, int)):
            raise InvalidQueryError(f"a JSON path goes by str or int, got {step!r}")
        if isinstance(step, int) and step < 0:
            raise InvalidQueryError(f"a position in a JSON list starts at 0, got {step}")
        if isinstance(step, int) and step > _LONGEST_LIST:
            raise InvalidQueryError(f"a position in a JSON list is at most {_LONGEST_LIST}")
        if isinstance(step, str):
            self._json(step)
        return JsonPath(self.operand.column, (*self.operand.steps, step))

    __iter__ = None
    __hash__ = object.__hash__

    def _json(self, value: object) -> object:
        try:
            return copy_json(value)
        except ValueRejected as unfit:
            column = self.operand.column
            raise InvalidValueError(column.entity, column.name, str(unfit)) from None

    def __eq__(self, other: object) -> Predicate:  # type: ignore[override]
        if other is None:
            return IsNull(self.operand)
        return Compare(self.operand, Operator.EQ, self._json(other))

    def __ne__(self, other: object) -> Predicate:  # type: ignore[override]
        return Not(self == other)

    def _compare(self, operator: Operator, other: object) -> Predicate:
        if isinstance(other, bool) or not isinstance(other, (str, int, float)):
            raise InvalidQueryError(
                f"{self.operand!r} {operator.value} {other!r}: only numbers and text have an order"
            )
        return Compare(self.operand, operator, self._json(other))

    def __lt__(self, other: str | float) -> Predicate:
        return self._compare(Operator.LT, other)

    def __le__(self, other: str | float) -> Predicate:
        return self._compare(Operator.LE, other)

    def __gt__(self, other: str | float) -> Predicate:
        return self._compare(Operator.GT, other)

    def __ge__(self, other: str | float) -> Predicate:
        return self._compare(Operator.GE, other)

    def in_(self, values: Iterable[object]) -> Predicate:
        """One of *values*, by type and value; None stands for null or missing."""
        several = _several(self.operand, values)
        return _one_of(self.operand, [self._json(value) for value in several])

    def not_in(self, values: Iterable[object]) -> Predicate:
        """None of *values*: what is null or missing is included, unless None is among them."""
        return ~self.in_(values)

    def is_null(self) -> Predicate:
        """The path leads nowhere, or to a JSON null."""
        return IsNull(self.operand)

    def contains(self, text: str) -> Predicate:
        """It is text, and *text* stands in it, to the letter."""
        return _match(self.operand, Part.ANYWHERE, text)

    def startswith(self, text: str) -> Predicate:
        """It is text that starts with *text*, to the letter."""
        return _match(self.operand, Part.START, text)

    def endswith(self, text: str) -> Predicate:
        """It is text that ends with *text*, to the letter."""
        return _match(self.operand, Part.END, text)

    def iequals(self, text: str) -> Predicate:
        """It is *text* but for case (see `fold_case`)."""
        return _match(self.operand, Part.WHOLE, text, ignore_case=True)

    def icontains(self, text: str) -> Predicate:
        """It is text, and *text* stands in it but for case (see `fold_case`)."""
        return _match(self.operand, Part.ANYWHERE, text, ignore_case=True)


def _several(operand: Operand, values: Iterable[object]) -> Iterable[object]:
    """Return *values*. Raises InvalidQueryError for one: a text would be its characters."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InvalidQueryError(f"{operand!r}.in_ takes several values: got {values!r:.100}")
    return values


def _one_of(operand: Operand, values: list[object]) -> Predicate:
    known = In(operand, tuple(value for value in values if value is not None))
    return Or((known, IsNull(operand))) if None in values else known


def _match(
    operand: Column | Path, part: Part, text: str, *, ignore_case: bool = False
) -> Predicate:
    column = operand if isinstance(operand, Column) else operand.column
    if not isinstance(text, str):
        raise InvalidQueryError(f"{operand!r}: expected text to look for, got {text!r}")
    if isinstance(operand, Column) and operand.spec.type.kind is not Kind.STR:
        raise InvalidQueryError(f"{operand!r} is not a text field")
    try:
        check_text(text)
    except ValueRejected as unfit:
        raise InvalidValueError(column.entity, column.name, str(unfit)) from None
    return Match(operand, part, text, ignore_case)


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
