"""The defaults of columns in the words of a migration's file."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import sqlalchemy as sa

from holdfast.records.drivers.sql.migrations.constraint_source import written
from holdfast.records.entities.server_default import (
    ConstantDefault,
    SequenceDefault,
    TextDefault,
    TimeDefault,
)
from holdfast.records.entities.table_names import in_schema, schema_of
from holdfast.records.values.field_spec import MISSING

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.migrations.column_history import WrittenColumn
    from holdfast.records.values.field_spec import FieldSpec


class Initial(sa.DefaultClause):
    """The default of a column, in the words of a migration's file."""

    def __init__(self, source: str) -> None:
        super().__init__("")
        self.source = source


def default_of(said: WrittenColumn) -> Initial | None:
    """Return the default that an earlier file gave a column."""
    return None if said.default is None else Initial(said.default)


def server_default_of(spec: FieldSpec, table: str) -> Initial | None:
    """Return the default that the database is to give the field; None where it gives none.

    A sequence is in the schema of the *table*.
    """
    if spec.server_default is None:
        return None
    match spec.server_default.source:
        case ConstantDefault(value):
            words = _value(spec, value)
        case TimeDefault():
            words = "operations.server_now()"
        case TextDefault(texts):
            given = ", ".join(f"{name}={text!r}" for name, text in sorted(texts.items()))
            words = f"operations.server_text({given})"
        case SequenceDefault(name):
            words = f"operations.server_sequence({in_schema(schema_of(table), name)!r})"
    return Initial(ast.unparse(ast.parse(words, mode="eval")))  # as the history has it


def counts(source: str | None) -> bool:
    """Return whether the words of a default are those of a sequence."""
    return source is not None and source.startswith("operations.server_sequence(")


def initial_of(spec: FieldSpec, table: str) -> str | None:
    """Return the words for what rows of *table* hold in a new field, None if nobody knows."""
    declaration = spec.declaration
    value: object
    match spec.role:
        case "version":
            value = 1
        case "created_at" | "updated_at":
            return "operations.initial_value('datetime', 'now')"
        case _ if (default := server_default_of(spec, table)) is not None:
            return default.source
        case _ if declaration.default_factory in (dict, list):
            value = declaration.default_factory()
        case _ if declaration.default is MISSING or declaration.default is None:
            return None
        case _:
            value = declaration.default
    return _value(spec, value)


def _value(spec: FieldSpec, value: object) -> str:
    kind, bounds = spec.type.kind, spec.type.bounds
    words = [repr(kind.value), repr(written(kind, spec.to_row("", value)))]
    if bounds.precision is not None:
        words.append(f"digits={(bounds.precision, bounds.scale)!r}")
    return f"operations.initial_value({', '.join(words)})"
