"""Fields: on the class typed expressions, on an instance plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from holdfast.errors import InvalidQueryError, UntranslatableError
from holdfast.records.expressions import arithmetic
from holdfast.records.expressions.expression import Expression, Valued
from holdfast.records.expressions.field_changes import EditJson, Increment, SetBy, SetFrom, SetTo
from holdfast.records.expressions.group_aggregate import GroupAggregate
from holdfast.records.expressions.json_path import JsonPath, edit, has_item
from holdfast.records.expressions.operands import Aggregate, Column, Truncated
from holdfast.records.expressions.predicates import Of, Predicate, Subquery, all_of
from holdfast.records.values.json_edit import EditAction
from holdfast.records.values.truncated_times import check_unit
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime, timedelta
    from decimal import Decimal

    from holdfast.records.expressions.expression import EntityInstance
    from holdfast.records.values.field_spec import Declaration, FieldSpec
    from holdfast.records.values.truncated_times import Unit

T = TypeVar("T")
K = TypeVar("K")
W = TypeVar("W")
Item = TypeVar("Item")

_NUMBERS = (Kind.INT, Kind.FLOAT, Kind.DECIMAL, Kind.TIMEDELTA)


class Field(Expression[T, Of]):
    """A field of type T: `Video.duration` is this expression, `video.duration` the value."""

    declaration: Declaration
    owner: str
    entity: type | None = None
    spec: FieldSpec

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[W]) -> Field[T, W]: ...
        @overload
        def __get__(self, instance: EntityInstance, owner: type) -> T: ...
        def __get__(self, instance: object, owner: type) -> Field[T, Any] | T: ...
        def __set__(self, instance: object, value: T) -> None: ...

    def __repr__(self) -> str:
        return f"{self.owner}.{self.spec.name}" if hasattr(self, "spec") else "a field"

    @property
    def column(self) -> Column:
        """The column of this field, as queries name it."""
        return Column(self.owner, self.spec)

    @property
    def operand(self) -> Column:
        """What a query reads: the field's column."""
        return self.column

    def has_item(self, item: object) -> Predicate[Of]:
        """It is a JSON list, and one of its items is *item*, by type and value."""
        return has_item(self.column, item)

    def __getitem__(self, step: str | int) -> JsonPath[Of]:
        """Return the place inside this JSON field; raises InvalidQueryError for other fields."""
        if self.spec.type.kind is not Kind.JSON:
            raise InvalidQueryError(f"{self.column!r} is not a JSON field: it has nothing inside")
        return JsonPath[Of](self.column, ())[step]

    __iter__ = None  # or Python would try to iterate through __getitem__

    @overload
    def to(self, value: T) -> SetTo[Of]: ...
    @overload
    def to(self, value: Valued[T, Of]) -> SetFrom[Of]: ...
    def to(self, value: object) -> SetTo[Of] | SetFrom[Of]:
        """Return the change that gives the field *value*.

        An expression is evaluated on the row as it is stored, before any change of the same write.
        Raises InvalidQueryError for one whose values the field might not hold.
        """
        if isinstance(value, Valued):
            return SetFrom(self.column, arithmetic.assignable(self.column, value.operand))
        return SetTo(self.column, self.spec.bounded(self.owner, self._value(value)))

    @overload
    def to_by(self, by: Field[K, Of], values: Mapping[K, T]) -> SetBy[Of]: ...
    @overload
    def to_by(self, by: Field[K | None, Of], values: Mapping[K, T]) -> SetBy[Of]: ...
    def to_by(self, by: Field[K, Of] | Field[K | None, Of], values: Mapping[K, T]) -> SetBy[Of]:
        """Return the change that gives each row the one of *values* under its value in *by*.

        It is for `update_where` and `take`, and rows with another value in *by*, or null, do not
        fit them. Raises InvalidQueryError without a value, and where *by* is JSON or no field.
        """
        if not isinstance(by, Field) or by.spec.type.kind is Kind.JSON:
            raise InvalidQueryError(
                f"{self!r}.to_by: expected a field that is not JSON, got {by!r}"
            )
        if not values:
            raise InvalidQueryError(f"{self!r}.to_by: expected a value for some {by!r}, got none")
        found = {
            by.spec.to_row(by.owner, each): self.spec.bounded(self.owner, self._value(value))
            for each, value in values.items()
        }
        return SetBy(self.column, by.column, found)

    @overload
    def increment(self: Field[int, Of], amount: int = 1) -> Increment[Of]: ...
    @overload
    def increment(self: Field[float, Of], amount: float) -> Increment[Of]: ...
    @overload
    def increment(self: Field[Decimal, Of], amount: Decimal) -> Increment[Of]: ...
    @overload
    def increment(self: Field[timedelta, Of], amount: timedelta) -> Increment[Of]: ...
    def increment(self, amount: object = 1) -> Increment[Of]:
        """Return the change that adds *amount* to what is stored; concurrent increments add up."""
        if self.spec.type.kind not in _NUMBERS:
            raise InvalidQueryError(f"{self.column!r} is not a number and can't be incremented")
        return Increment(self.column, self._value(amount))

    @overload
    def append(
        self: Field[list[Item], Of], item: Item, *, if_absent: bool = False
    ) -> EditJson[Of]: ...
    @overload
    def append(
        self: Field[list[Item] | None, Of], item: Item, *, if_absent: bool = False
    ) -> EditJson[Of]: ...
    def append(self, item: object, *, if_absent: bool = False) -> EditJson[Of]:
        """Return the change that puts *item* at the end of the list; a null becomes a list.

        With *if_absent*, only if none of its items is equal, by type and value. It is made in the
        database: concurrent ones are all kept. Raises InvalidQueryError for what is no list.
        """
        action = EditAction.APPEND_ABSENT if if_absent else EditAction.APPEND
        return edit(self.column, action, item)

    @overload
    def remove_item(self: Field[list[Item], Of], item: Item) -> EditJson[Of]: ...
    @overload
    def remove_item(self: Field[list[Item] | None, Of], item: Item) -> EditJson[Of]: ...
    def remove_item(self, item: object) -> EditJson[Of]:
        """Return the change that takes all items that are equal to *item* out of the list."""
        return edit(self.column, EditAction.REMOVE_ITEM, item)

    @overload
    def truncated(
        self: Field[datetime, Of], unit: Literal["hour"], *, zone: str = "UTC"
    ) -> Expression[datetime, Of]: ...
    @overload
    def truncated(
        self: Field[datetime | None, Of], unit: Literal["hour"], *, zone: str = "UTC"
    ) -> Expression[datetime | None, Of]: ...
    @overload
    def truncated(
        self: Field[datetime, Of],
        unit: Literal["day", "week", "month", "year"],
        *,
        zone: str = "UTC",
    ) -> Expression[date, Of]: ...
    @overload
    def truncated(
        self: Field[datetime | None, Of],
        unit: Literal["day", "week", "month", "year"],
        *,
        zone: str = "UTC",
    ) -> Expression[date | None, Of]: ...
    def truncated(self, unit: Unit, *, zone: str = "UTC") -> Expression[Any, Of]:
        """Return when the *unit* began that the moment lies in, by the clocks of *zone*.

        A date for a day, a week (its Monday), a month and a year; the moment in UTC for an hour.
        Where the backend knows no zones, any but UTC raises UntranslatableError.
        """
        check_unit(unit, zone)
        if self.spec.type.kind is not Kind.DATETIME:
            raise InvalidQueryError(f"{self.column!r} is no datetime, and lies in no {unit}")
        return Expression(Truncated(self.column, unit, zone))


def count() -> GroupAggregate[int]:
    """Return the aggregate: how many rows."""
    return GroupAggregate(Aggregate("count"))


def subquery(field: Valued[T, W], *where: Predicate[W]) -> Subquery[T]:
    """Return the values that *field* has in the rows of its entity that fit all of *where*.

    For `in_` and `not_in`: `Video.project_id.in_(subquery(Project.id, Project.name == "north"))`.
    Nulls are left out. Raises InvalidQueryError for what is no field and for a JSON field,
    UntranslatableError for one of a mapped class.
    """
    if not isinstance(field, Field):
        raise InvalidQueryError(f"a subquery gives the values of a field, got {field!r}")
    if field.spec.type.kind is Kind.JSON:
        raise InvalidQueryError(f"{field!r} is JSON, which a subquery can't give")
    if field.entity is None:
        raise UntranslatableError(field.owner, f"a subquery of {field!r}", "its library says it")
    return Subquery(field.entity, field.column, all_of(where))
