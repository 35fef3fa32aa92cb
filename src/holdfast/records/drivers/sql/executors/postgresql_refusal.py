"""Which constraint refused a row on PostgreSQL, whose errors name it: Holdfast's error for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import ConflictError, DuplicateError, ForeignKeyError
from holdfast.records.drivers.sql.failure import FailureKind
from holdfast.records.drivers.sql.mapped_tables.constraint_names import constraint_names
from holdfast.records.drivers.sql.statements.constraint_ddl import database_name
from holdfast.records.drivers.sql.statements.tables import named
from holdfast.records.rows.row_rules import check_error, duplicate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.records.drivers.sql.failure import Failure
    from holdfast.records.entities.constraint import Constraint
    from holdfast.records.entities.model import Model

E = TypeVar("E")

CONFLICT_ERRORS: dict[FailureKind, Callable[[str, tuple[str, ...], int | None], ConflictError]] = {
    FailureKind.DUPLICATE: DuplicateError,
    FailureKind.FOREIGN_KEY: ForeignKeyError,
}


DECLARED = """
WITH RECURSIVE above AS (
    SELECT pg_constraint.* FROM pg_constraint WHERE conname = $1::name
    UNION ALL
    SELECT whole.* FROM above JOIN pg_constraint AS whole ON whole.oid = above.conparentid
)
SELECT conname::text, contype::text, relname::text, ARRAY(
    SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS part (number, place)
    JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place
)
FROM above JOIN pg_class ON pg_class.oid = conrelid WHERE conparentid = 0
UNION ALL
SELECT relname::text, '', '', '{}'::text[] FROM pg_class WHERE oid IN (
    SELECT pg_partition_root(oid) FROM pg_class WHERE relname = $1::name AND relispartition
)
"""
"""Asks for what the constraint or index called $1 is part of: name, type, table and columns.

A partition has them under names of its own, and the server tells of those.
"""

_PREFIXES = {"p": "pk", "u": "uq", "f": "fk"}


def declared_names(found: Iterable[Sequence[object]]) -> list[str]:
    """Return what the constraints *found* by `DECLARED` are called, and would be by Holdfast."""
    names: list[str] = []
    for name, kind, table, columns in cast("Iterable[tuple[str, str, str, list[str]]]", found):
        names.append(name)
        if kind in _PREFIXES:
            names.append(named(_PREFIXES[kind], table, columns))
    return names


def refused_by_any(
    models: Iterable[Model[E]], failure: Failure, index: int | None
) -> Exception | None:
    """Return the error for a *failure* that is told by a constraint of one of *models*."""
    each = (refused_by(model, failure, index) for model in models)
    return next((refused for refused in each if refused is not None), None)


def refused_by(model: Model[E], failure: Failure, index: int | None) -> Exception | None:
    """Return the error for a *failure* that is told by one of the model's constraints."""
    name, table = failure.constraint, model.table
    if model.adapter is not None:
        for fields, constraint in constraint_names(model, failure.kind):
            if constraint == name:
                return CONFLICT_ERRORS[failure.kind](model.name, fields, index)
        return None
    match failure.kind:
        case FailureKind.FOREIGN_KEY:
            for spec in model.references:
                if named("fk", table, [spec.name]) == name:
                    return ForeignKeyError(model.name, (spec.name,), index)
        case FailureKind.DUPLICATE:
            if named("pk", table, model.key_names) == name:
                return duplicate(model, model.key_unique, index)
            for unique in model.all_uniques:
                plain = unique.plain
                if name == (named("uq", table, unique.fields) if plain else _called(model, unique)):
                    return duplicate(model, unique, index)
        case FailureKind.CHECK:
            for check in model.checks:
                if _called(model, check) == name:
                    return check_error(model, check)
        case _:
            pass
    return None


def _called(model: Model[E], constraint: Constraint) -> str:
    return database_name(model.table, constraint)
