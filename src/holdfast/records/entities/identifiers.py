"""Names that every backend can keep: of tables and of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 63  # bytes; PostgreSQL silently cuts what is longer
_RESERVED = "sqlite_"
_UNSAFE = frozenset("%\"'`\\[]")  # what some driver or database takes for more than a letter
_ODD = _UNSAFE | frozenset(".:;,?!*/@#$(){}<>=&|^~+")


def check_mapped(entity: str, name: str, kind: str) -> None:
    """Raise ConfigurationError when *name*, of a *kind* such as "column", can't be kept apart.

    The names of mapped classes are of databases that are there, so little is refused.
    """
    found = sorted({each for each in name if each in _UNSAFE or not each.isprintable()})
    if found:
        raise ConfigurationError(
            f"{entity}: the {kind} {name!r} has {', '.join(map(repr, found))} in its name, which "
            "statements can't hold on every database; use a view that renames it"
        )


def check_table(entity: str, table: str) -> None:
    """Raise ConfigurationError unless *table* is a name that every backend can keep."""
    if not isinstance(table, str) or not table or "\0" in table:
        raise ConfigurationError(f"{entity}: table={table!r}: expected a name")
    if len(table.encode(errors="replace")) > LONGEST:
        raise ConfigurationError(
            f"{entity}: the table's name has {len(table.encode(errors='replace'))} bytes; "
            f"PostgreSQL keeps {LONGEST}"
        )
    found = sorted({each for each in table if each in _ODD or not each.isprintable()})
    if "." in found:
        raise ConfigurationError(
            f"{entity}: table={table!r}: a table is named without a schema, which "
            'schema="..." says beside it'
        )
    if found or table != table.strip():
        odd = ", ".join(map(repr, found)) or "a blank at its end"
        raise ConfigurationError(
            f"{entity}: table={table!r} has {odd}: expected letters, digits, '_', '-' and blanks "
            "between them"
        )
    if table.lower().startswith(_RESERVED):
        raise ConfigurationError(
            f"{entity}: table={table!r}: SQLite keeps {_RESERVED}... to itself"
        )


def check_schema(of: str, schema: str) -> None:
    """Raise ConfigurationError unless *schema* is a name that every backend can keep."""
    long = len(schema.encode(errors="replace")) > LONGEST
    odd = any(each in _ODD or not each.isprintable() for each in schema)
    if not schema or long or odd or schema != schema.strip():
        raise ConfigurationError(
            f"{of}: schema={schema!r}: expected letters, digits, '_', '-' and blanks between "
            f"them, {LONGEST} bytes at the most"
        )
    if schema != schema.lower():
        raise ConfigurationError(
            f"{of}: schema={schema!r}: expected no capital letters, which SQLite does not tell "
            "from small ones"
        )
    for owner, reserved in (("SQLite", _RESERVED), ("PostgreSQL", "pg_")):
        if schema.startswith(reserved):
            raise ConfigurationError(
                f"{of}: schema={schema!r}: {owner} keeps {reserved}... to itself"
            )


def check_fields(entity: str, names: Iterable[str]) -> None:
    """Raise ConfigurationError when databases could not tell two of *names* apart, or keep one."""
    seen: dict[str, str] = {}
    for name in names:
        if len(name.encode()) > LONGEST:
            raise ConfigurationError(
                f"{entity}.{name}: the name has {len(name.encode())} bytes; "
                f"PostgreSQL keeps {LONGEST}"
            )
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise ConfigurationError(
                f"{entity}: databases can't tell the fields {other!r} and {name!r} apart"
            )
