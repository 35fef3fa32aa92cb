"""Exit codes: stable, so that scripts can tell failures apart."""

from __future__ import annotations

import enum

from holdfast.errors import (
    AmbiguousNameError,
    ConfigurationError,
    ConflictError,
    HoldfastError,
    IntegrityError,
    InvalidQueryError,
    InvalidValueError,
    MediaError,
    MigrationError,
    ModelFileError,
    NotFoundError,
    ObjectKeyError,
    SchemaMismatchError,
    ServiceError,
    StorageError,
    StoredValueError,
    UnavailableError,
    UnsupportedError,
)


class Exit(enum.IntEnum):
    """What a command ended with."""

    DONE = 0
    BUG = 1
    USAGE = 2  # the command line or the settings
    NOT_FOUND = 3  # no such video, or a short name that fits several
    BAD_INPUT = 4  # a file that can't be used
    CONFLICT = 5
    UNAVAILABLE = 6  # the disk or a service refuses, or what it stored is damaged
    JOB_FAILED = 7  # the command went well, a job that it ran did not
    SCHEMA_DIFFERS = 8  # the database's tables are not those of the entities
    INTERRUPTED = 130  # by Ctrl-C, as shells say it
    TERMINATED = 143  # by SIGTERM, likewise


_CODES: tuple[tuple[type[HoldfastError], Exit], ...] = (
    (SchemaMismatchError, Exit.SCHEMA_DIFFERS),
    (ConfigurationError, Exit.USAGE),
    (UnsupportedError, Exit.USAGE),
    (MigrationError, Exit.CONFLICT),
    (NotFoundError, Exit.NOT_FOUND),
    (AmbiguousNameError, Exit.NOT_FOUND),
    (MediaError, Exit.BAD_INPUT),
    (ModelFileError, Exit.BAD_INPUT),
    (InvalidValueError, Exit.BAD_INPUT),
    (InvalidQueryError, Exit.USAGE),
    (ConflictError, Exit.CONFLICT),
    (IntegrityError, Exit.UNAVAILABLE),
    (StoredValueError, Exit.UNAVAILABLE),
    (StorageError, Exit.UNAVAILABLE),
    (UnavailableError, Exit.UNAVAILABLE),
    (ServiceError, Exit.UNAVAILABLE),
    (ObjectKeyError, Exit.BAD_INPUT),
)
"""The first that fits counts; an error that is not here is a bug of the program."""


def exit_of(error: HoldfastError) -> Exit:
    """Return the exit code for *error*."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.BUG)
