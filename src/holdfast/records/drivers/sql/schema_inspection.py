"""What structure a database has, read by one query, and how it differs from the tables wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.records.drivers.sql.mapped_tables.mapped_columns import MAPPED
from holdfast.records.schema_diff import Difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy as sa

    from holdfast.records.drivers.sql.dialect import Dialect

VIEW = "holdfast view"
"""What the `info` of a view's table has."""
VERSION_TABLE = "holdfast_version"
"""Where migrations keep the revision that the database stands at."""


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """A column as the database has it; *filled* when it gets a value where none is given."""

    type: str
    nullable: bool
    filled: bool
    collation: str


FoundTables = dict[str, dict[str, FoundColumn]]
"""Columns by name, by the name of their table."""

_OF_MYSQL_FAMILY = (
    "SELECT table_name, column_name, column_type, is_nullable = 'YES', "
    "column_default IS NOT NULL OR extra <> '', coalesce(collation_name, '') "
    "FROM information_schema.columns "
    "WHERE table_schema = DATABASE() AND table_name IN ({names})"
)
_QUERIES = {
    "sqlite": (
        'SELECT m.name, x.name, x.type, NOT x."notnull", '
        "x.dflt_value IS NOT NULL OR x.hidden > 0, '' "
        "FROM sqlite_master m JOIN pragma_table_xinfo(m.name) x "
        "WHERE m.type IN ('table', 'view') AND m.name IN ({names})"
    ),
    "postgresql": (
        "SELECT t.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), "
        "NOT a.attnotnull, a.atthasdef OR a.attidentity <> '', coalesce(c.collname::text, '') "
        "FROM pg_catalog.pg_class t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid "
        "LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation "
        "WHERE t.relname IN ({names}) AND t.relkind IN ('r', 'p', 'v', 'm') "
        "AND pg_catalog.pg_table_is_visible(t.oid) AND a.attnum > 0 AND NOT a.attisdropped"
    ),
    "mariadb": _OF_MYSQL_FAMILY,
    "mysql": _OF_MYSQL_FAMILY,
}


def inspection_query(dialect: str, tables: Iterable[str]) -> str:
    """Return the query whose rows `found_tables` reads, about *tables* and the version table."""
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in (*tables, VERSION_TABLE))
    return _QUERIES[dialect].format(names=names)


def found_tables(rows: Iterable[Sequence[object]]) -> FoundTables:
    """Return what the rows of `inspection_query` say."""
    found: FoundTables = {}
    for table, column, kind, nullable, filled, collation in rows:
        columns = found.setdefault(str(table), {})
        columns[str(column)] = FoundColumn(str(kind), bool(nullable), bool(filled), str(collation))
    return found


def schema_differences(
    tables: Mapping[str, sa.Table], dialect: Dialect, found: FoundTables
) -> list[Difference]:
    """Return what could make a read of the tables or a write to them go wrong.

    Columns of others are accepted where a row can be written without them, and so are columns
    with room for more than is asked for: an older program works on the newer structure.
    """
    differences: list[Difference] = []
    managed = VERSION_TABLE in found
    for name, table in tables.items():
        columns = found.get(name)
        if columns is None:
            if managed:
                differences.append(Difference("missing table", name))
            continue
        differences += _of_table(table, columns, dialect)
    return differences


def _of_table(
    table: sa.Table, found: dict[str, FoundColumn], dialect: Dialect
) -> Iterable[Difference]:
    name = table.name
    # Of a class that SQLAlchemy mapped, or a view of somebody's: its types are its own.
    theirs = MAPPED in table.info or VIEW in table.info
    for column in table.columns:
        expected = "" if theirs else expected_type(column, dialect)
        there = found.get(column.name)
        if there is None:
            yield Difference("missing column", name, column.name, expected)
            continue
        if theirs:
            continue
        if not has_room(dialect.name, there, expected):
            yield Difference("type", name, column.name, expected, described(there, expected))
        if not column.primary_key and there.nullable != bool(column.nullable):
            wanted, has = _NULLS[bool(column.nullable)], _NULLS[there.nullable]
            yield Difference("nullability", name, column.name, wanted, has)
    if VIEW in table.info:
        return
    names = {column.name for column in table.columns}
    for extra, there in found.items():
        if extra not in names and not there.nullable and not there.filled:
            yield Difference("extra column", name, extra, found="required, without a default")


