"""Expressions in the SQL of MariaDB and MySQL.

Each part stands in it once. What has no bound of its own, a DECIMAL or a moment, is led through
64-bit integers, at whose ends both servers fail.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, assert_never

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from holdfast.records.drivers.sql.statements.dialect import bracketed, number
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

_MOST = 2**63 - 1
_FIRST: Expression = sa.literal_column("TIMESTAMP'0001-01-01 00:00:00.000000'")
_LAST = (  # microseconds from then to the end of the year 9999
    datetime.max.replace(tzinfo=UTC) - datetime.min.replace(tzinfo=UTC)
) // timedelta(microseconds=1)
_UNIT = number("MICROSECOND")
_FLOAT_ZERO = number("0e0")
_CASTS: dict[Kind, TypeEngine[Any]] = {
    Kind.INT: mysql.BIGINT(),
    Kind.TIMEDELTA: mysql.BIGINT(),
    Kind.DATETIME: mysql.DATETIME(fsp=6),
    Kind.DATE: sa.Date(),
    Kind.TIME: mysql.TIME(fsp=6),
}


def computed(
    operand: Computed, parts: Sequence[Expression], fold: Callable[[Expression], Expression]
) -> Expression:
    """See `Dialect.computed`. *fold* folds case."""
    match operand:
        case Constant():
            return _constant(operand, parts[0])
        case Calculation():
            return _calculated(operand, *parts)
        case Converted():
            if operand.type.kind is Kind.FLOAT:
                return bracketed(parts[0], "+", _FLOAT_ZERO)
            return _in_bounds(parts[0], scale_of(operand))
        case Coalesced():
            return sa.func.coalesce(*parts)
        case Folded():
            return fold(parts[0])
        case Length():
            return sa.func.char_length(parts[0])
        case Truncated():
            raise AssertionError("the dialect's own `truncated` makes it")
        case _:
            assert_never(operand)


def _constant(made: Constant, given: Expression) -> Expression:
    """Return the parameter *given* with its type: the least int would else be a DECIMAL."""
    match made.type.kind:
        case Kind.DECIMAL:
            return sa.cast(given, mysql.DECIMAL(19, scale_of(made)))
        case Kind.FLOAT:
            return bracketed(given, "+", _FLOAT_ZERO)
        case kind:
            wanted = _CASTS.get(kind)
            return given if wanted is None else sa.cast(given, wanted)


def _calculated(made: Calculation, left: Expression, right: Expression) -> Expression:
    word = made.operation.value
    match made.type.kind:
        case Kind.DATETIME:
            since = sa.func.timestampdiff(_UNIT, _FIRST, left)
            inside = _from_zero(bracketed(since, word, right))
            return sa.func.timestampadd(_UNIT, inside, _FIRST)
        case Kind.TIMEDELTA if made.left.type.kind is Kind.DATETIME:
            return sa.func.timestampdiff(_UNIT, right, left)
        case Kind.FLOAT:
            if made.operation is Operation.DIVIDE:
                right = sa.func.nullif(right, _FLOAT_ZERO)
            # Minus zero becomes zero.
            return bracketed(bracketed(left, word, right), "+", _FLOAT_ZERO)
        case Kind.DECIMAL:
            return _in_bounds(bracketed(left, word, right), scale_of(made))
        case _ if made.operation is Operation.SUBTRACT:
            # MariaDB (11.8) takes 0 minus the least integer for the least integer, in integers.
            exact = bracketed(sa.cast(left, mysql.DECIMAL(19, 0)), word, right)
            return bracketed(exact, "DIV", number(1))
        case _:
            return bracketed(left, word, right)


def _in_bounds(value: Expression, scale: int) -> Expression:
    """Return the DECIMAL *value*, which fails when it has more than 64 bits of units.

    CAST would take the nearest that fits; an integer division fails.
    """
    units = bracketed(bracketed(value, "*", number(10**scale)), "DIV", number(1))
    if scale == 0:
        return sa.cast(units, mysql.DECIMAL(19, 0))
    return bracketed(units, "*", number(f"{Decimal(1).scaleb(-scale):f}"))


def _from_zero(count: Expression) -> Expression:
    """Return *count*, which fails outside of 0 to `_LAST`: it is moved to both ends and back."""
    last, one = number(_MOST), number(1)
    above = number(_MOST - _LAST)
    moves = (("+", above), ("-", above), ("-", last), ("-", one), ("+", last), ("+", one))
    found = count
    for way, distance in moves:
        found = bracketed(found, way, distance)
    return found
