"""What the files of migrations are written with, beside Alembic's own operations."""

from holdfast.records.drivers.sql.migrations.constraint_operations import (
    add_check,
    add_unique,
    check,
    drop_check,
    drop_unique,
    field,
    refuse_alike,
    refuse_broken,
    value,
)
from holdfast.records.drivers.sql.migrations.script_operations import (
    add_limit,
    column_type,
    drop_limit,
    fill_nulls,
    initial_value,
    limit,
    primary_key,
    refuse_changed,
    refuse_nulls,
    refuse_rows,
)

__all__ = [
    "add_check",
    "add_limit",
    "add_unique",
    "check",
    "column_type",
    "drop_check",
    "drop_limit",
    "drop_unique",
    "field",
    "fill_nulls",
    "initial_value",
    "limit",
    "primary_key",
    "refuse_alike",
    "refuse_broken",
    "refuse_changed",
    "refuse_nulls",
    "refuse_rows",
    "value",
]
