"""What `aggregate` is asked, checked: groups, aggregates, and what is said about both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar, assert_never

from holdfast.errors import InvalidQueryError
from holdfast.records import validation
from holdfast.records.driver_requests import AggregateQuery
from holdfast.records.expressions.expression import Expression
from holdfast.records.expressions.group_aggregate import GroupAggregate
from holdfast.records.expressions.operands import Aggregate, GroupValue
from holdfast.records.expressions.predicates import (
    After,
    And,
    Compare,
    CompareOperands,
    Everything,
    HasItem,
    HasWords,
    In,
    InRows,
    InSubquery,
    IsNull,
    Match,
    Not,
    Or,
    Order,
    Related,
    all_of,
    node,
)
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.operands import Operand, ValueColumn
    from holdfast.records.expressions.predicates import Predicate

E = TypeVar("E")
_WORDS = (Expression, GroupAggregate)


@dataclass(frozen=True, slots=True)
class Grouping:
    """What a caller says about groups, as it was given."""

    by: object = ()
    having: object = ()
    order_by: object = ()
    limit: int | None = None


class Results:
    """The result rows of a query by *by*: first its values, then the aggregates.

    What only *having* or an order needs stands at the end, beyond the *asked* ones.
    """

    def __init__(self, by: Sequence[ValueColumn], aggregates: Sequence[Aggregate]) -> None:
        self.by = tuple(by)
        self.aggregates = list(aggregates)
        self.asked = len(self.by) + len(self.aggregates)
        for operand in self.by:
            if operand.type.kind is Kind.JSON:
                raise InvalidQueryError(f"{operand!r} is JSON, by which nothing is grouped")

    def value(self, operand: Operand) -> GroupValue:
        """Return the place of *operand* in a result row.

        Raises InvalidQueryError for what is neither an aggregate nor grouped by.
        """
        for position, known in enumerate((*self.by, *self.aggregates)):
            if repr(known) == repr(operand):
                return GroupValue(position, known)
        if not isinstance(operand, Aggregate):
            raise InvalidQueryError(
                f"{operand!r} is neither an aggregate nor in by=: having= and order_by= are about "
                "groups, and where= is about rows"
            )
        self.aggregates.append(operand)
        return GroupValue(len(self.by) + len(self.aggregates) - 1, operand)

    def predicate(self, wanted: Predicate) -> Predicate:
        """Return *wanted* about result rows. Raises InvalidQueryError."""
        match leaf := node(wanted):
            case And(parts):
                return And(tuple(map(self.predicate, parts)))
            case Or(parts):
                return Or(tuple(map(self.predicate, parts)))
            case Not(part):
                return Not(self.predicate(part))
            case Compare() | In() | IsNull() | Match():
                return replace(leaf, operand=self.value(leaf.operand))
            case Everything():
                return leaf
            case CompareOperands(left, how, right):
                return CompareOperands(self.value(left), how, self.value(right))
            case InRows() | InSubquery() | HasItem() | HasWords() | Related() | After():
                raise InvalidQueryError(f"having= is about groups, and {leaf!r} about rows: where=")
            case _:
                assert_never(leaf)

    def order(self, wanted: Sequence[object]) -> tuple[Order, ...]:
        """Return *wanted* along result rows, then what is grouped by. Raises InvalidQueryError."""
        found: list[Order] = []
        for word in wanted:
            by = word.asc() if isinstance(word, _WORDS) else word
            if not isinstance(by, Order):
                raise InvalidQueryError(
                    f"expected an order such as Video.duration.sum().desc(), got {by!r}"
                )
            found.append(replace(by, operand=self.value(by.operand)))
        said = {by.operand.position for by in found if isinstance(by.operand, GroupValue)}
        rest = [GroupValue(at, each) for at, each in enumerate(self.by) if at not in said]
        return (*found, *map(Order, rest))


def aggregate_query(
    model: Model[E], aggregates: Sequence[object], where: object, grouping: Grouping
) -> tuple[AggregateQuery[E], int]:
    """Return the query, and how many values of its result rows were asked for.

    Raises InvalidQueryError for what is no aggregate, group or order of *model*, and for what says
    something about groups where there are none.
    """
    groups = validation.value_columns(model, validation.one_or_several(grouping.by))
    having = validation.one_or_several(grouping.having)
    if not groups:
        said = {
            "having": having,
            "order_by": validation.one_or_several(grouping.order_by),
            "limit": grouping.limit is not None,
        }
        for name in (name for name, given in said.items() if given):
            raise InvalidQueryError(f"{name}= without by=: there is one row, and no groups")
    results = Results(groups, validation.aggregates(model, aggregates))
    wanted = results.predicate(all_of(tuple(validation.predicates(model, having))))
    order = results.order(validation.orders(model, grouping.order_by))
    for aggregate in results.aggregates:
        if aggregate.operand is not None:
            validation.check_operand(model, aggregate.operand)
    query = AggregateQuery(
        model,
        tuple(results.aggregates),
        validation.condition(model, validation.one_or_several(where)),
        groups,
        wanted,
        order,
        validation.count("limit", grouping.limit),
    )
    return query, results.asked


def distinct_query(
    model: Model[E],
    fields: Sequence[ValueColumn],
    *,
    where: object,
    order_by: object,
    limit: int | None,
    offset: int,
) -> AggregateQuery[E]:
    """Return the query for the different values of *fields*, along *order_by*, then by them all.

    Raises InvalidQueryError for an order by what is not among them.
    """
    results = Results(fields, ())
    return AggregateQuery(
        model,
        (),
        validation.condition(model, validation.one_or_several(where)),
        results.by,
        order=results.order(validation.orders(model, order_by)),
        limit=validation.count("limit", limit),
        offset=validation.count("offset", offset) or 0,
    )
