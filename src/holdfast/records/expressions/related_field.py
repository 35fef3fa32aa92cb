"""Fields of related entities, as conditions, orders and selections name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.records.expressions.expression import Expression
from holdfast.records.expressions.predicates import Of

if TYPE_CHECKING:
    from holdfast.records.expressions.operands import RelatedColumn

T = TypeVar("T")


class RelatedField(Expression[T, Of]):
    """A field of the entity that a `One` leads to, such as `Video.project[Project.name]`.

    Its value is that of the field there, and null where the relation leads nowhere.
    """

    def __init__(self, operand: RelatedColumn) -> None:
        self._related = operand

    @property
    def operand(self) -> RelatedColumn:
        """What a query reads: the field at the end of the relations."""
        return self._related
