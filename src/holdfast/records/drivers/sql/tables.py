"""SQLAlchemy's tables from models: the one description of the structure that SQL is made from."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from holdfast.records.drivers.sql.constraint_ddl import checks, uniques
from holdfast.records.drivers.sql.mapped_tables.mapped_columns import mapped_copy
from holdfast.records.drivers.sql.schema_inspection import VIEW
from holdfast.records.model import model_of
from holdfast.records.value import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.dialect import Dialect
    from holdfast.records.field_spec import FieldSpec
    from holdfast.records.model import Model

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


def build_tables(models: Sequence[Model[object]], dialect: Dialect) -> dict[str, sa.Table]:
    """Return a table for each model, by its name, with the column types of *dialect*."""
    metadata = sa.MetaData()
    return {
        model.table: _table(model, metadata, dialect)
        if model.adapter is None
        else mapped_copy(model, metadata, dialect)
        for model in models
    }


def named(kind: str, table: str, fields: Sequence[str]) -> str:
    """Return the name of a constraint or index; a long one is cut and told apart by a digest."""
    name = f"{kind}_{table}_{'_'.join(fields)}"
    if len(name) <= _LONGEST_NAME:
        return name
    digest = sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name[: _LONGEST_NAME - _DIGEST - 1]}_{digest}"


def _table(model: Model[object], metadata: sa.MetaData, dialect: Dialect) -> sa.Table:
    columns = [
        sa.Column(
            spec.name,
            dialect.type_of(model, spec),
            *_foreign_key(model, spec),
            primary_key=spec in model.keys,
            nullable=spec.type.nullable,
            autoincrement=spec.role == "generated",
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
        return sa.Table(model.table, metadata, *columns, info={VIEW: True})
    table = sa.Table(
        model.table,
        metadata,
        *columns,
        *constraints,
        # Of this database alone: for each other one SQLAlchemy would import what it knows of it.
        **{n: value for n, value in TABLE_OPTIONS.items() if n.startswith(f"{dialect.name}_")},
    )
    if dialect.name == "postgresql":  # SQLite numbers keys only without, and MariaDB warns of it
        table.primary_key.name = named("pk", model.table, model.key_names)
    declared = {names[0] for names in (*model.indexes, *model.uniques, model.key_names)}
    wanted = [
        *model.indexes,
        *((spec.name,) for spec in model.references if spec.name not in declared),
    ]
    for index in wanted:
        # The key stands at the end of every order, so it stands at the end of every index.
        names = (*index, *(name for name in model.key_names if name not in index))
        sa.Index(named("ix", model.table, index), *(table.c[name] for name in names))
    for check in checks(model, table, dialect):
        table.append_constraint(check)
    for _ in uniques(model, table, dialect):
        pass  # an index is its table's from its making on
    return table


def _foreign_key(model: Model[object], spec: FieldSpec) -> list[sa.ForeignKey]:
    if spec.reference is None:
        return []
    target: Model[object] = model_of(spec.reference.target())
    return [
        sa.ForeignKey(
            f"{target.table}.{target.key.name}",
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
