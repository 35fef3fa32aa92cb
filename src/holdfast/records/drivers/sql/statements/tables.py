"""SQLAlchemy's tables from models: the one description of the structure that SQL is made from."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from holdfast.records.drivers.sql.mapped_tables.mapped_columns import mapped_copy
from holdfast.records.drivers.sql.statements.column_default import default_clause
from holdfast.records.drivers.sql.statements.constraint_ddl import checks, uniques
from holdfast.records.drivers.sql.statements.schema_inspection import VIEW, place_of
from holdfast.records.drivers.sql.statements.sequence_ddl import SEQUENCE
from holdfast.records.entities.model import model_of
from holdfast.records.entities.table_names import in_schema, schema_of, stored_names, without_schema
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec

_ON_DELETE = {"restrict": None, "cascade": "CASCADE", "set null": "SET NULL"}


TABLE_OPTIONS: dict[str, Any] = {
    "sqlite_strict": True,
    "sqlite_autoincrement": True,
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_0900_bin",
}
_SQLITE: Any = sqlite_dialect().identifier_preparer
WORD_INDEX = "words"
"""The kind of the indexes that no migration is about, for `named`."""
_LONGEST_NAME = 63  # characters, in PostgreSQL; MariaDB takes one more
_DIGEST = 8


def build_tables(
    models: Sequence[Model[object]], dialect: Dialect, schema: str = ""
) -> dict[str, sa.Table]:
    """Return a table for each model, by its name, with the column types of *dialect*.

    *schema* is that of tables which name none; '' is the session's own.
    """
    metadata = sa.MetaData()
    names = stored_names(models, schema)
    return {
        model.table: _table(model, metadata, dialect, names)
        if model.adapter is None
        else mapped_copy(model, metadata, dialect)
        for model in models
    }


def index_name(name: str, table: sa.Table) -> str:
    """Return the name of an index of *table*. A file of SQLite's has each name of one but once."""
    prefix = "" if table.schema else schema_of(table.name)
    return in_schema(prefix, name)


def named(kind: str, table: str, fields: Sequence[str]) -> str:
    """Return the name of a constraint or index; a long one is cut and told apart by a digest.

    The schema of the *table* is left out: the same migration is for any.
    """
    name = f"{kind}_{without_schema(table)}_{'_'.join(fields)}"
    if len(name) <= _LONGEST_NAME:
        return name
    digest = sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name[: _LONGEST_NAME - _DIGEST - 1]}_{digest}"


def _table(
    model: Model[object], metadata: sa.MetaData, dialect: Dialect, names: Mapping[str, str]
) -> sa.Table:
    name, schema = place_of(names[model.table], dialect.name)
    sequences = dict(model.sequences)
    columns = [
        sa.Column(
            spec.name,
            dialect.type_of(model, spec),
            *_foreign_key(model, spec, names),
            primary_key=spec in model.keys,
            nullable=spec.type.nullable,
            server_default=default_clause(spec, dialect, schema_of(names[model.table])),
            autoincrement=spec.role == "generated",
            info={SEQUENCE: sequences[spec]} if spec in sequences else {},
        )
        for spec in model.fields
    ]
    constraints: list[sa.schema.SchemaItem] = [
        sa.UniqueConstraint(*unique, name=named("uq", model.table, unique))
        for unique in model.uniques
    ]
    constraints += [
        sa.CheckConstraint(limit, name=named("ck", model.table, [spec.name]))
        for spec in model.fields
        if dialect.name == "sqlite" and (limit := limit_of(spec)) is not None
    ]
    if model.view:
        return sa.Table(name, metadata, *columns, schema=schema, info={VIEW: True})
    table = sa.Table(
        name,
        metadata,
        *columns,
        *constraints,
        schema=schema,
        # Of this database alone: for each other one SQLAlchemy would import what it knows of it.
        **{n: value for n, value in TABLE_OPTIONS.items() if n.startswith(f"{dialect.name}_")},
    )
    if dialect.name == "postgresql":  # SQLite numbers keys only without, and MariaDB warns of it
        table.primary_key.name = named("pk", model.table, model.key_names)
    declared = {index[0] for index in (*model.indexes, *model.uniques, model.key_names)}
    wanted = [
        *model.indexes,
        *((spec.name,) for spec in model.references if spec.name not in declared),
    ]
    for index in wanted:
        # The key stands at the end of every order, so it stands at the end of every index.
        parts = (*index, *(name for name in model.key_names if name not in index))
        called = index_name(named("ix", model.table, index), table)
        sa.Index(called, *(table.c[part] for part in parts))
    for check in checks(model, table, dialect):
        table.append_constraint(check)
    for _ in uniques(model, table, dialect, schema=schema_of(table.name)):
        pass  # an index is its table's from its making on
    return table


def _foreign_key(
    model: Model[object], spec: FieldSpec, names: Mapping[str, str]
) -> list[sa.ForeignKey]:
    if spec.reference is None:
        return []
    target: Model[object] = model_of(spec.reference.target())
    return [
        sa.ForeignKey(
            f"{names.get(target.table, target.table)}.{target.key.name}",
            name=named("fk", model.table, [spec.name]),
            ondelete=_ON_DELETE[spec.reference.on_delete],
        )
    ]


def limit_of(spec: FieldSpec) -> str | None:
    """Return what a number must satisfy even after increments made by the database."""
    if spec.type.kind is Kind.DECIMAL and spec.type.bounds.precision is not None:
        most = 10**spec.type.bounds.precision - 1
        return f"{_quoted(spec.name)} BETWEEN -{most} AND {most}"
    if spec.type.kind is Kind.FLOAT:
        return f"{_quoted(spec.name)} BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308"
    return None


def _quoted(name: str) -> str:
    """Return *name* as SQLite's SQL has it; quoted where it is one of its words."""
    quoted: str = _SQLITE.quote(name)
    return quoted
