"""Which values stay what they are when a column's kind changes, for databases that don't ask.

SQLite makes 0 of any text that is not a number, and keeps a decimal as a whole number of its last
digit. MariaDB and MySQL refuse such text, but in the middle of a migration that they can't undo.
PostgreSQL refuses by itself, and undoes what went before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.migrations.column_types import ColumnType
    from holdfast.records.drivers.sql.statements.dialect import Expression

_REFUSING = ("mariadb", "mysql")
_WHOLE = sa.BigInteger()
_ALL: Expression = sa.true()
_AS_THEY_ARE = {
    (Kind.BOOL, Kind.INT),
    (Kind.INT, Kind.STR),
    (Kind.INT, Kind.JSON),
    (Kind.FLOAT, Kind.STR),
    (Kind.FLOAT, Kind.JSON),
    (Kind.STR, Kind.BYTES),
    (Kind.JSON, Kind.STR),
    (Kind.DATE, Kind.STR),
    (Kind.TIME, Kind.STR),
    (Kind.DATETIME, Kind.STR),
    (Kind.UUID, Kind.STR),
}


def survives(
    dialect: str, column: sa.ColumnClause[Any], was: ColumnType, becomes: ColumnType
) -> Expression:
    """Return what is true of the values of *column* that the change keeps as they are."""
    before, after = Kind(was.kind), Kind(becomes.kind)
    refuses = dialect in _REFUSING
    if dialect == "postgresql" or (refuses and before is not Kind.STR):
        return _ALL
    match before, after:
        case Kind.STR, Kind.INT:
            return sa.cast(sa.cast(column, _WHOLE), sa.Text()) == column
        case Kind.STR, Kind.JSON if dialect == "mysql":
            return sa.func.json_valid(column) == 1
        case _ if refuses:
            return _ALL
        case Kind.DECIMAL, Kind.DECIMAL:
            return _ALL if _scale(was) == _scale(becomes) else sa.false()
        case Kind.STR, Kind.FLOAT:
            kind = sa.case((sa.func.json_valid(column) == 1, sa.func.json_type(column)))
            return sa.func.coalesce(kind, "").in_(["integer", "real"])
        case Kind.STR, Kind.JSON:
            return sa.func.json_valid(column) == 1
        case Kind.INT, Kind.BOOL:
            return column.in_([0, 1])
        case Kind.INT, Kind.FLOAT:
            return sa.cast(sa.cast(column, sa.REAL()), _WHOLE) == column
        case Kind.FLOAT, Kind.INT:
            return sa.cast(column, _WHOLE) == column
        case _:
            same = before is after or (before, after) in _AS_THEY_ARE
            return _ALL if same else sa.false()


def _scale(kept: ColumnType) -> int | None:
    return None if kept.digits is None else kept.digits[1]
