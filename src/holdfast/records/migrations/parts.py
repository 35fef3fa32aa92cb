"""What the files of migrations are written with: see `drivers/sql/migrations/parts.py`."""

from holdfast.records.drivers.sql.migrations.parts import (
    add_limit,
    drop_limit,
    fill_nulls,
    initially,
    kept,
    key,
    limit,
    refuse_changed,
    refuse_nulls,
    refuse_rows,
)

__all__ = [
    "add_limit",
    "drop_limit",
    "fill_nulls",
    "initially",
    "kept",
    "key",
    "limit",
    "refuse_changed",
    "refuse_nulls",
    "refuse_rows",
]
