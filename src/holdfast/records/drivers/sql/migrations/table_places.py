"""Where a database has the tables that migrations' files name, and what their indexes are called.

A file says `app.videos` whatever it runs on. Servers have a table of a schema, and SQLite one of
that very name, whose indexes begin with the schema too.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from holdfast.records.drivers.sql.statements.schema_inspection import place_of
from holdfast.records.entities.table_names import in_schema, schema_of, without_schema


def table_at(table: str, dialect: str, *columns: sa.ColumnClause[Any]) -> sa.TableClause:
    """Return what statements name the *table* of a file by."""
    name, schema = place_of(table, dialect)
    return sa.table(name, *columns, schema=schema)


def index_at(name: str, table: str, dialect: str) -> str:
    """Return what the database calls the index *name* of the *table* of a file."""
    return in_schema(schema_of(table), name) if dialect == "sqlite" else name


def put_in_place(table: sa.Table, dialect: sa.Dialect) -> None:
    """Let *table*, as a file names it, be the one that the database has, with what it refers to.

    On MariaDB and MySQL a reference without a schema leads into that of its own table.
    """
    targets = [each for each in map(_target, table.foreign_keys) if each is not None]
    for each in (table, *targets):
        name, schema = place_of(in_schema(each.schema, each.name), dialect.name)
        each.name = sa.sql.quoted_name(name, None)
        each.schema = None if schema is None else sa.sql.quoted_name(schema, None)
    home = dialect.default_schema_name if dialect.name in ("mariadb", "mysql") else None
    if table.schema is not None and home is not None:
        for each in targets:
            each.schema = each.schema or sa.sql.quoted_name(home, None)


def put_index_in_place(index: sa.Index, dialect: sa.Dialect) -> None:
    """Let *index*, as a file names it, be the one that the database has."""
    table = index.table
    if table is None:
        return
    if index.name is not None and not schema_of(str(index.name)):
        place = index_at(str(index.name), str(table.name), dialect.name)
        index.name = sa.sql.quoted_name(place, None)
    put_in_place(table, dialect)


def placed_reference(reference: sa.ForeignKeyConstraint) -> sa.ForeignKeyConstraint:
    """Return *reference*, to be copied with its table on SQLite, as one to a table by its name.

    Of a text SQLAlchemy would take what stands before the point for a schema.
    """
    target = reference.referred_table
    name = in_schema(target.schema, target.name)
    columns = [each.column.name for each in reference.elements]
    named = sa.Table(name, sa.MetaData(), *(sa.Column(each, sa.Integer()) for each in columns))
    made = sa.ForeignKeyConstraint(
        reference.column_keys,
        [named.c[each] for each in columns],
        name=reference.name,
        ondelete=reference.ondelete,
        onupdate=reference.onupdate,
    )
    mine = reference.table
    sa.Table(mine.name, sa.MetaData(), *(sa.Column(each.name, each.type) for each in mine.c), made)
    return made


def _target(reference: sa.ForeignKey) -> sa.Table | None:
    found = reference.column.table
    return found if isinstance(found, sa.Table) else None


def as_written(operation: ops.MigrateOperation, home: str | None) -> None:
    """Let *operation*, and those in it, name tables and indexes as a file does.

    *home* is what the database calls the schema that a name without one means.
    """
    made: Any = operation
    for of, schema in (("table_name", "schema"), ("source_table", ""), ("referent_table", "")):
        table = getattr(made, of, None)
        if table is None:
            continue
        words = vars(made) if schema else made.kw
        word = schema or f"{of.removesuffix('_table')}_schema"
        place = words.get(word)
        setattr(made, of, in_schema(None if place == home else place, table))
        words[word] = None
    if isinstance(operation, (ops.CreateIndexOp, ops.DropIndexOp)):
        made.index_name = without_schema(str(made.index_name))
    reverse = getattr(made, "_reverse", None)
    if reverse is not None:
        as_written(reverse, home)
    if isinstance(operation, ops.OpContainer):
        for each in operation.ops:
            if isinstance(each, ops.MigrateOperation):
                as_written(each, home)
        operation.ops[:] = _without_repetition(operation.ops)


def _without_repetition(operations: list[Any]) -> list[Any]:
    """Leave out references that are dropped and made as they were.

    To Alembic a reference out of a schema of MySQL's differs from itself: the server names the
    schema that it leads to, also where that is the session's own.
    """
    gone = {
        each.constraint_name: _reference(each._reverse)  # noqa: SLF001 - what it drops
        for each in operations
        if isinstance(each, ops.DropConstraintOp) and each.constraint_type == "foreignkey"
    }
    same = {
        each.constraint_name
        for each in operations
        if isinstance(each, ops.CreateForeignKeyOp)
        and each.constraint_name in gone
        and gone[each.constraint_name] == _reference(each)
    }

    def changes(each: Any) -> bool:
        if isinstance(each, (ops.DropConstraintOp, ops.CreateForeignKeyOp)):
            return each.constraint_name not in same
        return not isinstance(each, ops.OpContainer) or bool(each.ops)

    return [each for each in operations if changes(each)]


def _reference(operation: Any) -> tuple[object, ...]:
    columns = (tuple(operation.local_cols), operation.referent_table, tuple(operation.remote_cols))
    return (*columns, operation.kw.get("ondelete"), operation.kw.get("onupdate"))


class InPlace:
    """Puts the tables of operations in their places; stands before one of Alembic's own."""

    dialect: sa.Dialect

    def alter_column(self, table_name: str, column_name: str, **words: Any) -> None:
        """See `DefaultImpl`."""
        name, place = self._placed(table_name, words)
        self._above.alter_column(name, column_name, **place)

    def add_column(self, table_name: str, column: sa.Column[Any], **words: Any) -> None:
        """See `DefaultImpl`."""
        name, place = self._placed(table_name, words)
        if isinstance(column.table, sa.Table):
            put_in_place(column.table, self.dialect)
        self._above.add_column(name, column, **place)

    def drop_column(self, table_name: str, column: sa.Column[Any], **words: Any) -> None:
        """See `DefaultImpl`."""
        name, place = self._placed(table_name, words)
        self._above.drop_column(name, column, **place)

    def add_constraint(self, const: Any, **words: Any) -> None:
        """See `DefaultImpl`."""
        put_in_place(const.table, self.dialect)
        self._above.add_constraint(const, **words)

    def drop_constraint(self, const: Any, **words: Any) -> None:
        """See `DefaultImpl`."""
        put_in_place(const.table, self.dialect)
        self._above.drop_constraint(const, **words)

    def rename_table(self, old_table_name: str, new_table_name: Any, schema: Any = None) -> None:
        """See `DefaultImpl`. A table stays in its schema."""
        name, place = self._placed(old_table_name, {"schema": schema})
        if self.dialect.name != "sqlite":
            new_table_name = without_schema(new_table_name)
        self._above.rename_table(name, new_table_name, **place)

    def create_table(self, table: sa.Table, **words: Any) -> None:
        """See `DefaultImpl`."""
        put_in_place(table, self.dialect)
        self._above.create_table(table, **words)

    def drop_table(self, table: sa.Table, **words: Any) -> None:
        """See `DefaultImpl`."""
        put_in_place(table, self.dialect)
        self._above.drop_table(table, **words)

    def create_index(self, index: sa.Index, **words: Any) -> None:
        """See `DefaultImpl`."""
        put_index_in_place(index, self.dialect)
        self._above.create_index(index, **words)

    def drop_index(self, index: sa.Index, **words: Any) -> None:
        """See `DefaultImpl`."""
        put_index_in_place(index, self.dialect)
        self._above.drop_index(index, **words)

    @property
    def _above(self) -> Any:
        return super()

    def _placed(self, table: str, words: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the name and the words, its schema among them, of a *table*."""
        name, schema = place_of(in_schema(words.get("schema"), table), self.dialect.name)
        return name, {**words, "schema": schema}
