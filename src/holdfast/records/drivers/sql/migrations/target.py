"""The structure that the entities ask for, as Alembic compares and writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from holdfast.records.drivers.sql.migrations.column_types import (
    ColumnType,
    column_type_of,
    from_source,
)
from holdfast.records.drivers.sql.migrations.default_source import Initial, server_default_of
from holdfast.records.drivers.sql.statements.constraint_ddl import constraint_of
from holdfast.records.drivers.sql.statements.schema_inspection import (
    expected_type,
    place_of,
    same_type,
)
from holdfast.records.drivers.sql.statements.tables import build_tables, limit_of, named
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.records.drivers.sql.migrations.column_history import ColumnHistory
    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.drivers.sql.statements.schema_inspection import FoundTables
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec


class Target:
    """The tables of *models* in *dialect*; types stand in words that all databases know."""

    def __init__(self, models: Sequence[Model[object]], dialect: Dialect) -> None:
        self.dialect = dialect
        self.concrete = build_tables(models, dialect)
        self.tables = build_tables(models, dialect)
        for made in self.tables.values():
            _leave_out_constraints(made)
        self.specs: dict[tuple[str, str], FieldSpec] = {}
        for model in models:
            table = self.tables[model.table]
            for spec in model.fields:
                column = table.c.get(spec.name)
                kept = column_type_of(model, spec)
                wanted = self.concrete[model.table].c.get(spec.name)
                if column is None or wanted is None:
                    continue
                if kept is not None and _same(kept, wanted.type, dialect):
                    column.type = kept
                    if spec not in model.keys or spec.type.kind is not Kind.INT:
                        column.autoincrement = "auto"  # the default, which no file need say
                    self.specs[model.table, spec.name] = spec
                    column.server_default = (
                        server_default_of(spec, model.table) or column.server_default
                    )
                    _add_limit(table, spec)
            if (model.table, model.key_names[0]) in self.specs:
                table.primary_key.name = named("pk", model.table, model.key_names)
        self._mark_circles()

    @property
    def metadata(self) -> sa.MetaData:
        """The collection that the tables are in."""
        return next(iter(self.tables.values())).metadata if self.tables else sa.MetaData()

    def schemas(self, tables: Iterable[str]) -> set[str]:
        """Return the schemas that *tables* name, where the database has such."""
        places = (place_of(table, self.dialect.name)[1] for table in tables)
        return {schema for schema in places if schema is not None}

    def compare(self, found: FoundTables, declared: ColumnHistory) -> Callable[..., bool]:
        """Return what tells Alembic whether a column's type differs from the one in *found*.

        It differs too when the files *declared* it otherwise, which is another type on another
        database though the one at hand has a single type for both.
        """

        def differs(
            _context: object, _inspected: object, column: sa.Column[Any], *_types: object
        ) -> bool:
            said = declared.get(column.table.key, {}).get(column.name)
            made = None if said is None else from_source(said.type)
            kept = column.type
            if (
                isinstance(made, ColumnType)
                and isinstance(kept, ColumnType)
                and made.source != kept.source
            ):
                return True
            there = found[column.table.key][column.name]
            wanted = cast("sa.Column[object]", self.concrete[column.table.key].c[column.name])
            return not same_type(self.dialect.name, there, expected_type(wanted, self.dialect))

        return differs

    def compare_default(self, found: FoundTables, declared: ColumnHistory) -> Callable[..., bool]:
        """Return what tells Alembic whether a column lacks the default that its field names.

        It is compared with what the files *declared*, for no database writes an expression back as
        it was. A default that no field names stays: it may be what filled the rows that were there.
        Not that of a sequence: see `add_lost_defaults`.
        """

        def differs(
            _context: object, _inspected: object, column: sa.Column[Any], *_defaults: object
        ) -> bool:
            if not isinstance(column.server_default, Initial):
                return False
            said = declared.get(column.table.key, {}).get(column.name)
            if said is not None:
                return said.default != column.server_default.source
            return not found[column.table.key][column.name].filled

        return differs

    def _mark_circles(self) -> None:
        """Mark the references of tables that point at each other: they come after the tables."""
        sort: Any = sa.schema.sort_tables_and_constraints
        for table, constraints in sort(list(self.tables.values())):
            if table is None:
                for constraint in constraints:
                    constraint.use_alter = True


def _leave_out_constraints(table: sa.Table) -> None:
    """Take out what Alembic can't compare: see `constraint_changes`."""
    for index in list(table.indexes):
        if constraint_of(index) is not None:
            table.indexes.discard(index)
    for constraint in list(table.constraints):
        if constraint_of(constraint) is not None:
            table.constraints.discard(constraint)


def _same(kept: Any, concrete: Any, dialect: Dialect) -> bool:
    written: str = kept.compile(dialect.compiler)
    wanted: str = concrete.compile(dialect.compiler)
    return written == wanted


def _add_limit(table: sa.Table, spec: FieldSpec) -> None:
    """Add the limit that SQLite needs wherever the file is written: it may be run on SQLite."""
    condition = limit_of(spec)
    if condition is None:
        return
    name = limit_name(table.name, spec.name)
    for constraint in table.constraints:
        if constraint.name == name:
            constraint.info["limit"] = True
            return
    table.append_constraint(sa.CheckConstraint(condition, name=name, info={"limit": True}))


def limit_name(table: str, column: str) -> str:
    """Return the name of the constraint that keeps a column's numbers in bounds."""
    return named("ck", table, [column])
