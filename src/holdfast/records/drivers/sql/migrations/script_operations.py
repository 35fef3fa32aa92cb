"""What the files of migrations are written with, beside Alembic's `op` and SQLAlchemy's `sa`.

Each name here gives what the database at hand needs, so that one file runs on all of them. Files
that were written once must run forever: what is here is added to, and never changes its meaning.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import sqlalchemy as sa
from alembic import op
from alembic.util.sqla_compat import _NONE_NAME

from holdfast.errors import ConfigurationError, ConflictError
from holdfast.records.drivers.sql.dialects import mariadb_json, mysql_json
from holdfast.records.drivers.sql.migrations.column_types import DIALECTS, ColumnType
from holdfast.records.drivers.sql.migrations.lossless_casts import survives
from holdfast.records.drivers.sql.migrations.structure import expression_default
from holdfast.records.drivers.sql.migrations.table_places import table_at
from holdfast.records.drivers.sql.mysql_family_server import database_creation
from holdfast.records.drivers.sql.postgresql import schema_creation
from holdfast.records.values.value import Kind
from holdfast.time_text import read_datetime, read_time

if TYPE_CHECKING:
    from alembic.operations import BatchOperations

__all__ = [
    "KEY_NAMES",
    "add_key",
    "add_limit",
    "column_type",
    "create_schema",
    "drop_key",
    "drop_limit",
    "fill_nulls",
    "initial_value",
    "limit",
    "primary_key",
    "refuse_changed",
    "refuse_nulls",
    "refuse_rows",
    "server_now",
    "server_text",
]


_COLLATIONS = {"mariadb": mariadb_json.COLLATION, "mysql": mysql_json.COLLATION}
_LARGE = (Kind.STR, Kind.BYTES, Kind.JSON)
"""Kinds whose columns take no value as a default on MySQL, but an expression."""


def column_type(
    kind: str, *, digits: tuple[int, int] | None = None, indexed: int | None = None
) -> ColumnType:
    """Return the column type for values of *kind*, such as "uuid", "datetime" or "str".

    *digits* is (precision, scale) of a "decimal"; *indexed* the most that a "str" or "bytes" in a
    key, a reference or an index may be long. Raises ConfigurationError for an unknown kind.
    """
    made = ColumnType(kind, digits=digits, indexed=indexed)
    made.spec()
    return made


def primary_key(*columns: str, name: str | None = None) -> sa.PrimaryKeyConstraint:
    """Return the primary key; without its name on SQLite, which else would not number keys."""
    return sa.PrimaryKeyConstraint(*columns, name=None if current_dialect() == "sqlite" else name)


KEY_NAMES = {"pk": "holdfast_key"}
"""What SQLite's primary key, which has no name, is called while its table is copied."""


def drop_key(batch: BatchOperations, name: str) -> None:
    """Drop the primary key *name* of the table of *batch*, which gets another one."""
    here = KEY_NAMES["pk"] if current_dialect() == "sqlite" else name
    batch.drop_constraint(here, type_="primary")


def add_key(batch: BatchOperations, *columns: str, name: str) -> None:
    """Give the table of *batch* the primary key *name*, of *columns*; see `primary_key`."""
    nameless: Any = _NONE_NAME
    batch.create_primary_key(nameless if current_dialect() == "sqlite" else name, [*columns])


def limit(condition: str, *, name: str) -> sa.CheckConstraint:
    """Return what SQLite has to be told to keep a number in bounds; other databases know."""
    return sa.CheckConstraint(condition, name=name).ddl_if(dialect="sqlite")


def add_limit(batch: BatchOperations, condition: str, *, name: str) -> None:
    """Add to the table of *batch* what `limit` is in a new one."""
    if current_dialect() == "sqlite":
        batch.create_check_constraint(name, sa.text(condition))


def drop_limit(batch: BatchOperations, name: str) -> None:
    """Drop what `limit` or `add_limit` made."""
    if current_dialect() == "sqlite":
        batch.drop_constraint(name, type_="check")


def initial_value(
    kind: str, value: object, *, digits: tuple[int, int] | None = None
) -> str | sa.TextClause:
    """Return the default by which rows that are there get *value* in a new column.

    It also lets a program write that does not know the column yet. Values that Python has no
    literal for are given as text: a decimal, a datetime and a UUID as `str` writes them, bytes in
    hexadecimal, a timedelta in microseconds. The datetime "now" is the time of the migration.
    """
    spec = column_type(kind, digits=digits).spec()
    dialect = DIALECTS[current_dialect()]
    encode = dialect.encoder(spec)
    made = row_value(spec.type.kind, value, digits)
    stored = made if encode is None else encode(made)
    if dialect.name == "mysql" and spec.type.kind in _LARGE:
        return expression_default(stored)
    match stored:
        case bytes():
            bare = stored.hex()
            return sa.text(f"'\\x{bare}'" if dialect.name == "postgresql" else f"X'{bare}'")
        case bool():
            return "1" if stored else "0"
        case float():
            return repr(stored)
        case _:
            return str(stored)


def server_now() -> sa.TextClause:
    """Return the default by which a row that is added gets the time, by the database's clock."""
    return sa.text(f"({DIALECTS[current_dialect()].time_now})")


