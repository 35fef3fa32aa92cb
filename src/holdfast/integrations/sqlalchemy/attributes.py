"""The way from a mapped attribute to its field."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import InvalidQueryError
from holdfast.integrations.sqlalchemy.argument_translator import MappedArguments
from holdfast.records.model import Model

if TYPE_CHECKING:
    from sqlalchemy.sql._typing import _ColumnExpressionArgument

    from holdfast.records.field import Field

T = TypeVar("T")


def field_of(attribute: _ColumnExpressionArgument[T]) -> Field[T]:
    """Return the field that a mapped *attribute* is, with all operators of a field.

    `field_of(User.visits).increment(1)`, `field_of(User.email).iequals(text)`. The store that the
    class lives in must have been made. Raises InvalidQueryError for what is not a mapped attribute.
    """
    owner: object = getattr(attribute, "class_", None)
    model = vars(owner).get("__holdfast__") if isinstance(owner, type) else None
    adapter = model.adapter if isinstance(model, Model) else None
    if adapter is None or not isinstance(adapter.arguments, MappedArguments):
        raise InvalidQueryError(
            f"{attribute!r} is not a mapped attribute of a class that a store was opened with"
        )
    return adapter.arguments.field(attribute)
