"""How the tables of mapped classes are made on MariaDB and MySQL, so that they keep the rules.

Where a class leaves it open, text gets the collation that compares by code point, times get their
microseconds, a float gets double precision, and text and bytes without a length get room for any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler, MySQLTypeCompiler
from sqlalchemy.dialects.mysql.base import MySQLDialect as MySQLCompiler
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect as MariaDBCompiler

from holdfast.records.drivers.sql.dialects.mysql import IndexedTables

if TYPE_CHECKING:
    import sqlalchemy as sa

_CHARSETS = ("charset", "character_set", "default_charset", "default_character_set", "collate")


def ddl_compiler(name: str, collation: str) -> Any:
    """Return SQLAlchemy's dialect that makes the tables on *name*, with text of *collation*."""
    kind: Any = MariaDBCompiler if name == "mariadb" else MySQLCompiler
    base: Any = MySQLDDLCompiler if name == "mariadb" else IndexedTables

    class Tables(base):  # type: ignore[misc]
        def post_create_table(self, table: sa.Table) -> str:
            options: str = super().post_create_table(table)
            if any(f"{name}_{word}" in table.kwargs for word in _CHARSETS):
                return options
            return f"{options} CHARSET=utf8mb4 COLLATE {collation}".strip()

    class Compiler(kind):  # type: ignore[misc]
        supports_statement_cache = True
        ddl_compiler = Tables
        type_compiler_cls = _Types

    return Compiler(paramstyle="format")


class _Types(MySQLTypeCompiler):
    def visit_DATETIME(self, type_: Any, **options: Any) -> str:  # noqa: ARG002, N802
        return f"DATETIME({6 if getattr(type_, 'fsp', None) is None else type_.fsp})"

    def visit_TIME(self, type_: Any, **options: Any) -> str:  # noqa: ARG002, N802
        return f"TIME({6 if getattr(type_, 'fsp', None) is None else type_.fsp})"

    def visit_FLOAT(self, type_: Any, **options: Any) -> str:  # noqa: N802
        return "DOUBLE" if type_.precision is None else super().visit_FLOAT(type_, **options)

    def visit_text(self, type_: Any, **options: Any) -> str:
        if type_.length is not None:
            return super().visit_text(type_, **options)
        collation = f" COLLATE {type_.collation}" if type_.collation else ""
        return f"LONGTEXT{collation}"

    def visit_large_binary(self, type_: Any, **options: Any) -> str:
        return "LONGBLOB" if type_.length is None else super().visit_large_binary(type_, **options)
