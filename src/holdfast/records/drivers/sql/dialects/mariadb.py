"""MariaDB's SQL. JSON is kept as the text that was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect as MariaDBCompiler

from holdfast.records.drivers.sql.dialects import mariadb_json
from holdfast.records.drivers.sql.dialects.mysql_family import MySQLFamilyDialect, overwriting
from holdfast.records.drivers.sql.statements.case_folding import NOTHING_WRONG, Folding
from holdfast.records.drivers.sql.statements.constraint_ddl import text_of, unique_of
from holdfast.records.drivers.sql.statements.statement import parameter

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect as Compiler
    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.dialects.json_search import JSONSearch
    from holdfast.records.drivers.sql.statements.case_folding import Misfolded
    from holdfast.records.drivers.sql.statements.dialect import Expression
    from holdfast.records.entities.model import Model

E = TypeVar("E")


_CASED = "uca1400_nopad_as_cs"
LOWERED = f"SELECT LOWER(CONVERT(%s USING utf8mb4) COLLATE {_CASED})"
"""Asks what the server's LOWER makes of a text."""


def lower(text: Expression) -> Expression:
    """Return the text that the server's LOWER makes of *text*."""
    return sa.func.lower(text.collate(_CASED)).collate(mariadb_json.COLLATION)


class MariaDBDialect(MySQLFamilyDialect):
    """See `Dialect`."""

    name = "mariadb"
    collation = mariadb_json.COLLATION
    json: JSONSearch = mariadb_json
    json_type: TypeEngine[Any] = mysql.LONGTEXT(collation=mariadb_json.COLLATION)

    def __init__(self, wrong: Misfolded | None = NOTHING_WRONG) -> None:
        made: Any = MariaDBCompiler  # whose constructor has no types
        super().__init__(made(paramstyle="format"), Folding(self.name, lower, wrong))

    def upsert(self, model: Model[E], table: sa.Table, on: tuple[str, ...]) -> sa.ClauseElement:
        """The last column tells whether the row was created."""
        key = model.key_names[0]
        values = {spec.name: parameter(spec.position) for spec in model.given}
        created: Expression = sa.literal_column("@holdfast_created")
        marked: Expression = sa.literal_column("(@holdfast_created := 1)")
        values[key] = getattr(sa.func, "if")(marked, values[key], sa.null())
        noted = sa.literal_column("(@holdfast_created := 0)") == sa.literal_column("0")
        made = overwriting(self, model, table, on, values, noted)
        return made.returning(*table.c, created)


def index_by_columns(index: sa.Index, compiler: Compiler, *, if_not_exists: bool = False) -> str:
    """Return the statement that adds *index*, with a hidden column for each of its expressions.

    MariaDB has no index on an expression, but one on a column that has its value.
    """
    quote = compiler.identifier_preparer.quote
    there = " IF NOT EXISTS" if if_not_exists else ""
    table = index.table
    assert table is not None
    added: list[str] = []
    parts: list[str] = []
    for expression, field in zip(index.expressions, unique_of(index).fields, strict=True):
        if isinstance(expression, sa.Column):
            parts.append(quote(expression.name))
            continue
        name = column_name(str(index.name), len(added))
        kind = table.c[field].type.compile(compiler)
        value = text_of(expression, compiler)
        added.append(
            f"ADD COLUMN{there} {quote(name)} {kind} GENERATED ALWAYS AS {value} VIRTUAL INVISIBLE"
        )
        parts.append(quote(name))
    unique = f"ADD UNIQUE INDEX{there} {quote(str(index.name))} ({', '.join(parts)})"
    place = compiler.identifier_preparer.format_table(table)
    return f"ALTER TABLE {place} {', '.join([*added, unique])}"


def column_name(index: str, number: int) -> str:
    """Return the name of the hidden column number *number* of the *index* of that name."""
    return index if number == 0 else f"{index}{number}"
