"""What went wrong in a database: a kind for each of its codes, and one error for each kind.

A connection makes a `Failure` of its driver's exception, by the table of its database. An executor
looks at the kind, and asks for the error that the caller gets with `error_of`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

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
    from collections.abc import Callable, Mapping

    from holdfast.errors import HoldfastError
    from holdfast.records.drivers.sql.connections.server_address import ServerAddress
    from holdfast.records.entities.model import Model

E = TypeVar("E")


class FailureKind(StrEnum):
    """What a failure means to the one who ran the statement, whichever database says it."""

    DUPLICATE = "duplicate"
    FOREIGN_KEY = "foreign key"
    TRIGGER = "trigger"
    """SQLite: a trigger refused it, which is how it keeps a reference that says RESTRICT."""
    OTHER_ROW = "other row"
    """MariaDB and MySQL: an upsert met another row than the one that it names."""
    CHECK = "check"
    """A row does not fit a check of its table; SQLite keeps the size of numbers by such, too."""
    OVERFLOW = "overflow"
    UNHELD_VALUE = "unheld value"
    """MariaDB and MySQL: a column can't hold a value; *detail* is its name."""
    NOT_POSSIBLE = "not possible"
    """PostgreSQL: it has no way to do this, as where a row of a partition is asked for its xmax."""
    STALE_PLAN = "stale plan"
    """PostgreSQL: a column was changed since the statement was prepared on this connection."""
    INDEX_EXISTS = "index exists"
    NO_TABLE = "no table"
    NO_COLUMN = "no column"
    STATEMENT = "statement"
    """SQLite: the statement can't be run, for any reason from a missing table to its depth."""
    SERIALIZATION = "serialization"
    """The transaction clashed with another one, and the server undid it."""
    LOCK_TIMEOUT = "lock timeout"
    STOPPED = "stopped"
    READ_ONLY = "read only"
    ABORTED = "aborted"
    TOO_DEEP = "too deep"
    NESTED = "nested"
    TOO_LARGE = "too large"
    STORAGE = "storage"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    LOST = "lost"
    """The connection is gone; what was under way may have happened or not."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Failure:
    """A classified failure; *constraint* is the name of the one that was violated, if it is told.

    *detail* is what the error says instead of the kind's own text.
    """

    kind: FailureKind
    constraint: str | None = None
    detail: str = ""


LOST = Failure(FailureKind.LOST)

# --- the error of each kind --------------------------------------------------------------------

_ERRORS: dict[FailureKind, tuple[Callable[[str], HoldfastError], str]] = {
    FailureKind.LOST: (
        UnavailableError,
        "the connection was lost; what was under way may have happened or not",
    ),
    FailureKind.UNAVAILABLE: (UnavailableError, "the server can't take more work now"),
    FailureKind.SERIALIZATION: (
        SerializationError,
        "the transaction clashed with another one and was undone",
    ),
    FailureKind.STALE_PLAN: (
        SerializationError,
        "a column of the table was changed meanwhile; the transaction was undone",
    ),
    FailureKind.LOCK_TIMEOUT: (LockTimeoutError, "a lock was not granted in time"),
    FailureKind.STOPPED: (
        UnavailableError,
        "the statement was stopped, by statement_timeout or by who runs the server",
    ),
    FailureKind.READ_ONLY: (TransactionError, "a write in a read-only transaction"),
    FailureKind.ABORTED: (
        TransactionError,
        "an earlier failure ended the transaction; roll it back",
    ),
    FailureKind.STORAGE: (StorageError, "the server's disk is full or failed"),
    FailureKind.REFUSED: (
        ConfigurationError,
        "the server refuses this user, password or database",
    ),
}
UNHELD = (
    "its column in the database can't hold the value: it is too long, or one of the few UUIDs that "
    "MariaDB's type can't tell apart"
)
_UNSUPPORTED = {
    FailureKind.TOO_DEEP: "a cascade of that many levels",
    FailureKind.NESTED: "conditions that lie so deep in one another",
    FailureKind.TOO_LARGE: "a statement of this size",
}


def error_of(failure: Failure, backend: str, model: Model[E] | None = None) -> HoldfastError | None:
    """Return the error for *failure* of a statement about *model*.

    None where a kind has no error of its own: a conflict, whose fields the executor finds out, and
    what Holdfast knows nothing of, which stays the driver's exception.
    """
    kind = failure.kind
    if model is not None:
        match kind:
            case FailureKind.NO_TABLE:
                missing = f"the table {model.table} is missing"
                return SchemaMismatchError(f"the {backend} database", (missing,))
            case FailureKind.NO_COLUMN:
                missing = f"the table {model.table} lacks a column of {model.name}"
                return SchemaMismatchError(f"the {backend} database", (missing,))
            case FailureKind.OVERFLOW:
                return InvalidValueError(model.name, "sum", "it is too large for its type")
            case FailureKind.UNHELD_VALUE:
                return InvalidValueError(model.name, failure.detail, UNHELD)
            case _:
                pass
    if kind in _UNSUPPORTED:
        return UnsupportedError(_UNSUPPORTED[kind], backend)
    if kind not in _ERRORS:
        return None
    make, text = _ERRORS[kind]
    return make(failure.detail or f"{backend}: {text}")


def check_stored(model: Model[E], asked: int, stored: int) -> None:
    """Raise StorageError where a database answered with fewer rows than it was *asked* to store.

    Triggers leave rows out without an error, by NULL on PostgreSQL and by IGNORE on SQLite. They
    also put rows elsewhere so; what needs no answer is taken as stored.
    """
    if stored < asked:
        raise StorageError(
            f"{model.name}: the database answered for {stored} of {asked} rows, as where a trigger "
            "leaves some out; outside a transaction the others may be stored"
        )


def serialization_error(backend: str) -> SerializationError:
    """Return the error for a transaction that clashed with another one."""
    return SerializationError(f"{backend}: {_ERRORS[FailureKind.SERIALIZATION][1]}")


# --- SQLite: result codes ----------------------------------------------------------------------

_PRIMARY = 0xFF  # the lower byte of an extended result code is its primary one
_CONSTRAINT_DATATYPE = 3091  # SQLITE_CONSTRAINT_DATATYPE, which sqlite3 does not name
_SQLITE_KINDS: Mapping[int, FailureKind] = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: FailureKind.DUPLICATE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: FailureKind.DUPLICATE,
    sqlite3.SQLITE_CONSTRAINT_ROWID: FailureKind.DUPLICATE,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: FailureKind.FOREIGN_KEY,
    sqlite3.SQLITE_CONSTRAINT_TRIGGER: FailureKind.TRIGGER,
    sqlite3.SQLITE_CONSTRAINT_CHECK: FailureKind.CHECK,
    _CONSTRAINT_DATATYPE: FailureKind.OVERFLOW,
    sqlite3.SQLITE_MISMATCH: FailureKind.OVERFLOW,
    sqlite3.SQLITE_TOOBIG: FailureKind.OVERFLOW,  # an OverflowError of a function of Holdfast's
    sqlite3.SQLITE_ERROR: FailureKind.STATEMENT,
    sqlite3.SQLITE_READONLY: FailureKind.READ_ONLY,
}
_SQLITE_NESTED = "parser stack overflow"  # has no code of its own; none from SQLite 3.46 on
_SQLITE_STORAGE: Mapping[int, str] = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the database can't be written",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
    sqlite3.SQLITE_CANTOPEN: "the database file can't be opened",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database",
    sqlite3.SQLITE_PERM: "access to the database file is not permitted",
}
_SQLITE_NO_ROOM = "the disk is full: the file beside the database, -shm, has no room"


def sqlite_failure(error: sqlite3.Error) -> Failure | None:
    """Return what SQLite's *error* was; None for one without a result code, which is a bug's."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code == sqlite3.SQLITE_ERROR and _SQLITE_NESTED in str(error):
        return Failure(FailureKind.NESTED)
    kind = _SQLITE_KINDS.get(code, FailureKind.UNKNOWN)
    if kind is FailureKind.READ_ONLY:
        return Failure(kind, detail="a write in a read-only transaction or on a read-only database")
    primary = code & _PRIMARY
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Failure(
            FailureKind.LOCK_TIMEOUT,
            detail="another process holds the database's lock for too long",
        )
    if kind is FailureKind.CHECK:
        return Failure(kind, str(error).partition(": ")[2] or None)  # its name, or what it says
    if primary in _SQLITE_STORAGE:
        no_room = code == sqlite3.SQLITE_IOERR_SHMSIZE
        reason = _SQLITE_NO_ROOM if no_room else _SQLITE_STORAGE[primary]
        detail = f"{reason} (SQLite's {error.sqlite_errorname})"
        return Failure(FailureKind.STORAGE, detail=detail)
    return Failure(kind)


