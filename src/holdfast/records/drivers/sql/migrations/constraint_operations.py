"""What the files of migrations say of uniques and checks: see `script_operations`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import op

from holdfast.blocking import run
from holdfast.errors import ConflictError, UnsupportedError
from holdfast.records.drivers.sql.dialects.mariadb import column_name, index_by_columns
from holdfast.records.drivers.sql.migrations.column_types import DIALECTS, ColumnType
from holdfast.records.drivers.sql.migrations.script_operations import (
    current_dialect,
    row_value,
    told,
)
from holdfast.records.drivers.sql.migrations.table_places import index_at
from holdfast.records.drivers.sql.server_folding import folding_dialect
from holdfast.records.drivers.sql.statements.constraint_ddl import (
    compared,
    condition,
    holds,
    text_of,
    unique_index,
)
from holdfast.records.drivers.sql.statements.schema_inspection import place_of
from holdfast.records.entities.constraint import Check, Unique, columns_read
from holdfast.records.entities.field import Field
from holdfast.records.values.value import Bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.operations import BatchOperations

    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.entities.constraint import Constraint
    from holdfast.records.expressions.predicates import Predicate

__all__ = [
    "add_check",
    "add_unique",
    "check",
    "drop_check",
    "drop_unique",
    "field",
    "refuse_alike",
    "refuse_broken",
    "value",
]

_HIDDEN = 8  # columns that a unique may have on MariaDB, more than anybody folds


def field(
    name: str,
    kind: str,
    *,
    nullable: bool = False,
    digits: tuple[int, int] | None = None,
    longest: int | None = None,
) -> Field[Any]:
    """Return the field *name*, whose values are of *kind*, for the predicate of a constraint.

    *digits* is (precision, scale) of a "decimal", *longest* the most characters of a "str" or bytes
    of a "bytes".
    """
    spec = ColumnType(kind, digits=digits).spec(name)
    precision, scale = digits or (None, None)
    bounds = Bounds(longest, precision, scale)
    made: Field[Any] = Field(spec.declaration)
    made.owner = ""
    made.spec = replace(spec, type=replace(spec.type, nullable=nullable, bounds=bounds))
    return made


def value(kind: str, written: object, *, digits: tuple[int, int] | None = None) -> Any:
    """Return the value of *kind* that *written* stands for: see `initial_value`."""
    return row_value(ColumnType(kind, digits=digits).spec().type.kind, written, digits)


def check(name: str, predicate: Predicate) -> sa.CheckConstraint:
    """Return the check *name* of a new table: each row fits *predicate*."""
    return sa.CheckConstraint(_condition(predicate), name=name)


def add_check(batch: BatchOperations, name: str, predicate: Predicate) -> None:
    """Add to the table of *batch* what `check` is in a new one."""
    batch.create_check_constraint(name, _condition(predicate))


def drop_check(batch: BatchOperations, name: str) -> None:
    """Drop what `check` or `add_check` made."""
    batch.drop_constraint(name, type_="check")


def add_unique(
    table: str,
    name: str,
    fields: Sequence[Field[Any]],
    *,
    where: Predicate | None = None,
    ignore_case: bool = False,
) -> None:
    """Let no two rows of *table* that fit *where* have the same values in *fields*.

    Raises UnsupportedError in the SQL text of one that ignores case on a server, as that depends
    on the server.
    """
    made = _unique(fields, where, ignore_case=ignore_case)
    dialect = _dialect(made)
    name = index_at(name, table, dialect.name)
    index = unique_index(_table(table, made), made, dialect, name=name)
    if dialect.name == "mariadb":
        _run(index_by_columns(index, dialect.compiler))
    else:
        op.execute(sa.schema.CreateIndex(index))


def drop_unique(table: str, name: str) -> None:
    """Drop what `add_unique` made."""
    dialect, preparer = current_dialect(), op.get_context().dialect.identifier_preparer
    quote = preparer.quote
    bare, schema = place_of(table, dialect)
    place = preparer.format_table(sa.Table(bare, sa.MetaData(), schema=schema))
    match dialect:
        case "mariadb":
            columns = (quote(column_name(name, number)) for number in range(_HIDDEN))
            dropped = ", ".join(f"DROP COLUMN IF EXISTS {each}" for each in columns)
            text = f"ALTER TABLE {place} DROP INDEX {quote(name)}, {dropped}"
        case "mysql":
            text = f"ALTER TABLE {place} DROP INDEX {quote(name)}"
        case "sqlite":
            text = f"DROP INDEX {quote(index_at(name, table, dialect))}"
        case _:
            within = "" if schema is None else f"{preparer.quote_schema(schema)}."
            text = f"DROP INDEX {within}{quote(name)}"
    _run(text)


def refuse_alike(
    table: str,
    fields: Sequence[Field[Any]],
    *,
    where: Predicate | None = None,
    ignore_case: bool = False,
) -> None:
    """Raise ConflictError when rows of *table* are the same in what `add_unique` makes unique."""
    made = _unique(fields, where, ignore_case=ignore_case)
    names = ", ".join(made.fields)
    if told(f"no two rows of {table} may have the same {names}, which become unique"):
        return
    dialect, place = _dialect(made), _table(table, made)
    parts = [
        compared(dialect, made, name, place.c[name]).label(f"part{number}")
        for number, name in enumerate(made.fields)
    ]
    rows = sa.select(*parts).where(*(place.c[name].is_not(None) for name in made.fields))
    if where is not None:
        rows = rows.where(condition(dialect, place, where))
    each = rows.subquery("holdfast_rows")
    found = sa.select(*each.c, sa.func.count()).group_by(*each.c).having(sa.func.count() > 1)
    for *values, count in op.get_bind().execute(found.limit(1)):
        shown = ", ".join(f"{each!r:.80}" for each in values)
        raise ConflictError(
            f"{table} has {count} rows with the same {names} ({shown}), which become unique: "
            "change or delete all but one of them first"
        )


def refuse_broken(table: str, predicate: Predicate) -> None:
    """Raise ConflictError when rows of *table* do not fit the *predicate* of a check."""
    made = Check("", predicate)
    names = ", ".join(made.fields)
    if told(f"all rows of {table} must fit the check of {names}"):
        return
    dialect, place = DIALECTS[current_dialect()], _table(table, made)
    broken = sa.not_(holds(dialect, place, made))
    columns = [place.c[name] for name in made.fields]
    found = sa.select(*columns).where(broken).limit(1)
    for values in op.get_bind().execute(found):
        shown = ", ".join(f"{each!r:.80}" for each in values)
        raise ConflictError(
            f"{table} has rows whose {names} ({shown}) a new check refuses: change them first"
        )


def _run(text: str) -> None:
    """Run *text*, in which a percent sign is doubled."""
    statement: Any = sa.DDL
    op.execute(statement(text))


def _unique(fields: Sequence[Field[Any]], where: Predicate | None, *, ignore_case: bool) -> Unique:
    return Unique(tuple(each.column for each in fields), "", where, ignore_case)


def _condition(predicate: Predicate) -> sa.TextClause:
    made = Check("", predicate)
    dialect = DIALECTS[current_dialect()]
    compiler = op.get_context().dialect
    text = text_of(holds(dialect, _table("", made), made), compiler)
    if compiler.identifier_preparer._double_percents:  # noqa: SLF001 - and `text` does it again
        text = text.replace("%%", "%")
    return sa.text(text.replace(":", "\\:"))


def _table(name: str, constraint: Constraint) -> sa.Table:
    """Return the table *name* with the columns that *constraint* reads."""
    columns: dict[str, sa.Column[Any]] = {}
    for each in columns_read(constraint):
        bounds = each.type.bounds
        digits = None if bounds.precision is None else (bounds.precision, bounds.scale or 0)
        kind = ColumnType(each.type.kind.value, digits=digits, indexed=bounds.max_length)
        columns[each.name] = sa.Column(each.name, kind)
    bare, schema = place_of(name, current_dialect())
    return sa.Table(bare, sa.MetaData(), *columns.values(), schema=schema)


def _dialect(unique: Unique) -> Dialect:
    """Return the dialect that keeps *unique*; its folding is the server's at hand."""
    name = current_dialect()
    if not unique.ignore_case or name == "sqlite":
        return DIALECTS[name]
    if op.get_context().as_sql:
        raise UnsupportedError(
            "the SQL text of a unique that ignores case, which depends on the server", name
        )
    return run(folding_dialect(name, op.get_bind()))
