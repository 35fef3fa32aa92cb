"""Relations: what `load=` fetches beside an entity, in one query per relation."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, overload

from holdfast.errors import (
    ConfigurationError,
    InvalidQueryError,
    InvalidValueError,
    NotLoadedError,
)
from holdfast.records.expression import Expression, TypedByValue, Valued, aggregate_over
from holdfast.records.field import Field
from holdfast.records.operands import Aggregate, Column, Join, RelatedAggregate, RelatedColumn
from holdfast.records.query import Not, Of, Order, Predicate, Related, all_of
from holdfast.records.related_field import RelatedField
from holdfast.records.value_expression import RelationAggregate, TruncatedTime

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.expression import EntityInstance


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
V = TypeVar("V")
W = TypeVar("W")
N = TypeVar("N", int, float, Decimal, timedelta)
M = TypeVar("M", float, Decimal, timedelta)
F = TypeVar("F")

EntityOrder: TypeAlias = (
    Order[Of] | Expression[Any, Of] | RelationAggregate[Any] | TruncatedTime[Any]
)
"""What rows of an `Entity` are ordered by; a field alone is its ascending order."""


@dataclass(frozen=True, slots=True)
class RelatedRows:
    """Which of the rows that a relation to many leads to are meant: those that fit *where*.

    They come along *order*, then by key; at most *limit* of them for each entity.
    """

    where: tuple[Predicate, ...] = ()
    order: tuple[EntityOrder, ...] = ()
    limit: int | None = None


ALL_ROWS = RelatedRows()


class Relation:
    """A relation of `owner` named `name` over the reference field *via*.

    `Project.videos.then(Video.clips)` loads the clips of the videos too, to any depth.
    """

    def __init__(self, via: str, resolve: Callable[[], type] | None = None) -> None:
        self.via = via
        self.owner: type = object
        self.name = ""
        self.nested: tuple[Relation, ...] = ()
        self.rows = ALL_ROWS
        self._resolve = resolve

    def bind(self, owner: type, name: str, resolve: Callable[[], type]) -> Relation:
        """Return this relation as *owner*'s, pointing at what *resolve* will find."""
        bound = type(self)(self.via, resolve)
        bound.owner, bound.name = owner, name
        return bound

    @property
    def target(self) -> type:
        """The entity at the other end. Raises ConfigurationError when its name can't be found."""
        if self._resolve is None:
            raise ConfigurationError(f"{self.name}: the relation belongs to no entity")
        return self._resolve()

    def deeper(self, relations: tuple[Relation, ...]) -> Relation:
        """Return this relation with *relations* of its target loaded too."""
        if self._resolve is None:
            raise ConfigurationError(f"{self.name}: the relation belongs to no entity")
        bound = copy(self)
        bound.nested = (*self.nested, *relations)
        return bound

    @property
    def join(self) -> Join:
        """The relation as queries follow it. Raises ConfigurationError."""
        return Join(self.owner, self.name, self.target, self.via, isinstance(self, Many))

    def __repr__(self) -> str:
        return f"{self.owner.__name__}.{self.name}"


class RelationSlot:
    """A relation as its class and its instances have it: on an instance it can't be set.

    What is set there would never be written, as `load=` fetched it and a write is of one row.
    """

    def __init__(self, relation: Relation) -> None:
        self._relation = relation

    def __get__(self, instance: object, owner: type) -> object:
        if instance is None:
            return self._relation
        name = self._relation.name
        try:
            return vars(instance)[name]
        except KeyError:
            hint = f"ask for it with load=[{owner.__name__}.{name}]"
            raise NotLoadedError(owner.__name__, name, hint) from None

    def __set__(self, instance: object, value: object) -> None:
        relation = self._relation
        way = (
            f"set {relation.via} to its key"
            if isinstance(relation, One)
            else f"set {relation.via} of each, and write them by their own repository"
        )
        raise InvalidValueError(
            type(instance).__name__,
            relation.name,
            f"is what load= fetched, and never written: {way}",
        )


