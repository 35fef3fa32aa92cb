"""SQLAlchemy's tables from models: the one description of the structure that SQL is made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from holdfast.records.model import model_of
from holdfast.records.value import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.types import TypeEngine

    from holdfast.records.model import FieldSpec, Model

_ON_DELETE = {"restrict": None, "cascade": "CASCADE", "set null": "SET NULL"}


def build_tables(
    models: Sequence[Model[object]], types: Mapping[Kind, TypeEngine[object]]
) -> dict[str, sa.Table]:
    """Return a table for each model, by its name, with the column *types* of the dialect."""
    metadata = sa.MetaData()
    return {model.table: _table(model, metadata, types) for model in models}


def _table(
    model: Model[object], metadata: sa.MetaData, types: Mapping[Kind, TypeEngine[object]]
) -> sa.Table:
    columns = [
        sa.Column(
            spec.name,
            types[spec.type.kind],
            *_foreign_key(spec),
            primary_key=spec is model.key,
            nullable=spec.type.nullable,
            autoincrement=spec.role == "generated",
        )
        for spec in model.fields
    ]
    constraints: list[sa.schema.SchemaItem] = [
        sa.UniqueConstraint(*unique, name=f"uq_{model.table}_{'_'.join(unique)}")
        for unique in model.uniques
    ]
    constraints += [
        sa.CheckConstraint(limit, name=f"ck_{model.table}_{spec.name}")
        for spec in model.fields
        if (limit := _limit(spec)) is not None
    ]
    table = sa.Table(
        model.table, metadata, *columns, *constraints, sqlite_strict=True, sqlite_autoincrement=True
    )
    declared = {index[0] for index in model.indexes} | {unique[0] for unique in model.uniques}
    wanted = [
        *model.indexes,
        *((spec.name,) for spec in model.references if spec.name not in declared),
    ]
    for index in wanted:
        # The key stands at the end of every order, so it stands at the end of every index.
        names = index if model.key.name in index else (*index, model.key.name)
        sa.Index(f"ix_{model.table}_{'_'.join(index)}", *(table.c[name] for name in names))
    return table


def _foreign_key(spec: FieldSpec) -> list[sa.ForeignKey]:
    if spec.reference is None:
        return []
    target: Model[object] = model_of(spec.reference.target())
    return [
        sa.ForeignKey(
            f"{target.table}.{target.key.name}", ondelete=_ON_DELETE[spec.reference.on_delete]
        )
    ]


def _limit(spec: FieldSpec) -> str | None:
    """Return what a number must satisfy even after increments made by the database."""
    if spec.type.kind is Kind.DECIMAL and spec.type.bounds.precision is not None:
        most = 10**spec.type.bounds.precision - 1
        return f"{spec.name} BETWEEN -{most} AND {most}"
    if spec.type.kind is Kind.FLOAT:
        return f"{spec.name} BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308"
    return None