def sqlite_error(error: sqlite3.Error, model: Model[E] | None = None) -> Exception:
    """Return Holdfast's error for SQLite's; *error* itself where there is none."""
    failure = sqlite_failure(error)
    return error if failure is None else error_of(failure, "sqlite", model) or error


# --- PostgreSQL: SQLSTATE ----------------------------------------------------------------------

_ENDED = ("08", "57P01", "57P02", "57P05")  # beginnings: the connection is gone, or about to be
_REFUSED_SQLSTATES = frozenset({"28000", "28P01", "3D000", "42501"})  # at the start of a session
_SQLSTATES: Mapping[str, FailureKind] = {
    "23505": FailureKind.DUPLICATE,
    "23503": FailureKind.FOREIGN_KEY,
    "23001": FailureKind.FOREIGN_KEY,  # of a reference that says RESTRICT
    "23514": FailureKind.CHECK,
    "22003": FailureKind.OVERFLOW,
    "22008": FailureKind.OVERFLOW,  # of a moment
    "2200H": FailureKind.OVERFLOW,  # of a sequence
    "0A000": FailureKind.NOT_POSSIBLE,
    "42P01": FailureKind.NO_TABLE,
    "42703": FailureKind.NO_COLUMN,
    "40001": FailureKind.SERIALIZATION,
    "40P01": FailureKind.SERIALIZATION,
    "55P03": FailureKind.LOCK_TIMEOUT,
    "57014": FailureKind.STOPPED,
    "25006": FailureKind.READ_ONLY,
    "25P02": FailureKind.ABORTED,
    "54001": FailureKind.TOO_DEEP,
    "53100": FailureKind.STORAGE,
    "58030": FailureKind.STORAGE,
    "28000": FailureKind.REFUSED,
    "28P01": FailureKind.REFUSED,
    "3D000": FailureKind.REFUSED,
    "57P03": FailureKind.UNAVAILABLE,
    "53300": FailureKind.UNAVAILABLE,
    "53200": FailureKind.UNAVAILABLE,
    "53400": FailureKind.UNAVAILABLE,
}


