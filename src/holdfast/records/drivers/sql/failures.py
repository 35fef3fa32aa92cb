"""What a server's failure means to whoever asked: one word for its code, one error for the word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.errors import (
    ConfigurationError,
    InvalidValueError,
    LockTimeoutError,
    SchemaMismatchError,
    SerializationError,
    StorageError,
    TransactionError,
    UnavailableError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.errors import HoldfastError
    from holdfast.records.model import Model

_ERRORS: dict[str, Callable[[str], HoldfastError]] = {
    "lost": UnavailableError,
    "unavailable": UnavailableError,
    "clash": SerializationError,
    "lock timeout": LockTimeoutError,
    "stopped": UnavailableError,
    "read only": TransactionError,
    "aborted": TransactionError,
    "storage": StorageError,
    "refused": ConfigurationError,
}
_WORDS = {
    "lost": "the connection was lost; what was under way may have happened or not",
    "unavailable": "the server can't take more work now",
    "clash": "the transaction clashed with another one and was undone",
    "lock timeout": "a lock was not granted in time",
    "stopped": "the statement was stopped, by statement_timeout or by who runs the server",
    "read only": "a write in a read-only transaction",
    "aborted": "an earlier failure ended the transaction; roll it back",
    "storage": "the server's disk is full or failed",
    "refused": "the server refuses this user, password or database",
}


def undone(backend: str) -> SerializationError:
    """Return the error for a transaction that clashed with another one."""
    return SerializationError(f"{backend}: {_WORDS['clash']}")


def error_of(found: str, backend: str, model: Model[Any] | None) -> HoldfastError | None:
    """Return the error for a failure that means *found*, None where no word says what it means."""
    if found in ("no table", "no column") and model is not None:
        missing = (
            f"the table {model.table} is missing"
            if found == "no table"
            else f"the table {model.table} lacks a column of {model.name}"
        )
        return SchemaMismatchError(f"the {backend} database", (missing,))
    if found == "overflow" and model is not None:
        return InvalidValueError(model.name, "sum", "it is too large for its type")
    if found == "too deep":
        return UnsupportedError("a cascade of that many levels", backend)
    if found == "too large":
        return UnsupportedError("a statement of this size", backend)
    made = _ERRORS.get(found)
    return None if made is None else made(f"{backend}: {_WORDS[found]}")
