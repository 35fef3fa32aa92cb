"""Aggregates over the entities that a relation leads to: `Project.videos.count()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.records.expressions.expression import Expression
from holdfast.records.expressions.group_aggregate import check_comparable
from holdfast.records.expressions.predicates import Of, Operator, Order, Predicate

if TYPE_CHECKING:
    from holdfast.records.expressions.operands import RelatedAggregate

T = TypeVar("T")


class RelationAggregate(Expression[T, Of]):
    """A value of each entity, computed of those that one of its relations to many leads to."""

    def __init__(self, operand: RelatedAggregate) -> None:
        super().__init__(operand)
        self._aggregate = operand

    def _compare(self, operator: Operator, other: object) -> Predicate[Of]:
        check_comparable(self._aggregate)
        return super()._compare(operator, other)

    def _order(self, *, descending: bool) -> Order[Of]:
        check_comparable(self._aggregate)
        return super()._order(descending=descending)