def sqlstate_failure(code: str, constraint: str | None = None, *, closed: bool = False) -> Failure:
    """Return what PostgreSQL's SQLSTATE *code* means on a connection that is *closed* or not."""
    if closed or code.startswith(_ENDED):
        return LOST
    return Failure(_SQLSTATES.get(code, FailureKind.UNKNOWN), constraint)


def is_refused_sqlstate(code: str) -> bool:
    """Return whether a session that ended at its start with *code* was refused, not unavailable."""
    return code in _REFUSED_SQLSTATES


# --- MariaDB and MySQL: errno ------------------------------------------------------------------

_LOST_ERRNOS = frozenset(
    {1053, 1152, 1158, 1159, 1160, 1161, 1927, 2003, 2006, 2013, 2014, 2055, 4031}
)
_UNREACHED_ERRNOS = frozenset({2002, 2003, 2005, 2013, 2026})
_NO_DATABASE = frozenset({"3D000", 1049})  # PostgreSQL's, and MariaDB's and MySQL's
_REFUSED_ERRNOS = frozenset({1044, 1045, 1049, 1130, 1698})
_ERRNOS: Mapping[int, FailureKind] = {
    1061: FailureKind.INDEX_EXISTS,
    1062: FailureKind.DUPLICATE,
    1586: FailureKind.DUPLICATE,
    1292: FailureKind.OVERFLOW,  # MySQL, in a write: a Decimal as an integer
    1916: FailureKind.OVERFLOW,  # MariaDB: the same
    1451: FailureKind.FOREIGN_KEY,
    1452: FailureKind.FOREIGN_KEY,
    3819: FailureKind.CHECK,  # MySQL's
    4025: FailureKind.CHECK,  # MariaDB's
    1264: FailureKind.OVERFLOW,
    1441: FailureKind.OVERFLOW,  # of a moment
    1406: FailureKind.UNHELD_VALUE,  # as it is too long
    1690: FailureKind.OVERFLOW,
    4084: FailureKind.OVERFLOW,  # of a sequence
    1146: FailureKind.NO_TABLE,
    4091: FailureKind.NO_TABLE,  # a sequence, which is one to MariaDB
    1054: FailureKind.NO_COLUMN,
    1213: FailureKind.SERIALIZATION,
    1020: FailureKind.SERIALIZATION,
    1205: FailureKind.LOCK_TIMEOUT,
    3572: FailureKind.LOCK_TIMEOUT,  # of NOWAIT, in a statement of the user's own
    1969: FailureKind.STOPPED,
    1317: FailureKind.STOPPED,
    3024: FailureKind.STOPPED,
    1792: FailureKind.READ_ONLY,
    1290: FailureKind.READ_ONLY,
    1836: FailureKind.READ_ONLY,
    1048: FailureKind.OTHER_ROW,
    1021: FailureKind.STORAGE,
    1114: FailureKind.STORAGE,
    1153: FailureKind.TOO_LARGE,
    1296: FailureKind.TOO_DEEP,  # InnoDB's own word for more than 15 levels of cascades
    3008: FailureKind.TOO_DEEP,  # MySQL's
    6575: FailureKind.TOO_DEEP,  # MySQL's for cascades that would go through more than 30 tables
    1040: FailureKind.UNAVAILABLE,
    1203: FailureKind.UNAVAILABLE,
    1041: FailureKind.UNAVAILABLE,
    1037: FailureKind.UNAVAILABLE,
}


