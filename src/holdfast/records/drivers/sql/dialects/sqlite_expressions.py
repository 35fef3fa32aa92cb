"""Expressions in SQLite's SQL, whose own arithmetic turns an overflow into a float.

Numbers are computed by SQLite and looked at by a function; moments, which are text there, are left
to functions in Python (see `sql/sqlite_functions.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import sqlalchemy as sa

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
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.statements.dialect import Expression
    from holdfast.records.expressions.operands import Computed

_SIGNS = {Operation.ADD: number(1), Operation.SUBTRACT: number(-1)}


def computed(operand: Computed, parts: Sequence[Expression]) -> Expression:
    """See `Dialect.computed`."""
    match operand:
        case Constant():
            return parts[0]
        case Calculation():
            return _calculated(operand, *parts)
        case Converted(inner):
            if operand.type.kind is Kind.FLOAT:
                return sa.cast(parts[0], sa.REAL())
            further = scale_of(operand) - scale_of(inner)  # Decimals are counted in units there
            return sa.func.holdfast_whole(bracketed(parts[0], "*", number(10**further)))
        case Coalesced():
            return sa.func.coalesce(*parts)
        case Folded():
            return sa.func.holdfast_fold(parts[0])
        case Length():
            return sa.func.length(parts[0])
        case Truncated():
            raise AssertionError("the dialect's own `truncated` makes it")
        case _:
            assert_never(operand)


def _calculated(made: Calculation, left: Expression, right: Expression) -> Expression:
    match made.type.kind:
        case Kind.DATETIME:
            return sa.func.holdfast_shifted(left, right, _SIGNS[made.operation])
        case Kind.TIMEDELTA if made.left.type.kind is Kind.DATETIME:
            return sa.func.holdfast_elapsed(left, right)
        case Kind.FLOAT:
            # A quotient with 0 is NULL in SQLite too.
            return sa.func.holdfast_finite(bracketed(left, made.operation.value, right))
        case _:
            return sa.func.holdfast_whole(bracketed(left, made.operation.value, right))
