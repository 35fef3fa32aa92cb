"""The types of the arguments that a repository's verbs take.

Each is Holdfast's own type, or an expression of the library that a mapped class comes from. What
such an expression must have is said by its shape alone, so that no library is named here; type
checkers refuse what has another shape, and at run time the class's adapter does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from holdfast.records.entities.field import Field
from holdfast.records.entities.relation import EntityOrder, Relation
from holdfast.records.expressions.expression import Expression
from holdfast.records.expressions.field_changes import Change
from holdfast.records.expressions.group_aggregate import GroupAggregate
from holdfast.records.expressions.predicates import Of, Predicate

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class MappedType(Protocol[T_co]):
    """The type of an expression of a mapping library, by which values of T are read."""

    def result_processor(
        self, dialect: Any, coltype: object, /
    ) -> Callable[[Any], T_co | None] | None:
        """Return what makes a value of T of the database's own, None when nothing is to do."""
        ...


class MappedOrder(Protocol[T_co]):
    """An order by an expression of a mapping library, which knows its type."""

    @property
    def type(self) -> MappedType[T_co]:
        """The type of what is ordered."""
        ...


class MappedExpression(Protocol[T_co]):
    """An expression over columns whose value is a T, in the words of a mapping library."""

    def desc(self) -> MappedOrder[T_co]:
        """Return the descending order by this expression."""
        ...


class MappedAttribute(Protocol[T_co]):
    """An attribute of a mapped class: on an instance it is a T."""

    def __get__(self, instance: object, owner: Any, /) -> T_co: ...

    def label(self, name: str | None, /) -> object:
        """Return the attribute under another name, as no field of an `Entity` can; never asked."""
        ...


class MappedRelationship(Protocol):
    """An attribute of a mapped class that may lead to other entities."""

    def of_type(self, entity: Any, /) -> object:
        """Return the attribute as one that leads to a subclass; Holdfast doesn't ask."""
        ...


class LoaderOption(Protocol):
    """A mapping library's own way to say what is loaded with an instance."""

    @property
    def propagate_to_loaders(self) -> bool:
        """Whether the option goes for what is loaded later too; Holdfast doesn't ask."""
        ...


Condition: TypeAlias = Predicate[Of] | MappedExpression[bool]
"""What verbs take as a condition on rows of Of: a predicate, or what a library says instead."""
Ordering: TypeAlias = EntityOrder[Of] | MappedExpression[object]
AggregateArgument: TypeAlias = GroupAggregate[T] | MappedExpression[T]
AnyAggregate: TypeAlias = GroupAggregate[Any] | MappedExpression[object]
RelationArgument: TypeAlias = Relation | LoaderOption | MappedRelationship
ChangeArgument: TypeAlias = Change[Of] | Mapping[Any, object]
"""What `patch` and `update_where` take: a change, or values by attributes of a mapped class."""
AnyField: TypeAlias = Field[Any, Of] | MappedAttribute[object] | MappedExpression[object]
ValueArgument: TypeAlias = Expression[T, Of] | MappedAttribute[T]
AnyValue: TypeAlias = Expression[Any, Of] | MappedAttribute[object] | MappedExpression[object]
AnyGroupOrder: TypeAlias = Ordering[Of] | GroupAggregate[Any]
