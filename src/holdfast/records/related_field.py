"""Fields of related entities, as orders and selections name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.errors import InvalidQueryError
from holdfast.records.query import Order
from holdfast.records.value import Kind

if TYPE_CHECKING:
    from holdfast.records.operands import RelatedColumn


T = TypeVar("T")


class RelatedField(Generic[T]):
    """A field of the entity that a `One` leads to, such as `Video.project[Project.name]`.

    Its value is that of the field there, and null where the relation leads nowhere.
    """

    def __init__(self, operand: RelatedColumn) -> None:
        self.operand = operand

    def asc(self) -> Order:
        """Return the ascending order by this field; nulls come last."""
        return self._order(descending=False)

    def desc(self) -> Order:
        """Return the descending order by this field; nulls come last."""
        return self._order(descending=True)

    def _order(self, *, descending: bool) -> Order:
        if self.operand.type.kind is Kind.JSON:
            raise InvalidQueryError(f"{self.operand!r} is JSON, which has no order")
        return Order(self.operand, descending)

    def __repr__(self) -> str:
        return repr(self.operand)
