"""What lets a class that is not an `Entity` take part: its instances and its own vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from holdfast.records.entities.relation import Relation
    from holdfast.records.expressions.field_changes import Change
    from holdfast.records.expressions.operands import Aggregate, Column
    from holdfast.records.expressions.predicates import Order, Predicate


class InstanceAdapter(Protocol):
    """Reads and makes the instances of an adapted class."""

    def values(self, entity: object, *, now: datetime, fresh: bool) -> Mapping[str, object]:
        """Return the values of *entity* by field, with the class's defaults for those not set.

        *fresh* is to be added; else it overwrites, and gets what the class sets at each change.
        Raises InvalidValueError for a field without a value.
        """
        ...

    def make(self, values: dict[str, object]) -> object:
        """Return an instance with *values*, which it takes over, detached, as if just read."""
        ...

    def attach(self, entity: object, relation: Relation, found: object) -> None:
        """Set *relation* of *entity* to *found*, an entity, a list of them, or None."""
        ...


class ArgumentTranslator(Protocol):
    """Makes Holdfast's queries of the arguments that an adapted class's repository is given.

    Each method takes an expression of the class's own library, or Holdfast's, which it returns as
    it is. What has no counterpart is refused by name: UntranslatableError.
    """

    def predicate(self, argument: object) -> Predicate:
        """Return the condition that *argument* is."""
        ...

    def order(self, argument: object) -> Order:
        """Return the order that *argument* is; an attribute alone is its ascending order."""
        ...

    def column(self, argument: object) -> Column:
        """Return the column that *argument*, an attribute, stands for."""
        ...

    def aggregate(self, argument: object) -> Aggregate:
        """Return the aggregate that *argument* is."""
        ...

    def changes(self, arguments: object, *, now: datetime) -> tuple[Change, ...]:
        """Return the changes that *arguments* say, and those that the class makes with any."""
        ...

    def relations(self, arguments: Sequence[object]) -> tuple[Relation, ...]:
        """Return the relations that *arguments* ask to be loaded."""
        ...


@dataclass(frozen=True, slots=True)
class ClassAdapter:
    """The two halves of an adapted class: its *instances*, and the *arguments* about it."""

    instances: InstanceAdapter
    arguments: ArgumentTranslator
