"""The default of a column that a field leaves to the database, as it stands in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from holdfast.records.drivers.sql.statements.constraint_ddl import literal_of
from holdfast.records.drivers.sql.statements.sequence_ddl import NUMBERS, next_number
from holdfast.records.entities.server_default import (
    ConstantDefault,
    SequenceDefault,
    TextDefault,
    TimeDefault,
)
from holdfast.records.entities.table_names import in_schema

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.values.field_spec import FieldSpec


def default_clause(spec: FieldSpec, dialect: Dialect, schema: str) -> sa.DefaultClause | None:
    """Return the default of the column of *spec*; None where it has none on this database.

    *schema* is that of its table; '' is the session's own.
    """
    if spec.server_default is None:
        return None
    text = default_text(spec, dialect, schema)
    return None if text is None else sa.DefaultClause(sa.text(text.replace(":", "\\:")))


def default_text(spec: FieldSpec, dialect: Dialect, schema: str) -> str | None:
    """Return the expression that a field's server default is in the SQL of *dialect*."""
    assert spec.server_default is not None
    match spec.server_default.source:
        case ConstantDefault(value):
            encode = dialect.encoder(spec)
            row_value = spec.to_row("", value)
            stored = row_value if encode is None else encode(row_value)
            return f"({literal_of(dialect, stored).name})"
        case TimeDefault():
            return f"({dialect.time_now})"
        case TextDefault(texts):
            return f"({texts[dialect.name]})" if dialect.name in texts else None
        case SequenceDefault(name):
            if dialect.name not in NUMBERS:  # no store on it has such a field
                return None
            return f"({next_number(in_schema(schema, name), dialect)})"
