"""The way from a mapped attribute to its field, and from a relationship to its relation."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, overload

from holdfast.errors import InvalidQueryError
from holdfast.integrations.sqlalchemy.argument_translator import MappedArguments
from holdfast.records.entities.model import Model

if TYPE_CHECKING:
    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.sql._typing import _ColumnExpressionArgument

    from holdfast.records.entities.field import Field
    from holdfast.records.entities.relation import Many, One

T = TypeVar("T")


def field_of(attribute: _ColumnExpressionArgument[T]) -> Field[T]:
    """Return the field that a mapped *attribute* is, with all operators of a field.

    `field_of(User.visits).increment(1)`, `field_of(User.email).iequals(text)`. The store that the
    class lives in must have been made. Raises InvalidQueryError for what is not a mapped attribute.
    """
    return _arguments(attribute, "attribute").field(attribute)


@overload
def relation_of(relationship: InstrumentedAttribute[list[T]]) -> Many[T]: ...  # type: ignore[overload-overlap]  # a list is no entity
@overload
def relation_of(relationship: InstrumentedAttribute[T]) -> One[T]: ...
def relation_of(relationship: object) -> object:
    """Return the relation that a *relationship* is, with all that a relation can say.

    `relation_of(Team.users).order_by(User.age).limit(3)` for `load=`, and
    `relation_of(Team.users).count()`. What it takes for conditions and aggregates are fields, by
    `field_of`. Raises InvalidQueryError for what is not a relationship, and UntranslatableError for
    one that is more than a reference.
    """
    return _arguments(relationship, "relationship").relations((relationship,))[0]


def _arguments(attribute: object, what: str) -> MappedArguments:
    owner: object = getattr(attribute, "class_", None)
    model = vars(owner).get("__holdfast__") if isinstance(owner, type) else None
    adapter = model.adapter if isinstance(model, Model) else None
    if adapter is None or not isinstance(adapter.arguments, MappedArguments):
        raise InvalidQueryError(
            f"{attribute!r} is not a mapped {what} of a class that a store was opened with"
        )
    return adapter.arguments
