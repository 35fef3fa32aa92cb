"""Expressions in PostgreSQL's SQL.

Each part stands in it once, as far as it can: parts of parts would be repeated many times. So a
bound is not asked for with CASE: what is out of bounds is led to where the server itself fails.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, assert_never

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from holdfast.records.drivers.sql.statements.dialect import bracketed, number
from holdfast.records.drivers.sql.statements.statement import literal, typed
from holdfast.records.expressions.arithmetic import scale_of
from holdfast.records.expressions.operands import (
    Calculation,
    Coalesced,
    Constant,
    Converted,
    Folded,
    Length,
    Operation,
    Truncated,
)
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.statements.dialect import Expression
    from holdfast.records.expressions.operands import Computed
    from holdfast.records.values.field_spec import FieldSpec

_BIGINT = sa.BigInteger()
_NUMERIC = sa.Numeric()
_DOUBLE: TypeEngine[Any] = postgresql.DOUBLE_PRECISION()
_HOUR = 3_600_000_000  # microseconds
_AFTER = 103_830_043  # days from 9999-12-31 to 294276-12-31
_BEFORE = 1_721_426  # days from 4714-11-24 BC to 0001-01-01


def computed(
    operand: Computed,
    parts: Sequence[Expression],
    type_name: Callable[[FieldSpec], str],
    fold: Callable[[Expression], Expression],
) -> Expression:
    """See `Dialect.computed`. *type_name* names the type of a field, *fold* folds case."""
    match operand:
        case Constant(_, spec):
            return typed(parts[0], type_name(spec))
        case Calculation():
            return _calculated(operand, *parts)
        case Converted():
            if operand.type.kind is Kind.FLOAT:
                return sa.cast(parts[0], _DOUBLE)
            return _in_bounds(parts[0], scale_of(operand))
        case Coalesced():
            found: Expression = sa.func.coalesce(*parts)
            return found.collate("C") if operand.type.kind is Kind.STR else found
        case Folded():
            return fold(parts[0])
        case Length():
            return sa.cast(sa.func.char_length(parts[0]), _BIGINT)
        case Truncated():
            raise AssertionError("the dialect's own `truncated` makes it")
        case _:
            assert_never(operand)


def _calculated(made: Calculation, left: Expression, right: Expression) -> Expression:
    word = made.operation.value
    match made.type.kind:
        case Kind.DATETIME:
            return _shifted(left, word, right)
        case Kind.TIMEDELTA if made.left.type.kind is Kind.DATETIME:
            seconds = sa.extract("epoch", bracketed(left, "-", right))
            return sa.cast(bracketed(seconds, "*", number(1_000_000)), _BIGINT)
        case Kind.FLOAT:
            if made.operation is Operation.DIVIDE:
                right = sa.func.nullif(right, number(0))
            # Minus zero becomes zero.
            return bracketed(bracketed(left, word, right), "+", sa.cast(number(0), _DOUBLE))
        case Kind.DECIMAL:
            return _in_bounds(bracketed(left, word, right), scale_of(made))
        case _:
            return bracketed(left, word, right)


def _in_bounds(value: Expression, scale: int) -> Expression:
    """Return the numeric *value*, which fails when it has more than 64 bits of units."""
    units = sa.cast(bracketed(value, "*", number(10**scale)), _BIGINT)
    return bracketed(sa.cast(units, _NUMERIC), "*", number(f"{Decimal(1).scaleb(-scale):f}"))


def _shifted(moment: Expression, word: str, span: Expression) -> Expression:
    """Return *moment* and the microseconds *span* together, in the years 1 to 9999.

    An interval would be multiplied by a double, which rounds; whole hours and a rest are exact. The
    server's own moments begin in 4714 BC and end in 294276, so a moment is moved to both ends and
    back: one outside of our years fails there.
    """
    hours = sa.cast(bracketed(span, "/", number(_HOUR)), sa.Integer())
    rest = sa.cast(sa.func.mod(span, number(_HOUR)), _DOUBLE)
    interval = sa.func.make_interval(
        *[number(0)] * 4, hours, number(0), bracketed(rest, "/", number(1_000_000))
    )
    utc = literal("UTC")  # days have 24 hours there
    found = bracketed(sa.func.timezone(utc, moment), word, interval)
    for way, back, days in (("+", "-", _AFTER), ("-", "+", _BEFORE)):
        span_of_days = typed(literal(f"{days} days"), "interval")
        found = bracketed(bracketed(found, way, span_of_days), back, span_of_days)
    return sa.func.timezone(utc, found)
