"""What the files of migrations are written with: see `drivers/sql/migrations/parts.py`."""

from holdfast.records.drivers.sql.migrations.parts import (
    add_limit,
    drop_limit,
    initially,
    kept,
    key,
    limit,
    refuse_rows,
)

__all__ = ["add_limit", "drop_limit", "initially", "kept", "key", "limit", "refuse_rows"]
