"""Relations: what `load=` fetches beside an entity, in one query per relation."""

# Overloads of one verb have nullable types in common, which are null and nothing else.
# mypy: disable-error-code="overload-overlap"
# pyright: reportOverlappingOverload=false

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeAlias, TypeVar, overload

from holdfast.errors import (
    ConfigurationError,
    InvalidQueryError,
    InvalidValueError,
    NotLoadedError,
)
from holdfast.records.entities.field import Field
from holdfast.records.entities.link_entity import LinkPath
from holdfast.records.expressions.expression import Expression, TypedByValue, Valued
from holdfast.records.expressions.group_aggregate import aggregate_over
from holdfast.records.expressions.operands import (
    Aggregate,
    Column,
    Join,
    RelatedAggregate,
    RelatedColumn,
)
from holdfast.records.expressions.predicates import Not, Of, Order, Predicate, Related, all_of
from holdfast.records.expressions.related_field import RelatedField
from holdfast.records.expressions.relation_aggregate import RelationAggregate
from holdfast.records.foreign_words import RELATION_WORDS, not_there

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from decimal import Decimal

    from holdfast.records.entities.link_entity import LinkEnds
    from holdfast.records.expressions.expression import EntityInstance
    from holdfast.records.values.aggregate_values import AggregateFunction

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
V = TypeVar("V")
W = TypeVar("W")
F = TypeVar("F")

EntityOrder: TypeAlias = Order[Of] | Expression[Any, Of]
"""What rows of an `Entity` are ordered by; an expression alone is its ascending order."""


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

    if not TYPE_CHECKING:

        def __getattr__(self, name):  # noqa: ANN001, ANN204 - hidden from type checkers
            own = name.startswith("_") or hasattr(type(self), name)
            of_target = {} if own else self._ways_to_fields()
            not_there(self, "a relation", name, {**RELATION_WORDS, **of_target})

    def _ways_to_fields(self) -> dict[str, str]:
        """Return how each field of the target is written in conditions, by its name."""
        try:
            target: Any = self.target
        except ConfigurationError:
            return {}
        name, many = target.__name__, isinstance(self, Many)
        return {
            each: f"{self!r}.any({name}.{each} == ...)" if many else f"{self!r}[{name}.{each}]"
            for each in target.__holdfast__.by_name
        }

    def bind(self, owner: type, name: str, resolve: Callable[[], type]) -> Self:
        """Return this relation as *owner*'s, pointing at what *resolve* will find."""
        bound = copy(self)
        bound.owner, bound.name = owner, name
        bound._resolve = resolve  # noqa: SLF001 - of the same class
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
    def joins(self) -> tuple[Join, ...]:
        """The relation as queries follow it: one step, or two through a link entity.

        Raises ConfigurationError.
        """
        return (Join(self.owner, self.name, self.target, self.via, isinstance(self, Many)),)

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
        if isinstance(relation, One):
            way = f"set {relation.via} to its key"
        elif isinstance(relation, Many) and relation.path is not None:
            way = f"write the links by store.links({relation!r})"
        else:
            way = f"set {relation.via} of each, and write them by their own repository"
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
        return _reached(self.joins, all_of(where))

    def __getitem__(self: One[V | None, Of], field: Valued[W, V]) -> RelatedField[W | None, Of]:
        """Return a field of the entity it leads to: `Video.project[Project.name]`.

        From there it can lead on: `Clip.video[Video.project[Project.name]]`.
        """
        if isinstance(field, RelatedField):
            operand = field.operand
            return RelatedField(RelatedColumn((*self.joins, *operand.joins), operand.column))
        if not isinstance(field, Field):
            raise InvalidQueryError(f"{self!r}[...] takes a field of its entity, got {field!r}")
        return RelatedField(RelatedColumn(self.joins, field.column))

    __iter__ = None  # or Python would try to iterate through __getitem__

    def then(self, *relations: Relation) -> Relation:
        """Return this relation with *relations* of its target loaded too."""
        return self.deeper(relations)


