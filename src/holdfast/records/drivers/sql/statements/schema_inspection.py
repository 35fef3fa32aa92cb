"""What structure a database has, read by one query, and how it differs from the tables wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from holdfast.records.drivers.sql.mapped_tables.mapped_columns import MAPPED
from holdfast.records.entities.table_names import in_schema, schema_of, without_schema
from holdfast.records.schema_diff import Difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import sqlalchemy as sa

    from holdfast.records.drivers.sql.statements.dialect import Dialect

VIEW = "holdfast view"
"""What the `info` of a view's table has."""
VERSION_TABLE = "holdfast_version"
"""Where migrations keep the revision that the database stands at."""


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """A column as the database has it; *filled* when it gets a value where none is given.

    *key* when it is of the primary key.
    """

    type: str
    nullable: bool
    filled: bool
    collation: str
    key: bool


FoundTables = dict[str, dict[str, FoundColumn]]
"""Columns by name, by the key of their table, which is its name and its schema's before it."""

_OF_MYSQL_FAMILY = (
    "SELECT {schema}, table_name, column_name, column_type, is_nullable = 'YES', "
    "column_default IS NOT NULL OR extra <> '', coalesce(collation_name, ''), "
    "column_key = 'PRI' "
    "FROM information_schema.columns "
    "WHERE table_schema = {place} AND table_name IN ({names})"
)
_QUERIES = {
    "sqlite": (
        'SELECT {schema}, m.name, x.name, x.type, NOT x."notnull", '
        "x.dflt_value IS NOT NULL OR x.hidden > 0, '', x.pk > 0 "
        "FROM sqlite_master m JOIN pragma_table_xinfo(m.name) x "
        "WHERE m.type IN ('table', 'view') AND m.name IN ({names})"
    ),
    "postgresql": (
        "SELECT {schema}, t.relname::text, a.attname::text, "
        "format_type(a.atttypid, a.atttypmod), "
        "NOT a.attnotnull, a.atthasdef OR a.attidentity <> '', coalesce(c.collname::text, ''), "
        "EXISTS (SELECT 1 FROM pg_catalog.pg_index k WHERE k.indrelid = t.oid "
        "AND k.indisprimary AND a.attnum = ANY(k.indkey)) "
        "FROM pg_catalog.pg_class t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid "
        "LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation "
        "WHERE t.relname IN ({names}) AND t.relkind IN ('r', 'p', 'v', 'm') "
        "AND {place} AND a.attnum > 0 AND NOT a.attisdropped"
    ),
    # Where MySQL says nothing of a default, MariaDB says NULL, in a word.
    "mariadb": _OF_MYSQL_FAMILY.replace(
        "column_default IS NOT NULL", "coalesce(column_default, 'NULL') <> 'NULL'"
    ),
    "mysql": _OF_MYSQL_FAMILY,
}


def inspection_query(dialect: str, tables: Iterable[sa.Table], schema: str = "") -> str:
    """Return the query whose rows `found_tables` reads.

    It is about *tables* and, in *schema*, the table of versions.
    """
    places: dict[str, list[str]] = {}
    for table in tables:
        places.setdefault(table.schema or "", []).append(table.name)
    version, within = place_of(in_schema(schema, VERSION_TABLE), dialect)
    places.setdefault(within or "", []).append(version)
    return " UNION ALL ".join(
        _QUERIES[dialect].format(
            schema=_text(place),
            place=_place(dialect, place),
            names=", ".join(map(_text, names)),
        )
        for place, names in places.items()
    )


def place_of(table: str, dialect: str) -> tuple[str, str | None]:
    """Return the name and the schema that *dialect* has for what is called *table*.

    SQLite has no schemas, so the name has it there: `app.videos`.
    """
    if dialect == "sqlite":
        return table, None
    return without_schema(table), schema_of(table) or None


def _place(dialect: str, schema: str) -> str:
    """Return the condition or the value by which a query finds what is in *schema*."""
    match dialect:
        case "sqlite":
            return ""
        case "postgresql" if schema:
            return (
                "t.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace "  # noqa: S608 - of a model
                f"WHERE nspname = {_text(schema)})"
            )
        case "postgresql":
            return "pg_catalog.pg_table_is_visible(t.oid)"
        case _:
            return _text(schema) if schema else "DATABASE()"


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def found_tables(rows: Iterable[Sequence[object]]) -> FoundTables:
    """Return what the rows of `inspection_query` say."""
    found: FoundTables = {}
    for schema, table, column, kind, nullable, filled, collation, key in rows:
        columns = found.setdefault(in_schema(str(schema), str(table)), {})
        columns[str(column)] = FoundColumn(
            str(kind), bool(nullable), bool(filled), str(collation), bool(key)
        )
    return found


def schema_differences(
    tables: Iterable[sa.Table], dialect: Dialect, found: FoundTables, schema: str = ""
) -> list[Difference]:
    """Return what could make a read of the *tables* of a store or a write to them go wrong.

    *schema* is the store's. Columns of others are accepted where a row can be written without them,
    and so are columns with room for more than is asked for: an older program works on the newer
    structure.
    """
    differences: list[Difference] = []
    managed = in_schema(schema, VERSION_TABLE) in found
    for table in tables:
        columns = found.get(table.key)
        if columns is None:
            if managed:
                differences.append(Difference("missing table", table.key))
            continue
        differences += _of_table(table, columns, dialect)
    return differences


def _of_table(
    table: sa.Table, found: dict[str, FoundColumn], dialect: Dialect
) -> Iterable[Difference]:
    name = table.key
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
        if column.server_default is not None and not there.filled:
            yield Difference("default", name, column.name, "the field's", "none")
    if VIEW in table.info:
        return
    other = other_key(table, found)
    if other is not None:
        yield Difference("key", name, "", ", ".join(key_of(table)), ", ".join(other) or "missing")
    names = {column.name for column in table.columns}
    for extra, there in found.items():
        if extra not in names and not there.nullable and not there.filled:
            yield Difference("extra column", name, extra, found="required, without a default")


def key_of(table: sa.Table) -> list[str]:
    """Return the names of the columns of the primary key that *table* asks for."""
    return [column.name for column in table.primary_key]


def other_key(table: sa.Table, found: dict[str, FoundColumn]) -> list[str] | None:
    """Return the columns, by name, of the key that is *found* where *table* asks for another one.

    None where it is the same, and where the table is a view or a mapped class's.
    """
    there = sorted(name for name, column in found.items() if column.key)
    if MAPPED in table.info or VIEW in table.info or set(there) == set(key_of(table)):
        return None
    return there


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
    """Return whether *found* is the type *expected*, as `expected_type` spells it."""
    kind, _, collation = expected.partition(" collate ")
    return canonical(dialect, found.type) == kind and collation in ("", found.collation)


def has_room(dialect: str, found: FoundColumn, expected: str) -> bool:
    """Return whether *found* holds all that a column of the type *expected* does, the same way."""
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


@lru_cache(maxsize=1_000)  # the same few are asked for at each opening
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
