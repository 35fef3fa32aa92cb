"""Alembic's operations where a database needs more than the files say.

MariaDB and MySQL change a column by saying all of it again, so Alembic wants its type, whether it
takes nulls and its default in every `alter_column`, and what is left out is lost. Here it is looked
up.

On SQLite a table is copied to change it, and a constraint that names a column by the name it gets
in the same step is left out of the copy without a word. So a column is renamed before.
"""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.ddl.mysql import MariaDBImpl, MySQLImpl
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.ddl.sqlite import SQLiteImpl

from holdfast.errors import ConfigurationError
from holdfast.records.drivers.sql.migrations.constraint_changes import is_ours
from holdfast.records.drivers.sql.migrations.table_places import (
    InPlace,
    placed_reference,
    put_index_in_place,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.runtime.migration import MigrationContext

_FOUND = sa.text(
    "SELECT column_type, collation_name, is_nullable, column_default, extra, column_comment "
    "FROM information_schema.columns "
    "WHERE table_schema = coalesce(:schema, DATABASE()) AND table_name = :table "
    "AND column_name = :column"
)
_INDEXES = sa.text(
    "SELECT name, sql FROM sqlite_master "
    "WHERE type = 'index' AND tbl_name = :table AND sql IS NOT NULL"
)
_COPY = "_alembic_tmp_"
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_UNESCAPED = r"\1"
_OF_A_COLUMN = ("nullable", "type_", "autoincrement")


def adopt(context: MigrationContext) -> None:
    """Let *context* do its operations by what is here, where its database has something here."""
    there: Any = context.impl
    kind = _KINDS.get(context.dialect.name)
    if kind is None:
        return
    context.impl = kind(
        there.dialect,
        there.connection,
        there.as_sql,
        there.transactional_ddl,
        there.output_buffer,
        there.context_opts,
    )


class PostgreSQLStructure(InPlace, PostgresqlImpl):
    """For the contexts that `adopt` it, and none else."""


class WholeColumns(MySQLImpl):
    """Alembic's way to MariaDB and MySQL, which say all of a column that they change."""

    def alter_column(self, table_name: str, column_name: str, **words: Any) -> None:
        """Rename a column, or change it and keep of it what is not named."""
        name = words.pop("name", None)
        if name is not None and name != column_name:
            preparer = self.dialect.identifier_preparer
            place = preparer.format_table(
                sa.Table(table_name, sa.MetaData(), schema=words.get("schema"))
            )
            old, new = preparer.quote(column_name), preparer.quote(name)
            self._exec(sa.text(f"ALTER TABLE {place} RENAME COLUMN {old} TO {new}"))
            column_name = name
        changes = any(words.get(each) is not None for each in _OF_A_COLUMN)
        if changes or words.get("comment", False) is not False:
            words = {**words, **self._kept(table_name, column_name, words)}
        elif words.get("server_default", False) is False:
            return
        super().alter_column(table_name, column_name, **words)

    def _kept(self, table: str, column: str, words: dict[str, Any]) -> dict[str, object]:
        """Return the words for what *words* leaves as it is and does not say."""
        if self.as_sql or self.connection is None:
            if words.get("existing_type") is None and words.get("type_") is None:
                raise ConfigurationError(
                    f"{table}.{column}: {self.dialect.name}'s SQL text says the whole column "
                    "again, and no database is looked at: say existing_type= and "
                    "existing_nullable= in the migration's file"
                )
            return {}
        where = {"schema": words.get("schema"), "table": table, "column": column}
        row = self.connection.execute(_FOUND, where).first()
        if row is None:
            return {}
        kind, collation, nullable, default, extra, comment = row
        kept: dict[str, object] = {
            "existing_type": _Verbatim(kind, collation),
            "existing_nullable": nullable == "YES",
            "existing_autoincrement": True if "auto_increment" in extra else None,
            "existing_comment": comment or None,
        }
        if default is not None and default != "NULL":
            kept["existing_server_default"] = self.default_found(default, extra)
        return {name: value for name, value in kept.items() if words.get(name) in (None, False)}

    def default_found(self, default: str, extra: str) -> str | sa.TextClause:  # noqa: ARG002
        """Return the default that the catalogue names: MariaDB's is an expression."""
        return _verbatim(default)


class MariaDBStructure(InPlace, WholeColumns, MariaDBImpl):
    """For the contexts that `adopt` it, and none else."""


class MySQLColumns(WholeColumns):
    """Changes columns as MySQL wants it."""

    def alter_column(self, table_name: str, column_name: str, **words: Any) -> None:
        """See `WholeColumns`.

        A default is an expression, as MySQL takes no other one for text; and not by `SET DEFAULT`,
        which refuses that too, but with all of the column.
        """
        default = words.get("server_default")
        if isinstance(default, str):
            words["server_default"] = expression_default(default)
        if isinstance(default, (str, sa.TextClause)) and words.get("nullable") is None:
            found = self._kept(table_name, column_name, words)
            words["nullable"] = found.get("existing_nullable")
        super().alter_column(table_name, column_name, **words)

    def default_found(self, default: str, extra: str) -> str | sa.TextClause:
        """Return the default that the catalogue names: a value, but where *extra* says otherwise.

        An expression stands there as the content of a text, with backslashes.
        """
        if "DEFAULT_GENERATED" not in extra:
            return default
        return _verbatim(f"({_ESCAPED.sub(_UNESCAPED, default)})")


def expression_default(value: object) -> sa.TextClause:
    """Return the default of a column on MySQL by which it gets *value*, text or bytes."""
    if isinstance(value, bytes):
        return sa.text(f"(X'{value.hex()}')")
    quoted = str(value).replace("\\", "\\\\").replace("'", "''")
    return _verbatim(f"('{quoted}')")


def _verbatim(text: str) -> sa.TextClause:
    return sa.text(text.replace(":", "\\:"))


@contextmanager
def unseen_expressions() -> Iterator[None]:
    """Let SQLAlchemy not warn of indexes on expressions, which it can't read from a database.

    They are those of uniques, which are looked for by their names.
    """
    with warnings.catch_warnings():
        for said in (
            "Skipped unsupported reflection of expression-based",
            "Unknown schema content",
        ):
            warnings.filterwarnings("ignore", said)
        yield


class MySQLStructure(InPlace, MySQLColumns):
    """For the contexts that `adopt` it, and none else."""


class CopiedTables(SQLiteImpl):
    """Alembic's way to SQLite.

    When it copies a table it would lose the indexes on expressions: those of uniques are made again
    by their own words.
    """

    _kept: tuple[str, ...] = ()

    def drop_table(self, table: sa.Table, **words: Any) -> None:
        """Drop *table*, and remember what made its uniques."""
        if self.connection is not None and not self.as_sql:
            found = self.connection.execute(_INDEXES, {"table": table.name})
            self._kept = tuple(sql for name, sql in found if is_ours(name))
        super().drop_table(table, **words)

    def rename_table(self, old_table_name: str, new_table_name: Any, schema: Any = None) -> None:
        """Rename the copy, and make the uniques of what it is a copy of again."""
        super().rename_table(old_table_name, new_table_name, schema=schema)
        if self.connection is not None and old_table_name.startswith(_COPY):
            for sql in self._kept:
                self.connection.exec_driver_sql(sql)
        self._kept = ()

    def create_index(self, index: sa.Index, **words: Any) -> None:
        """Make *index*, unless it is a unique's, which `rename_table` has made."""
        if not is_ours(index.name):
            super().create_index(index, **words)

    def requires_recreate_in_batch(self, batch_op: Any) -> bool:
        """Rename the columns that are to be renamed; tell whether the rest needs a copy."""
        for at, (verb, given, words) in enumerate(batch_op.batch):
            if verb in ("create_index", "drop_index"):
                put_index_in_place(given[0], self.dialect)
            elif verb == "add_constraint" and isinstance(given[0], sa.ForeignKeyConstraint):
                batch_op.batch[at] = (verb, (placed_reference(given[0]),), words)
        quote = self.dialect.identifier_preparer.quote
        renamed = {
            given[1]: words["name"]
            for verb, given, words in batch_op.batch
            if verb == "alter_column" and words.get("name") not in (None, given[1])
        }
        left: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        for verb, given, words in batch_op.batch:
            if verb != "alter_column":
                left.append((verb, given, words))
                continue
            table, column, *rest = given
            if words.get("name") is not None and column in renamed:
                old, new = quote(column), quote(renamed[column])
                self._exec(sa.text(f"ALTER TABLE {quote(table)} RENAME COLUMN {old} TO {new}"))
            said = {word: value for word, value in words.items() if word != "name"}
            if any(said.get(word) is not None for word in _OF_A_COLUMN) or any(
                said.get(word, False) is not False for word in ("server_default", "comment")
            ):
                left.append((verb, (table, renamed.get(column, column), *rest), said))
        batch_op.batch[:] = left
        return super().requires_recreate_in_batch(batch_op)


class SQLiteStructure(InPlace, CopiedTables):
    """For the contexts that `adopt` it, and none else."""


_KINDS: dict[str, Any] = {
    "postgresql": PostgreSQLStructure,
    "mariadb": MariaDBStructure,
    "mysql": MySQLStructure,
    "sqlite": SQLiteStructure,
}


class _Verbatim(sa.types.UserDefinedType[object]):
    """A type as the database itself says it."""

    cache_ok = True

    def __init__(self, kind: str, collation: str | None) -> None:
        self.kind = kind
        self.collation = collation

    def get_col_spec(self, **_kw: object) -> str:
        return self.kind if self.collation is None else f"{self.kind} COLLATE {self.collation}"