class Many(TypedByValue, Relation, Generic[T, Of]):
    """The entities whose reference points at this one, in the order of their keys.

    With a *path*, those that a link entity links with this one.
    `Project.videos.where(...).order_by(...).limit(3)` is a part of them, for `load=`.
    """

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[W]) -> Many[T, W]: ...
        @overload
        def __get__(self, instance: EntityInstance, owner: type) -> list[T]: ...
        def __get__(self, instance: object, owner: type) -> Many[T, Any] | list[T]: ...

    def __init__(
        self,
        via: str,
        resolve: Callable[[], type] | None = None,
        path: LinkPath | None = None,
    ) -> None:
        super().__init__(via, resolve)
        self.path = path
        self._ends: Callable[[], LinkEnds] | None = None

    def linked(self, ends: Callable[[], LinkEnds]) -> Many[T, Of]:
        """Return this relation as going by the *ends* of its link entity."""
        bound = copy(self)
        bound._ends = ends  # noqa: SLF001 - of the same class
        return bound

    @property
    def link(self) -> LinkEnds | None:
        """The ends of the link entity that it goes through; None where it goes through none.

        Raises ConfigurationError.
        """
        if self.path is None:
            return None
        if self._ends is None:
            raise ConfigurationError(f"{self!r}: the relation belongs to no entity")
        return self._ends()

    @property
    def joins(self) -> tuple[Join, ...]:
        """See `Relation`."""
        link = self.link
        if link is None:
            return super().joins
        return (
            Join(self.owner, self.name, link.entity, link.near.name, many=True),
            Join(link.entity, link.far.name, self.target, link.far.name, many=False),
        )

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
        return _reached(self.joins, all_of((*self.rows.where, *where)))

    def none(self, *where: Predicate[T]) -> Predicate[Of]:
        """Not one of the entities fits *where*, also where there are none."""
        return Not(self.any(*where))

    def count(self) -> RelationAggregate[int, Of]:
        """Return how many of the entities there are."""
        return self._aggregate(Aggregate("count"))

    def min(self, field: Valued[F, T]) -> RelationAggregate[F | None, Of]:
        """Return the least value that *field* of the entities has, None of none."""
        return self._over(field, "min")

    def max(self, field: Valued[F, T]) -> RelationAggregate[F | None, Of]:
        """Return the greatest value that *field* of the entities has, None of none."""
        return self._over(field, "max")

    @overload
    def sum(self, field: Valued[int | None, T]) -> RelationAggregate[int | None, Of]: ...
    @overload
    def sum(self, field: Valued[float | None, T]) -> RelationAggregate[float | None, Of]: ...
    @overload
    def sum(self, field: Valued[Decimal | None, T]) -> RelationAggregate[Decimal | None, Of]: ...
    @overload
    def sum(
        self, field: Valued[timedelta | None, T]
    ) -> RelationAggregate[timedelta | None, Of]: ...
    def sum(self, field: Valued[Any, T]) -> RelationAggregate[Any, Of]:
        """Return the sum of *field* over the entities, None of none."""
        return self._over(field, "sum")

    @overload
    def avg(self, field: Valued[int | None, T]) -> RelationAggregate[float | None, Of]: ...
    @overload
    def avg(self, field: Valued[float | None, T]) -> RelationAggregate[float | None, Of]: ...
    @overload
    def avg(self, field: Valued[Decimal | None, T]) -> RelationAggregate[Decimal | None, Of]: ...
    @overload
    def avg(
        self, field: Valued[timedelta | None, T]
    ) -> RelationAggregate[timedelta | None, Of]: ...
    def avg(self, field: Valued[Any, T]) -> RelationAggregate[Any, Of]:
        """Return the mean of *field* over the entities, None of none; a float for int fields."""
        return self._over(field, "avg")

    def count_distinct(self, field: Valued[Any, T]) -> RelationAggregate[int, Of]:
        """Return how many different values *field* of the entities has."""
        return self._over(field, "count_distinct")

    def _over(
        self, field: Valued[Any, T], function: AggregateFunction
    ) -> RelationAggregate[Any, Of]:
        if not isinstance(field, Field):
            raise InvalidQueryError(f"expected a field such as Video.duration, got {field!r}")
        return self._aggregate(aggregate_over(field.operand, function))

    def _aggregate(self, aggregate: Aggregate) -> RelationAggregate[Any, Of]:
        self._check_whole("an aggregate")
        where, (join, *beyond) = all_of(self.rows.where), self.joins
        if beyond:
            where = Related(beyond[0], where)
            if isinstance(aggregate.operand, Column):
                operand = RelatedColumn(tuple(beyond), aggregate.operand)
                aggregate = replace(aggregate, operand=operand)
        return RelationAggregate(RelatedAggregate(join, where, aggregate))

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


@overload
def many(*, via: str, init: Literal[False] = False) -> Many[T]: ...
@overload
def many(
    *,
    through: type | str,
    via: str | None = None,
    to: str | None = None,
    init: Literal[False] = False,
) -> Many[T]: ...
def many(
    *,
    via: str | None = None,
    through: type | str | None = None,
    to: str | None = None,
    init: Literal[False] = False,  # noqa: ARG001 - for type checkers
) -> Many[T]:
    """The entities whose reference field *via* points at this entity.

    With *through*, those that an entity between links with this one: each of its rows refers to
    both. Where it has several references to one entity, *via* names the one that points at this
    entity, and *to* the one that points at the others. No two of its rows may link the same two:
    both references are its key, or a unique of it.
    """
    if through is not None:
        return Many(via or "", path=LinkPath(through, via, to))
    if via is None or to is not None:
        raise ConfigurationError("many() takes via=, or through= with via= and to= if need be")
    return Many(via)


def _reached(joins: tuple[Join, ...], where: Predicate) -> Predicate:
    """Return the condition that *joins*, one after another, lead to a row that fits *where*."""
    for join in reversed(joins):
        where = Related(join, where)
    return where
