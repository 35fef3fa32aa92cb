"""The rank of a search as SQL: see `SearchRank.of`, whose whole numbers are the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.sql.elements import Grouping

from holdfast.records.drivers.sql.statements.dialect import number
from holdfast.records.drivers.sql.statements.statement import literal

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.statements.dialect import Expression, Shape
    from holdfast.records.drivers.sql.statements.joined_table import JoinedTable
    from holdfast.records.drivers.sql.statements.statement import Parameters
    from holdfast.records.expressions.operands import SearchRank

_LENGTH = {"sqlite": "length"}  # in characters; elsewhere char_length
_WHOLE_QUOTIENT = {"mariadb": "DIV", "mysql": "DIV"}  # elsewhere `/` of whole numbers is whole
_NOTHING = literal("")


def rank_shape(rank: SearchRank) -> Shape:
    """Return what of *rank* makes a difference to its SQL."""
    return ("rank", rank.columns, rank.weights, len(rank.pieces))


def rank_values(rank: SearchRank) -> list[object]:
    """Return the values of the parameters of `rank_expression`: each piece, and its length."""
    return [value for piece in rank.pieces for value in (piece, len(piece))]


def rank_expression(
    dialect: str, rank: SearchRank, source: JoinedTable, parameters: Parameters
) -> Expression:
    """Return the rank of the rows of *source*; there is a piece at the least."""
    length = getattr(sa.func, _LENGTH.get(dialect, "char_length"))
    quotient = _WHOLE_QUOTIENT.get(dialect, "/")
    total: list[Expression] = []
    pieces = [(parameters.next(), parameters.next()) for _ in rank.pieces]
    for column, weight in zip(rank.columns, rank.weights, strict=True):
        document = sa.func.coalesce(source.column(column), _NOTHING)
        long = _grouped(number(1) + _grouped(length(document).op(quotient)(number(512))))
        for piece, size in pieces:
            shorter = length(sa.func.replace(document, piece, _NOTHING))
            times = _grouped(_grouped(length(document) - shorter).op(quotient)(size))
            less = _grouped(_grouped(number(1000) * long).op(quotient)(_grouped(times + long)))
            total.append(number(weight) * _grouped(number(1000) - less))
    summed = total[0]
    for each in total[1:]:
        summed += each
    return _grouped(summed)


def _grouped(made: Expression) -> Expression:
    """Keep *made* in parentheses: SQLAlchemy does not know how strongly the quotient binds."""
    return Grouping(made)
