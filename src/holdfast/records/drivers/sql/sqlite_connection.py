"""SQLite connections: how they are opened, what is set on them, and the functions SQL can call."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import orjson

from holdfast.errors import LockTimeoutError
from holdfast.records.drivers.sql.mapped_tables.sums import added, microseconds
from holdfast.records.drivers.sql.sqlite_executor import classified
from holdfast.records.evaluate import follow, in_json_order, matches
from holdfast.records.json_values import json_equal
from holdfast.records.query import Operator, Part
from holdfast.records.text import fold_case

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_OPENING_PAUSE = 0.01  # seconds between attempts to switch a busy new file to WAL


@dataclass(frozen=True, slots=True)
class SQLiteOptions:
    """What tunes SQLite. *lock_timeout* is in seconds.

    *synchronous* "full" survives a loss of power; "normal" is faster and may then lose the last
    commits, though never the file's consistency. A killed process loses nothing either way.
    """

    lock_timeout: float = 60.0
    synchronous: Literal["full", "normal"] = "full"


def connect(path: Path, options: SQLiteOptions, *, read_only: bool) -> sqlite3.Connection:
    """Open the file at *path*, created when missing. Raises StorageError, LockTimeoutError."""
    try:
        connection = sqlite3.connect(
            path,
            timeout=options.lock_timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
    except sqlite3.Error as error:
        raise classified(error) from error
    try:
        _set_up(connection, options, read_only=read_only)
    except sqlite3.Error as error:
        connection.close()
        raise classified(error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, options: SQLiteOptions, *, read_only: bool) -> None:
    deadline = time.monotonic() + options.lock_timeout
    while True:
        # Two processes that open a new file at once: SQLite refuses one of them at once.
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            if time.monotonic() > deadline:
                raise LockTimeoutError("the database is held by another process") from error
            time.sleep(_OPENING_PAUSE)
    connection.execute(f"PRAGMA synchronous = {options.synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    for name, arity, function in _FUNCTIONS:
        connection.create_function(name, arity, function, deterministic=True)


def _follow(text: str | None, steps: str) -> str | None:
    if text is None:
        return None
    found = follow(orjson.loads(text), tuple(orjson.loads(steps)))
    return None if found is None else orjson.dumps(found).decode()


def _compare(text: str | None, how: str, wanted: str) -> bool:
    if text is None:
        return False
    found, value = orjson.loads(text), orjson.loads(wanted)
    if how == Operator.EQ.value:
        return json_equal(found, value)
    return in_json_order(Operator(how), found, value)


def _match(text: str | None, part: str, wanted: str, ignore_case: int) -> bool:
    return text is not None and matches(
        orjson.loads(text), Part(part), wanted, ignore_case=bool(ignore_case)
    )


def _fold(text: str | None) -> str | None:
    return None if text is None else fold_case(text)


def _add(
    kind: str, stored: str | float | None, amount: str | float, precision: int, scale: int
) -> str | float | None:
    return None if stored is None else added(kind, stored, amount, precision, scale)


def _span(text: str | None) -> int | None:
    return None if text is None else microseconds(text)


_FUNCTIONS: tuple[tuple[str, int, Callable[..., str | float | None]], ...] = (
    ("holdfast_follow", 2, _follow),
    ("holdfast_compare", 3, _compare),
    ("holdfast_match", 4, _match),
    ("holdfast_fold", 1, _fold),
    ("holdfast_add", 5, _add),
    ("holdfast_span", 1, _span),
)