class One(TypedByValue, Relation, Generic[T_co, Of]):
    """The entity that a reference of this one points at; None where the reference is null."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[W]) -> One[T_co, W]: ...
        @overload
        def __get__(self, instance: EntityInstance, owner: type) -> T_co: ...
        def __get__(self, instance: object, owner: type) -> One[T_co, Any] | T_co: ...

    def has(self: One[V | None, Of], *where: Predicate[V]) -> Predicate[Of]:
        """It leads to an entity that fits *where*; to any, when nothing is said.

        A null fits nothing, so `~Video.project.has(...)` includes the videos without a project.
        """
        return Related(self.join, all_of(where))

    def __getitem__(self: One[V | None, Of], field: Valued[W, V]) -> RelatedField[W | None, Of]:
        """Return a field of the entity it leads to: `Video.project[Project.name]`.

        From there it can lead on: `Clip.video[Video.project[Project.name]]`.
        """
        if isinstance(field, RelatedField):
            operand = field.operand
            return RelatedField(RelatedColumn((self.join, *operand.joins), operand.column))
        if not isinstance(field, Field):
            raise InvalidQueryError(f"{self!r}[...] takes a field of its entity, got {field!r}")
        return RelatedField(RelatedColumn((self.join,), field.column))

    __iter__ = None  # or Python would try to iterate through __getitem__

    def then(self, *relations: Relation) -> Relation:
        """Return this relation with *relations* of its target loaded too."""
        return self.deeper(relations)


class Many(TypedByValue, Relation, Generic[T, Of]):
    """The entities whose reference points at this one, in the order of their keys.

    `Project.videos.where(...).order_by(...).limit(3)` is a part of them, for `load=`.
    """

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[W]) -> Many[T, W]: ...
        @overload
        def __get__(self, instance: EntityInstance, owner: type) -> list[T]: ...
        def __get__(self, instance: object, owner: type) -> Many[T, Any] | list[T]: ...

    def where(self, *where: Predicate[T]) -> Many[T, Of]:
        """Return the relation to those of the entities alone that fit all of *where* too."""
        return self._part(replace(self.rows, where=(*self.rows.where, *where)))

    def order_by(self, *order: EntityOrder[T]) -> Many[T, Of]:
        """Return the relation with its entities along *order*, then by key."""
        return self._part(replace(self.rows, order=order))

    def limit(self, count: int) -> Many[T, Of]:
        """Return the relation to the first *count* of the entities that each one has."""
        return self._part(replace(self.rows, limit=count))

    def _part(self, rows: RelatedRows) -> Many[T, Of]:
        part = copy(self)
        part.rows = rows
        return part

    def any(self, *where: Predicate[T]) -> Predicate[Of]:
        """At least one of the entities fits *where*; there is one, when nothing is said."""
        self._check_whole("a condition")
        return Related(self.join, all_of((*self.rows.where, *where)))

    def none(self, *where: Predicate[T]) -> Predicate[Of]:
        """Not one of the entities fits *where*, also where there are none."""
        return Not(self.any(*where))

    def count(self) -> RelationAggregate[int]:
        """Return how many of the entities there are."""
        return self._aggregate(Aggregate("count"))

    def min(self, field: Field[F, T]) -> RelationAggregate[F | None]:
        """Return the least value that *field* of the entities has, None of none."""
        return self._aggregate(aggregate_over(field, "min"))

    def max(self, field: Field[F, T]) -> RelationAggregate[F | None]:
        """Return the greatest value that *field* of the entities has, None of none."""
        return self._aggregate(aggregate_over(field, "max"))

    @overload
    def sum(self, field: Field[N, T]) -> RelationAggregate[N | None]: ...
    @overload
    def sum(self, field: Field[N | None, T]) -> RelationAggregate[N | None]: ...
    def sum(self, field: Field[Any, Any]) -> RelationAggregate[Any]:
        """Return the sum of *field* over the entities, None of none."""
        return self._aggregate(aggregate_over(field, "sum"))

    @overload
    def avg(self, field: Field[int, T]) -> RelationAggregate[float | None]: ...
    @overload
    def avg(self, field: Field[int | None, T]) -> RelationAggregate[float | None]: ...  # type: ignore[overload-overlap]  # None alone is no type of a field
    @overload
    def avg(self, field: Field[M, T]) -> RelationAggregate[M | None]: ...
    @overload
    def avg(self, field: Field[M | None, T]) -> RelationAggregate[M | None]: ...
    def avg(self, field: Field[Any, Any]) -> RelationAggregate[Any]:
        """Return the mean of *field* over the entities, None of none; a float for int fields."""
        return self._aggregate(aggregate_over(field, "avg"))

    def count_distinct(self, field: Field[F, T]) -> RelationAggregate[int]:
        """Return how many different values *field* of the entities has."""
        return self._aggregate(aggregate_over(field, "count_distinct"))

    def _aggregate(self, aggregate: Aggregate) -> RelationAggregate[Any]:
        self._check_whole("an aggregate")
        if not (aggregate.operand is None or isinstance(aggregate.operand, Column)):
            raise InvalidQueryError(
                f"{aggregate.operand!r}: an aggregate of {self!r} is over a field of its entities"
            )
        return RelationAggregate(RelatedAggregate(self.join, all_of(self.rows.where), aggregate))

    def _check_whole(self, what: str) -> None:
        if self.rows.order or self.rows.limit is not None:
            raise InvalidQueryError(
                f"{what} of {self!r} is of all that fit: order_by() and limit() are for load="
            )

    def then(self, *relations: Relation) -> Relation:
        """Return this relation with *relations* of its target loaded too."""
        return self.deeper(relations)


def one(*, via: str, init: Literal[False] = False) -> One[T]:  # noqa: ARG001 - for type checkers
    """The entity that this entity's reference field *via* points at."""
    return One(via)


def many(*, via: str, init: Literal[False] = False) -> Many[T]:  # noqa: ARG001 - for type checkers
    """The entities whose reference field *via* points at this entity."""
    return Many(via)
