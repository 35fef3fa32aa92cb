"""Columns of mapped classes on MariaDB and MySQL that would not keep values to the rules.

The tables are somebody else's, so only what would change a value or its comparison in silence is a
misfit: text of another collation, moments without microseconds, floats of single precision, digits
that are cut off, and types that pad.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    import sqlalchemy as sa

    from holdfast.records.drivers.sql.mapped_tables.mapped_mysql_family import MappedMySQLFamily
    from holdfast.records.drivers.sql.statements.schema_inspection import FoundColumn, FoundTables
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
    from holdfast.records.values.field_spec import FieldSpec

_FRACTIONS = re.compile(r"(datetime|timestamp|time)(?:\(\d\))?")
_DIGITS = re.compile(r"decimal\((\d+),(\d+)\)( unsigned)?")
_PADDED = re.compile(r"(char|binary)\((\d+)\)")
_HEX = "char(32)"
"""How SQLAlchemy keeps a UUID where the database has no type for it."""
_NATIVE = "uuid"


@dataclass(frozen=True, slots=True)
class Misfit:
    """A column of type *found*, and what it is to be; *collation* is '' for what is no text.

    *why* says what to do where no statement mends it.
    """

    table: sa.Table
    column: str
    found: FoundColumn
    wanted: str
    collation: str
    why: str


def misfits(
    statements: StoreStatements, dialect: MappedMySQLFamily, found: FoundTables
) -> list[Misfit]:
    """Return the columns of mapped classes that would not keep values to the rules."""
    wrong: list[Misfit] = []
    for model in statements.models if found else ():
        if model.adapter is None:
            continue
        table = statements.tables[model.table]
        for spec in model.fields:
            column = table.c[spec.name].name
            has = found.get(table.key, {}).get(column)
            if has is None:
                continue
            wanted, why = _wanted(dialect, spec, has.type)
            is_text = bool(has.collation) and wanted != _NATIVE and spec.type.kind is not Kind.JSON
            collation = dialect.collation if is_text else ""
            if wanted != has.type or collation not in ("", has.collation):
                wrong.append(Misfit(table, column, has, wanted, collation, why))
    return wrong


def _wanted(dialect: MappedMySQLFamily, spec: FieldSpec, has: str) -> tuple[str, str]:
    """Return the type to have, *has* where that will do; and what to do if no ALTER makes it so."""
    kind = has.lower()
    match spec.type.kind:
        case Kind.UUID if dialect.has_native_uuid(spec):
            return _NATIVE, ""
        case Kind.UUID if kind == _HEX:
            return has, ""
        case Kind.UUID if kind == _NATIVE:
            return _HEX, "say Uuid() without native_uuid=False"
        case Kind.UUID:
            return _HEX, "Uuid keeps 32 hex digits there"
        case Kind.DATETIME | Kind.TIMEDELTA | Kind.TIME if time := _FRACTIONS.fullmatch(kind):
            return f"{time[1]}(6)", ""
        case Kind.FLOAT if kind.startswith("float"):
            return "double", ""
        case Kind.DECIMAL:
            return _decimal(spec, has), ""
        case Kind.STR | Kind.BYTES if padded := _PADDED.fullmatch(kind):
            return f"var{padded[1]}({padded[2]})", ""
        case _:
            return has, ""


def _decimal(spec: FieldSpec, has: str) -> str:
    """Return *has*, or where it would round a value the type that does not."""
    scale = spec.type.bounds.scale or 0
    digits = _DIGITS.fullmatch(has.lower())
    if digits is None or int(digits[2]) >= scale:
        return has
    whole = max(int(digits[1]) - int(digits[2]), (spec.type.bounds.precision or 0) - scale)
    return f"decimal({whole + scale},{scale}){digits[3] or ''}"
