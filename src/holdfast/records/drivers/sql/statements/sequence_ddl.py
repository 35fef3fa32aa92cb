"""Sequences of a database as SQL: how they are made, dropped, and asked for numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from holdfast.records.drivers.sql.statements.schema_inspection import place_of
from holdfast.records.entities.server_default import LEAST_NUMBER, MOST_NUMBER
from holdfast.records.entities.table_names import in_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.entities.server_default import SequenceDefault

SEQUENCE = "sequence"
"""What the `info` of a column has whose default is the next number of one: it, as it is made."""
NUMBERS = {"postgresql": 100_000, "mariadb": 500}
"""How many numbers one statement gives at the most. MariaDB's rows of a recursion are counted."""
_UNCACHED = {"postgresql": "CACHE 1", "mariadb": "NOCACHE"}


def sequences_in(tables: Iterable[sa.Table]) -> dict[str, SequenceDefault]:
    """Return the sequences that columns of *tables* have, by their places."""
    columns = (column for table in tables for column in table.columns)
    return {
        in_schema(column.table.schema, source.name): source
        for column in columns
        if (source := cast("SequenceDefault | None", column.info.get(SEQUENCE))) is not None
    }


def quoted(place: str, dialect: Dialect) -> str:
    """Return the name of the sequence at *place* as SQL has it."""
    name, schema = place_of(place, dialect.name)
    made = sa.Table(name, sa.MetaData(), schema=schema)
    return str(dialect.compiler.identifier_preparer.format_table(made))


def next_number(place: str, dialect: Dialect) -> str:
    """Return the expression for the next number of the sequence at *place*."""
    name = quoted(place, dialect)
    if dialect.name == "postgresql":
        text = name.replace("'", "''")
        return f"nextval('{text}')"
    return f"NEXT VALUE FOR {name}"


def numbers_query(place: str, dialect: Dialect, count: int) -> tuple[str, tuple[object, ...]]:
    """Return the query of the next *count* numbers of the sequence at *place*, and its values."""
    number = next_number(place, dialect)
    if dialect.name == "postgresql":
        return f"SELECT {number} FROM generate_series(1, $1::int)", (count,)  # noqa: S608 - quoted
    if count == 1:
        return f"SELECT {number}", ()
    rows = f"SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}"  # noqa: S608 - a number
    return f"WITH RECURSIVE n(i) AS ({rows}) SELECT {number} FROM n", ()  # noqa: S608 - quoted


def creation(
    place: str, source: SequenceDefault, dialect: Dialect, *, if_missing: bool = True
) -> str:
    """Return the statement that makes the sequence at *place*."""
    name = quoted(place, dialect)
    wanted = f"{'IF NOT EXISTS ' if if_missing else ''}{name}"
    return (
        f"CREATE SEQUENCE {wanted} START WITH {source.start} INCREMENT BY {source.increment} "
        f"MINVALUE {LEAST_NUMBER} MAXVALUE {MOST_NUMBER} {_UNCACHED[dialect.name]}"
    )