def expected_type(column: sa.Column[object], dialect: Dialect) -> str:
    """Return the type that the database should say the column has, with its collation."""
    kind = column.type.dialect_impl(dialect.compiler)
    collation = getattr(kind, "collation", None)
    text = canonical(dialect.name, column.type.compile(dialect.compiler))
    return f"{text} collate {collation}" if collation else text


def described(found: FoundColumn, expected: str) -> str:
    """Return the type of *found*, with its collation where *expected* has one."""
    has_collation = " collate " in expected and found.collation
    return f"{found.type.lower()} collate {found.collation}" if has_collation else found.type


def same_type(dialect: str, found: FoundColumn, expected: str) -> bool:
    """Tell whether *found* is the type *expected*, as `expected_type` spells it."""
    kind, _, collation = expected.partition(" collate ")
    return canonical(dialect, found.type) == kind and collation in ("", found.collation)


def has_room(dialect: str, found: FoundColumn, expected: str) -> bool:
    """Tell whether *found* holds all that a column of the type *expected* does, the same way."""
    kind, _, collation = expected.partition(" collate ")
    if collation not in ("", found.collation):
        return False
    return _holds(canonical(dialect, found.type), kind)


_NULLS = ("required", "nullable")
_SIZED = re.compile(r"([a-z ]+)\((\d+)(?:,(\d+))?\)")
_GROWING = ("varchar", "varbinary", "character varying")


def _holds(found: str, expected: str) -> bool:
    if found == expected:
        return True
    wanted = _SIZED.fullmatch(expected)
    if wanted is None:
        return False
    name, length, scale = wanted.groups()
    if name in _GROWING and found in _UNBOUNDED.get(name, ()):
        return True
    there = _SIZED.fullmatch(found)
    if there is None or there[1] != name or there[3] != scale:
        return False
    return (name in _GROWING or scale is not None) and int(there[2]) >= int(length)


_UNBOUNDED = {
    "character varying": ("text", "character varying"),
    "varchar": ("text", "mediumtext", "longtext"),
    "varbinary": ("blob", "mediumblob", "longblob"),
}
_TAIL = re.compile(r"\s+(?:collate|character set)\s+\S+")
_INTEGER_WIDTH = re.compile(r"\b(bigint|int|smallint|mediumint)\(\d+\)")
_MYSQL_FAMILY_ALIASES = {
    "integer": "int",
    "numeric": "decimal",
    "bool": "tinyint(1)",
    "boolean": "tinyint(1)",
    "double precision": "double",
    "character varying": "varchar",
}
_ALIASES: dict[str, dict[str, str]] = {
    "sqlite": {},
    "postgresql": {
        "varchar": "character varying",
        "char": "character",
        "int": "integer",
        "decimal": "numeric",
        "float": "double precision",
        "timestamp": "timestamp without time zone",
        "time": "time without time zone",
    },
    "mariadb": {**_MYSQL_FAMILY_ALIASES, "json": "longtext"},
    "mysql": _MYSQL_FAMILY_ALIASES,
}
_MYSQL_FAMILY_BARE = {"decimal": "decimal(10,0)", "varchar": "varchar(1)", "binary": "binary(1)"}
_BARE = {"mariadb": _MYSQL_FAMILY_BARE, "mysql": _MYSQL_FAMILY_BARE}


def canonical(dialect: str, text: str) -> str:
    """Return one spelling for all that mean the same type in *dialect*; without the collation."""
    plain = _TAIL.sub("", text.lower().replace('"', "").strip())
    plain = re.sub(r"\s*,\s*", ",", re.sub(r"\s*\(\s*", "(", plain))
    name, bracket, rest = plain.partition("(")
    aliases = _ALIASES[dialect]
    plain = f"{aliases.get(name, name)}{bracket}{rest}"
    if dialect in _BARE:
        plain = _INTEGER_WIDTH.sub(r"\1", plain)
    return _BARE.get(dialect, {}).get(plain, plain)