def server_text(
    *,
    postgresql: str | None = None,
    sqlite: str | None = None,
    mariadb: str | None = None,
    mysql: str | None = None,
) -> sa.TextClause | None:
    """Return the default by an expression in the words of the database at hand, if it has any."""
    given = {"postgresql": postgresql, "sqlite": sqlite, "mariadb": mariadb, "mysql": mysql}
    text = given[current_dialect()]
    return None if text is None else sa.text(f"({text})".replace(":", "\\:"))


def create_schema(name: str) -> None:
    """Make the schema *name* if it is missing; on SQLite there is nothing to make."""
    match current_dialect():
        case "sqlite":
            pass
        case "postgresql":
            op.execute(schema_creation(name))
        case dialect:
            op.execute(database_creation(name, _COLLATIONS[dialect]))


def fill_nulls(table: str, column: str, value: str | sa.TextClause) -> None:
    """Give the rows of *table* without a value in *column* the *value* of an `initial_value`."""
    given: Any = value
    if isinstance(value, str):
        # In the text, as a default is: the database makes of it what the column is.
        given = sa.bindparam(None, value, type_=sa.String(), literal_execute=True)
    place: sa.ColumnClause[Any] = sa.column(column)
    rows = _table(table, place)
    op.execute(sa.update(rows).where(place.is_(None)).values({column: given}))


def refuse_rows(table: str, column: str) -> None:
    """Raise ConflictError when *table* has rows, which *column* would need a value for."""
    if told(f"{table} must have no rows: {column} has no default"):
        return
    found = sa.select(sa.exists(sa.select(sa.literal(1)).select_from(_table(table))))
    if op.get_bind().scalar(found):
        raise ConflictError(
            f"{table} has rows, and its new column {column} is required and has no default: in "
            "this migration's file add it as nullable, give the rows a value, then make it required"
        )


def refuse_nulls(table: str, column: str) -> None:
    """Raise ConflictError when rows of *table* have no value in *column*, which is required."""
    if told(f"{table}.{column} must have no nulls: it becomes required and has no default"):
        return
    place: sa.ColumnClause[Any] = sa.column(column)
    nulls = sa.select(sa.func.count()).select_from(_table(table, place)).where(place.is_(None))
    count = op.get_bind().scalar(nulls)
    if count:
        raise ConflictError(
            f"{table} has {count} {'row' if count == 1 else 'rows'} where {column} is null, and it "
            "becomes required and has no default: give them a value, or do so in this migration's "
            f"file, with operations.fill_nulls({table!r}, {column!r}, "
            "operations.initial_value(...)) here"
        )


def refuse_changed(table: str, column: str, was: ColumnType, becomes: ColumnType) -> None:
    """Raise ConflictError when a value of *column* would not stay what it is as *becomes*."""
    change = f"{was.source} to {becomes.source}"
    if told(f"the values of {table}.{column} must survive the change from {change}"):
        return
    place: sa.ColumnClause[Any] = sa.column(column)
    kept_as_is = survives(current_dialect(), place, was, becomes)
    lost = sa.select(place).select_from(_table(table)).where(place.is_not(None), ~kept_as_is)
    for (value,) in op.get_bind().execute(lost.limit(1)):
        raise ConflictError(
            f"{table} has rows whose {column} does not survive the change from {change}, as "
            f"{value!r:.80}: change them first, or fill a new column beside the old one"
        )


def _table(table: str, *columns: sa.ColumnClause[Any]) -> sa.TableClause:
    return table_at(table, current_dialect(), *columns)


def told(wanted: str) -> bool:
    """Say in the SQL text, where rows can't be looked at, what they must be."""
    context = op.get_context()
    if context.as_sql:
        # Names are other people's, and one with a line break would end the comment.
        line = "".join(each if each.isprintable() else repr(each)[1:-1] for each in wanted)
        context.impl.static_output(f"-- {line}")
    return context.as_sql


def current_dialect() -> str:
    """Return the name of the dialect of the database at hand. Raises ConfigurationError."""
    name: str = op.get_context().dialect.name
    if name not in DIALECTS:
        raise ConfigurationError(f"migrations on {name}: known are {', '.join(DIALECTS)}")
    return name


def row_value(kind: Kind, value: object, digits: tuple[int, int] | None) -> object:
    """Return the row value that *value* stands for in a file: see `initial_value`."""
    match kind:
        case Kind.DECIMAL:
            assert digits is not None
            return Decimal(str(value)).quantize(Decimal(1).scaleb(-digits[1]))
        case Kind.DATETIME:
            return datetime.now(UTC) if value == "now" else read_datetime(str(value))
        case Kind.DATE:
            return date.fromisoformat(str(value))
        case Kind.TIME:
            return read_time(str(value))
        case Kind.TIMEDELTA:
            return timedelta(microseconds=cast("int", value))
        case Kind.UUID:
            return UUID(str(value))
        case Kind.BYTES:
            return bytes.fromhex(str(value))
        case Kind.BOOL | Kind.INT | Kind.FLOAT | Kind.STR | Kind.JSON:
            return value
