"""What the files of migrations are written with, beside Alembic's own operations."""

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
    "add_limit",
    "column_type",
    "drop_limit",
    "fill_nulls",
    "initial_value",
    "limit",
    "primary_key",
    "refuse_changed",
    "refuse_nulls",
    "refuse_rows",
]