def errno_failure(code: int, *, closed: bool = False) -> Failure:
    """Return what the error number *code* means on a connection that is *closed* or not."""
    if closed or code in _LOST_ERRNOS:
        return LOST
    return Failure(_ERRNOS.get(code, FailureKind.UNKNOWN))


def is_refused_errno(code: object) -> bool:
    """Return whether a session that ended at its start with *code* was refused, not unavailable."""
    return code in _REFUSED_ERRNOS


def is_unreached_errno(code: object) -> bool:
    """Return whether *code*, of a client's own, says that no server was reached."""
    return code in _UNREACHED_ERRNOS


# --- no connection at all ----------------------------------------------------------------------


def connect_error(
    server: str,
    address: ServerAddress,
    *,
    refused: bool = False,
    code: object = "",
    said: object = "",
) -> HoldfastError:
    """Return the error for a connection that was not made to *address*, of a kind of *server*.

    *refused*: the server lets this user, password or database not in. Else *code* is the server's
    own when it answered, and *said* what the network said when it did not.
    """
    where = f"{server} at {address}"
    if refused:
        reason = f" ({code})" if code else ""
        if code in _NO_DATABASE:
            return ConfigurationError(f"{where} has no database {address.database!r}{reason}")
        return ConfigurationError(
            f"{where} refuses user {address.user!r}, the password given, or database "
            f"{address.database!r}{reason}"
        )
    if code:
        return UnavailableError(f"{where} does not take connections now ({code})")
    silent = isinstance(said, TimeoutError) and not str(said)
    reason = "it did not answer within connect_timeout" if silent else str(said)
    return UnavailableError(f"{where} can't be reached: {reason}")
