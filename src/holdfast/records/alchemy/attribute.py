"""The way from a mapped attribute to its field, which needs no SQLAlchemy to be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import InvalidQueryError

if TYPE_CHECKING:
    from sqlalchemy.sql._typing import _ColumnExpressionArgument

    from holdfast.records.field import Field

T = TypeVar("T")


def field_of(attribute: _ColumnExpressionArgument[T]) -> Field[T]:
    """Return the field that a mapped *attribute* is, with the whole vocabulary of fields.

    `field_of(User.visits).increment(1)`, `field_of(User.email).iequals(text)`. The store that the
    class lives in must have been made. Raises InvalidQueryError for what is no mapped attribute.
    """
    owner = getattr(attribute, "class_", None)
    origin = getattr(vars(owner).get("__holdfast__") if owner else None, "origin", None)
    if origin is None:
        raise InvalidQueryError(
            f"{attribute!r} is no mapped attribute of a class that a store was opened with"
        )
    return cast("Field[T]", origin.field(attribute))
