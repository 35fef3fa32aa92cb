"""What each of Holdfast's errors is over HTTP: status, kind of problem, and what may be told."""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast import errors
from holdfast.fastapi.problems.problem import ProblemError, type_uri


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """How *error* is answered. *members* are the fields of it that a client is told.

    *told*: its text is the problem's detail; else it is for the log alone, as it may name hosts,
    paths or values of others.
    """

    error: type[errors.HoldfastError]
    status: int
    kind: str
    title: str
    members: tuple[str, ...] = ()
    told: bool = False


_INTERNAL = "internal"
_FAILED = "The service failed"

ERROR_TABLE: tuple[ErrorRow, ...] = (
    ErrorRow(errors.HoldfastError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.ConfigurationError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.InvalidSettingsError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.SchemaMismatchError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.MigrationError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.UnsupportedError, 501, "unsupported", "Not supported here", ("capability",)),
    ErrorRow(errors.UntranslatableError, 501, "unsupported", "Not supported here", ("capability",)),
    ErrorRow(
        errors.InvalidValueError,
        422,
        "invalid-value",
        "A value can't be stored",
        ("entity", "field", "reason"),
        told=True,
    ),
    ErrorRow(
        errors.CheckError,
        422,
        "check",
        "A check refuses the values",
        ("entity", "constraint", "fields"),
        told=True,
    ),
    ErrorRow(errors.StoredValueError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.InvalidQueryError, 400, "invalid-query", "Invalid query"),
    ErrorRow(
        errors.InvalidCursorError, 400, "invalid-cursor", "The cursor is not one of this list"
    ),
    ErrorRow(errors.NotLoadedError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.NotFoundError, 404, "not-found", "Not found", ("entity", "key"), told=True),
    ErrorRow(errors.ObjectNotFoundError, 404, "object-not-found", "Object not found"),
    ErrorRow(
        errors.MultipleFoundError,
        409,
        "multiple-found",
        "More than one fits",
        ("entity",),
        told=True,
    ),
    ErrorRow(
        errors.AmbiguousNameError,
        409,
        "ambiguous-name",
        "The name fits several",
        ("entity", "name", "keys"),
        told=True,
    ),
    ErrorRow(errors.ConflictError, 409, "conflict", "The stored state refuses this"),
    ErrorRow(
        errors.DuplicateError,
        409,
        "duplicate",
        "The value is taken",
        ("entity", "fields", "index"),
        told=True,
    ),
    ErrorRow(
        errors.ForeignKeyError,
        409,
        "foreign-key",
        "A reference would point nowhere",
        ("entity", "fields", "index"),
        told=True,
    ),
    ErrorRow(
        errors.StaleVersionError,
        412,
        "stale-version",
        "Somebody else wrote first",
        ("entity", "key", "expected", "actual"),
        told=True,
    ),
    ErrorRow(
        errors.PreconditionFailedError,
        412,
        "precondition-failed",
        "The condition does not hold",
        ("entity", "key"),
        told=True,
    ),
    ErrorRow(errors.ObjectLockedError, 423, "object-locked", "A lock holds the object"),
    ErrorRow(
        errors.GateError,
        409,
        "gate",
        "A gate refuses the version",
        ("version", "refusals"),
        told=True,
    ),
    ErrorRow(errors.InUseError, 409, "in-use", "It is in use", ("subject", "users"), told=True),
    ErrorRow(
        errors.IllegalTransitionError,
        409,
        "illegal-transition",
        "No step leads there",
        ("entity", "key", "current", "wanted"),
        told=True,
    ),
    ErrorRow(errors.LeaseLostError, 409, "lease-lost", "The lease is lost", ("entity", "key")),
    ErrorRow(errors.TransactionError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.UnavailableError, 503, "unavailable", "A service is unavailable; try again"),
    ErrorRow(errors.LockTimeoutError, 503, "lock-timeout", "A lock was not granted; try again"),
    ErrorRow(errors.SerializationError, 503, "serialization", "Requests clashed; try again"),
    ErrorRow(errors.AccessError, 403, "access", "Not allowed"),
    ErrorRow(
        errors.UnauthenticatedError, 401, "unauthenticated", "Authentication required", told=True
    ),
    ErrorRow(
        errors.ForbiddenError,
        403,
        "forbidden",
        "The role is not enough",
        ("role", "required"),
        told=True,
    ),
    ErrorRow(
        errors.RateLimitedError, 429, "rate-limited", "Too many requests", ("wait",), told=True
    ),
    ErrorRow(errors.JobError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.PermanentError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.StepsChangedError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.EventTimeoutError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.JobCancelledError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.RetryLaterError, 500, _INTERNAL, _FAILED),
    ErrorRow(
        errors.NoResultError, 409, "no-result", "The job has no result", ("status",), told=True
    ),
    ErrorRow(errors.JobKeyMissingError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.JobTimeoutError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.ProcessEndedError, 500, _INTERNAL, _FAILED),
    ErrorRow(errors.IntegrityError, 500, "integrity", "Stored bytes are damaged"),
    ErrorRow(
        errors.SignatureError,
        409,
        "signature",
        "The model is not signed as it must be",
        ("version", "reason"),
        told=True,
    ),
    ErrorRow(errors.StorageError, 507, "storage", "The storage takes no more"),
    ErrorRow(errors.ServiceError, 502, "service", "A service behind this one refuses"),
    ErrorRow(errors.ObjectKeyError, 422, "object-key", "No bucket may hold this key", ("reason",)),
    ErrorRow(
        errors.ModelFileError, 422, "model-file", "The file can't be used as a model", ("reason",)
    ),
    ErrorRow(errors.MediaError, 422, "media", "The file can't be used as a video", ("reason",)),
)
"""All errors, each with its row; an error of one's own is answered as the nearest above it."""

_ROWS = {row.error: row for row in ERROR_TABLE}


def row_of(error: errors.HoldfastError) -> ErrorRow:
    """Return how *error* is answered."""
    return next(_ROWS[kind] for kind in type(error).__mro__ if kind in _ROWS)


def problem_of(error: errors.HoldfastError) -> ProblemError:
    """Return *error* as the problem that a client is told."""
    row = row_of(error)
    return ProblemError(
        row.status,
        str(error) if row.told else None,
        kind=row.kind,
        title=row.title,
        members={
            name: value for name in row.members if (value := getattr(error, name, None)) is not None
        },
        headers=_headers(error, row.status),
    )


def _headers(error: errors.HoldfastError, status: int) -> dict[str, str] | None:
    match error:
        case errors.UnauthenticatedError():
            return {"WWW-Authenticate": "Bearer"}
        case errors.RateLimitedError():
            return {"Retry-After": str(math.ceil(error.wait))}
        case _:
            return {"Retry-After": "1"} if status == 503 else None


def error_table() -> str:
    """Return the table as Markdown, for the documentation."""
    lines = ["| error | status | type | members |", "|---|---|---|---|"]
    for row in ERROR_TABLE:
        members = ", ".join(f"`{name}`" for name in row.members)
        lines.append(
            f"| `{row.error.__name__}` | {row.status} | `{type_uri(row.kind)}` | {members} |"
        )
    return "\n".join(lines) + "\n"
