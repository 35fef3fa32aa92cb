"""What the files of migrations say of sequences: see `script_operations`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from holdfast.errors import UnsupportedError
from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.sql.migrations.column_types import DIALECTS
from holdfast.records.drivers.sql.migrations.script_operations import current_dialect, told
from holdfast.records.drivers.sql.statements.sequence_ddl import (
    NUMBERS,
    creation,
    next_number,
    quoted,
)
from holdfast.records.entities.server_default import SequenceDefault

__all__ = ["alter_sequence", "create_sequence", "drop_sequence", "server_sequence"]

_BEGUN = {
    "postgresql": "SELECT is_called FROM {}",
    "mariadb": "SELECT next_not_cached_value <> start_value FROM {}",
}


def create_sequence(name: str, *, start: int, increment: int) -> None:
    """Make the sequence *name*, of which the first number is *start*.

    Raises UnsupportedError on a database that has no sequences.
    """
    source = SequenceDefault(name, start, increment)
    _run(creation(name, source, DIALECTS[_dialect()], if_missing=False))


def alter_sequence(name: str, *, start: int, increment: int) -> None:
    """Let the sequence *name* go on by *increment* from where it is.

    It begins at *start* where it has given no number yet; the SQL text leaves that to the reader.
    """
    dialect = DIALECTS[_dialect()]
    place = quoted(name, dialect)
    restart = ""
    if not told(f"where {name} has given no number yet, add RESTART WITH {start}"):
        begun = op.get_bind().scalar(sa.text(_BEGUN[dialect.name].format(place)))
        restart = "" if begun else f" RESTART WITH {start}"
    _run(f"ALTER SEQUENCE {place} START WITH {start} INCREMENT BY {increment}{restart}")


def drop_sequence(name: str) -> None:
    """Drop the sequence *name*, which no column has its default of any more."""
    _run(f"DROP SEQUENCE {quoted(name, DIALECTS[_dialect()])}")


def server_sequence(name: str) -> sa.TextClause:
    """Return the default by which a row that is added gets the next number of a sequence."""
    text = f"({next_number(name, DIALECTS[_dialect()])})"
    return sa.text(text.replace(":", "\\:"))


def _dialect() -> str:
    """Return the name of the dialect at hand. Raises UnsupportedError where it has no sequences."""
    name = current_dialect()
    if name not in NUMBERS:
        raise UnsupportedError(StoreCapability.SEQUENCES, name)
    return name


def _run(text: str) -> None:
    op.execute(sa.text(text.replace(":", "\\:")))
