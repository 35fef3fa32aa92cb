"""MySQL's SQL. JSON is kept in MySQL's own type, which keeps values and not the order of names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler
from sqlalchemy.dialects.mysql.base import MySQLDialect as MySQLCompiler

from holdfast.records.drivers.sql.dialects import mysql_json
from holdfast.records.drivers.sql.dialects.mysql_family import MySQLFamilyDialect, overwriting
from holdfast.records.drivers.sql.statements.case_folding import NOTHING_WRONG, Folding, growing
from holdfast.records.drivers.sql.statements.constraint_ddl import text_of
from holdfast.records.drivers.sql.statements.statement import literal, parameter

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

    from holdfast.records.drivers.sql.dialects.json_search import JSONSearch
    from holdfast.records.drivers.sql.statements.case_folding import Misfolded
    from holdfast.records.drivers.sql.statements.dialect import Expression
    from holdfast.records.entities.model import Model

E = TypeVar("E")

_FOUND: Expression = sa.literal_column(str(2**64 - 1))
"""What LAST_INSERT_ID() is after an upsert that found a row: no key is as large."""
WAS_CREATED: Expression = sa.func.last_insert_id() != _FOUND
NUMBERED: Expression = sa.func.last_insert_id()
"""The number that the store gave to the row that was added last."""


LOWERED = f"SELECT LOWER(CONVERT(%s USING utf8mb4) COLLATE {mysql_json.COLLATION})"
"""Asks what the server's LOWER makes of a text."""
_UNASKED = "\ue000"  # stands for what is no letter


def without_growing(text: str) -> str:
    """Return *text* without the letters that have more bytes when they are folded.

    LOWER cuts off what has more bytes than before. So they are not asked about, and count as
    misread.
    """
    return text.translate(dict.fromkeys(map(ord, growing()), _UNASKED))


def lower(text: Expression) -> Expression:
    """Return the text that the server's LOWER makes of *text*."""
    return sa.func.lower(text)


def _holds(text: Expression, characters: str) -> Expression:
    return sa.func.regexp_like(text, literal(f"[{characters}]"), literal("c"))


class IndexedTables(MySQLDDLCompiler):
    """Makes tables with their indexes: MySQL has no CREATE INDEX IF NOT EXISTS."""

    def create_table_constraints(
        self,
        table: sa.Table,
        _include_foreign_key_constraints: Any = None,
        **options: Any,
    ) -> str:
        """Return the constraints of *table*, and after them its indexes."""
        compiler: Any = super()
        parts = [
            compiler.create_table_constraints(table, _include_foreign_key_constraints, **options)
        ]
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            columns = ", ".join(text_of(each, self.dialect) for each in index.expressions)
            kind = "UNIQUE INDEX" if index.unique else "INDEX"
            parts.append(f"{kind} {self.preparer.format_index(index)} ({columns})")
        return ", \n\t".join(filter(None, parts))


class MySQLDialect(MySQLFamilyDialect):
    """See `Dialect`."""

    name = "mysql"
    collation = mysql_json.COLLATION
    json: JSONSearch = mysql_json
    json_type: TypeEngine[Any] = mysql.JSON()
    bool_type: TypeEngine[Any] = sa.Boolean()
    """The same as TINYINT(1), by a name of which MySQL does not warn."""

    def __init__(self, wrong: Misfolded | None = NOTHING_WRONG) -> None:
        made: Any = MySQLCompiler  # whose constructor has no types
        compiler = made(paramstyle="format")
        compiler.ddl_compiler = IndexedTables
        compiler._requires_alias_for_on_duplicate_key = True  # noqa: SLF001 - it asks a server
        super().__init__(compiler, Folding(self.name, lower, wrong, _holds))

    def folded(self, text: Expression, longest: int) -> Expression:
        """See `Dialect`.

        An index is of text of a bounded length, and can't look into it by a pattern.
        """
        folded = replace(self._folding, holds=None).fold(text)
        kind = mysql.CHAR(longest, charset="utf8mb4")
        return sa.cast(folded, kind).collate(self.collation)

    def upsert(self, model: Model[E], table: sa.Table, on: tuple[str, ...]) -> sa.ClauseElement:
        """See `Dialect`. LAST_INSERT_ID() tells afterwards whether a row was found."""
        values: dict[str, Expression] = {
            spec.name: parameter(spec.position) for spec in model.given
        }
        # Named all the same: the new row's alias has no other columns.
        values |= {name: sa.literal_column("DEFAULT") for name in model.left_out}
        noted = sa.func.last_insert_id(_FOUND) == _FOUND
        return overwriting(self, model, table, on, values, noted)
