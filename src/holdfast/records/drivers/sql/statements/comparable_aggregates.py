"""Aggregates in a form that compares and sorts as their values do.

`Dialect.aggregate` may give text of which Python makes the value; that is for results alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from holdfast.records.drivers.sql.statements.dialect import column_decoder
from holdfast.records.expressions.operands import Aggregate, GroupValue, RelatedAggregate
from holdfast.records.values.aggregate_values import is_exact_sum
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.statements.dialect import Codec, Dialect, Expression
    from holdfast.records.expressions.operands import Operand


def aggregate_in(operand: Operand) -> Aggregate | None:
    """Return the aggregate that *operand* is, None if it is read of one row."""
    if isinstance(operand, GroupValue):
        operand = operand.operand
    if isinstance(operand, RelatedAggregate):
        return operand.aggregate
    return operand if isinstance(operand, Aggregate) else None


def comparable(dialect: Dialect, aggregate: Aggregate, column: Expression | None) -> Expression:
    """Return *aggregate* over *column*, which is None for a count of rows.

    A mean of exact values that are no ints is as `Dialect.aggregate` gives it: nothing is compared
    with it.
    """
    if column is None or aggregate.operand is None:
        return sa.func.count()
    spec = aggregate.operand.spec
    match aggregate.function:
        case "count":
            return sa.func.count(column)
        case "count_distinct":
            return sa.func.count(sa.distinct(column))
        case "avg" if spec.type.kind is Kind.INT:
            return dialect.mean_of_ints(column)
        case _ if is_exact_sum(aggregate.function, spec):
            return dialect.total(spec, column)
        case _:
            return dialect.aggregate(aggregate, column)


def comparable_encoder(dialect: Dialect, aggregate: Aggregate) -> Codec:
    """Return what turns a value of *aggregate* into the form of `comparable`."""
    of = aggregate.operand
    if of is not None and is_exact_sum(aggregate.function, of.spec):
        return dialect.total_encoder(of.spec)
    return dialect.encoder(aggregate.spec)


def comparable_decoder(dialect: Dialect, aggregate: Aggregate) -> Codec:
    """Return what turns `comparable` into the value; infinite floats are passed on."""
    of = aggregate.operand
    if of is None or aggregate.function in ("count", "count_distinct"):
        return None
    if is_exact_sum(aggregate.function, of.spec):
        return dialect.total_decoder(of.spec)
    match aggregate.function:
        case "min" | "max":
            return column_decoder(dialect, of.spec)
        case "avg" if of.type.kind is not Kind.INT:
            return dialect.aggregate_decoder(aggregate)
        case _:
            return None
