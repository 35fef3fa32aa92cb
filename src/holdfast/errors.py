"""Every error that Holdfast raises on purpose.

HoldfastError
├── ConfigurationError          a URL, option or environment that can't be used
│   ├── InvalidSettingsError    settings that can't be used, all of them at once
│   └── SchemaMismatchError     the database's tables are not those of the entities
├── MigrationError              a migration failed; where the database stands now
├── UnsupportedError            this backend can't do it, and says so
│   └── UntranslatableError     an expression of SQLAlchemy's with no meaning common to all
├── InvalidValueError           a value that no backend may store
│   └── CheckError              a row that a check of its entity refuses
├── StoredValueError            a value in the store that the class can't hold
├── InvalidQueryError           a query that can't mean anything
│   └── InvalidCursorError      a cursor that is damaged, or of another query
├── NotLoadedError              a relation or a store-set value that was never fetched
├── NotFoundError               nothing there
│   └── ObjectNotFoundError     no such object in the bucket
├── MultipleFoundError          one was asked for, more are there
│   └── AmbiguousNameError      a short name fits several
├── ConflictError               the stored state says no
│   ├── DuplicateError          a unique value is taken
│   ├── ForeignKeyError         a reference points nowhere, or is still pointed at
│   ├── StaleVersionError       somebody else wrote first
│   ├── PreconditionFailedError the condition that came with the write does not hold
│   ├── ObjectLockedError       a lock keeps the object from being removed
│   ├── GateError               a version's metrics are not what its promotion asks for
│   ├── InUseError              what is to be deleted is in use
│   ├── IllegalTransitionError  no step leads from the status that it has to the one asked for
│   └── LeaseLostError          the lease that came with the write is not the current one
├── TransactionError            a transaction used outside its life
├── UnavailableError            the service can't be reached or used now; trying again may help
│   ├── LockTimeoutError        a lock was not granted in time
│   └── SerializationError      the transaction clashed with another one and was undone
├── AccessError                 a caller may not do what was asked
│   ├── UnauthenticatedError    nobody knows who asks
│   ├── ForbiddenError          the role is not enough
│   └── RateLimitedError        too much was asked in too short a time
├── JobError                    why the work of a job came to no result
│   ├── PermanentError          trying again would not help
│   │   └── StepsChangedError   the handler comes to other steps than it has recorded
│   ├── EventTimeoutError       the event that a job waited for has not come in time
│   ├── RetryLaterError         try again, at the time that the handler says
│   ├── NoResultError           a job's result is asked for, and it has not succeeded
│   ├── JobKeyMissingError      a job is sealed by a key that is not here
│   ├── JobCancelledError       the job was asked to stop
│   ├── JobTimeoutError         the work took longer than its timeout
│   └── ProcessEndedError       the child process that did the work ended before it
├── IntegrityError              bytes are not the bytes that were stored
│   └── SignatureError          no key that is trusted has signed the version of a model
├── StorageError                the storage refuses: full, read-only, not permitted
├── ServiceError                a service refuses a request, with its own code
├── ObjectKeyError              a key that no bucket may hold
├── ModelFileError              a file that can't be registered, read or run as a model
└── MediaError                  a file that can't be used as the video it should be

Errors carry fields, so that a program never has to read their text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

_SHOWN = 200  # characters of a value, or of what its type says of it


class HoldfastError(Exception):
    """Root of every error that Holdfast raises on purpose."""


class ConfigurationError(HoldfastError):
    """A URL, option, environment or declaration that can't be used."""


@dataclass(frozen=True, slots=True)
class SettingFault:
    """One setting that can't be used: how it was given, where, and what was expected.

    *value* is as it may be shown: a URL without who logs in, a secret not at all.
    """

    name: str
    value: str
    expected: str
    place: str

    def __str__(self) -> str:
        return f"{self.name}={self.value!r} in {self.place}: expected {self.expected}"


class InvalidSettingsError(ConfigurationError):
    """Settings that can't be used: *faults* tells every one of them."""

    def __init__(self, faults: tuple[SettingFault, ...]) -> None:
        count = "a setting" if len(faults) == 1 else f"{len(faults)} settings"
        super().__init__(f"{count} can't be used: {'; '.join(map(str, faults))}")
        self.faults = faults


class SchemaMismatchError(ConfigurationError):
    """The tables at *place* are not those of the entities; nothing was read or written.

    *differences* says of each what is missing or different, in words for people.
    """

    def __init__(self, place: str, differences: tuple[str, ...]) -> None:
        super().__init__(
            f"the schema of {place} does not fit the entities: {'; '.join(differences)}. "
            "`holdfast migrate upgrade` brings it up to date, by the file that `holdfast migrate "
            "create` writes; store.create_schema() makes what a database in development lacks"
        )
        self.place = place
        self.differences = differences


class MigrationError(HoldfastError):
    """The migration *revision* failed, and the database stands at *reached* (None: at none).

    When *partial*, the database can't undo changes of structure, and the part of the migration
    that was done before the failure is still there.
    """

    def __init__(
        self, revision: str, reason: str, *, reached: str | None, partial: bool = False
    ) -> None:
        where = "no revision" if reached is None else f"revision {reached}"
        left = (
            "this database can't undo changes of structure, so what the migration did before the "
            "failure is still there: undo it, or do the rest, by hand"
            if partial
            else "everything was undone"
        )
        super().__init__(
            f"the migration {revision} failed: {reason}. The database stands at {where}; {left}"
        )
        self.revision = revision
        self.reached = reached
        self.partial = partial


class UnsupportedError(HoldfastError):
    """The backend lacks *capability*, and refuses rather than approximates."""

    def __init__(self, capability: str, backend: str) -> None:
        super().__init__(f"the {backend} backend does not support {capability}")
        self.capability = capability
        self.backend = backend


class UntranslatableError(UnsupportedError):
    """*construct*, of SQLAlchemy's, means nothing that holds on every backend; *way* is what does.

    *entity* is the class whose repository was asked.
    """

    def __init__(self, entity: str, construct: str, way: str) -> None:
        HoldfastError.__init__(
            self, f"{entity}: {construct} can't be said the same to every backend; {way}"
        )
        self.capability = construct
        self.backend = "every"
        self.entity = entity
        self.construct = construct
        self.way = way


class InvalidValueError(HoldfastError):
    """A value that no backend may store; nothing was written."""

    def __init__(self, entity: str, field: str, reason: str) -> None:
        super().__init__(f"{entity}.{field}: {reason}" if field else f"{entity}: {reason}")
        self.entity = entity
        self.field = field
        self.reason = reason


class CheckError(InvalidValueError):
    """A row that the check *constraint* of its entity refuses; nothing was written.

    *fields* are those that the check reads. Of one that only the database knows, as those of mapped
    classes, *constraint* is the name that it has there, or what it says, and *fields* are empty.
    """

    def __init__(self, entity: str, constraint: str, fields: tuple[str, ...]) -> None:
        super().__init__(entity, ", ".join(fields), f"the check {constraint!r} does not hold")
        self.constraint = constraint
        self.fields = fields


class StoredValueError(HoldfastError):
    """The store has a value that the class can't hold: of *field*, in the row under *key*.

    Others wrote it: a newer program with one enum member more, a migration, a hand. *value* is how
    it is written, cut where it is long; *key* is None where a query's answer has none, as an
    aggregate's. *written*: it was met in the answer to a write, which had been made by itself and
    stays; in a transaction the write is a part of that.
    """

    def __init__(
        self,
        entity: str,
        field: str,
        value: object,
        reason: str,
        *,
        key: object = None,
        written: bool = False,
    ) -> None:
        shown = value if isinstance(value, str) else repr(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
        row = "" if key is None else f" in the row under {_key_text(key)}"
        after = "; the write was made, and this was met in its answer" if written else ""
        super().__init__(
            f"{entity}.{field}: the store has {shown}{row}, which the class can't hold: "
            f"{reason[:_SHOWN]}{after}"
        )
        self.entity = entity
        self.field = field
        self.value = shown
        self.reason = reason
        self.key = key
        self.written = written

    def after_write(self) -> StoredValueError:
        """Return the same of a write's answer."""
        return type(self)(
            self.entity, self.field, self.value, self.reason, key=self.key, written=True
        )


class InvalidQueryError(HoldfastError):
    """A query that can't mean anything: a foreign field, a foreign cursor, a negative limit."""


class InvalidCursorError(InvalidQueryError):
    """A page's cursor that was changed or cut, or that belongs to another query."""


class NotLoadedError(HoldfastError, AttributeError):
    """A relation that was not loaded, or a store-set value read before the entity was stored."""

    def __init__(self, entity: str, field: str, hint: str) -> None:
        super().__init__(f"{entity}.{field} is not loaded: {hint}")
        self.entity = entity
        self.field = field


class NotFoundError(HoldfastError):
    """Nothing there under *key*, or nothing that fits the predicate when *key* is None.

    *hint* is what to do about it, in words for people.
    """

    def __init__(self, entity: str, key: object = None, *, hint: str = "") -> None:
        what = "none fits the predicate" if key is None else f"no such key: {_key_text(key)}"
        super().__init__(f"{entity}: {what}{hint and f'; {hint}'}")
        self.entity = entity
        self.key = key


class ObjectNotFoundError(NotFoundError):
    """No object under *key*, or no such *version* of it."""

    def __init__(self, key: str, version: str | None = None) -> None:
        what = f"no such key: {key!r}"
        if version is not None:
            what = (
                f"no such version of {key!r}: {version!r}; it never was, is gone, or is a delete "
                "marker"
            )
        HoldfastError.__init__(self, f"object: {what}")
        self.entity = "object"
        self.key = key
        self.version = version


class MultipleFoundError(HoldfastError):
    """One was asked for and more than one fits."""

    def __init__(self, entity: str) -> None:
        super().__init__(f"{entity}: more than one fits the predicate, expected exactly one")
        self.entity = entity


class AmbiguousNameError(MultipleFoundError):
    """*name* stands for several; *keys* are theirs."""

    def __init__(self, entity: str, name: str, keys: tuple[str, ...]) -> None:
        HoldfastError.__init__(
            self, f"{entity}: {name!r} fits {len(keys)}; say which by its id: {', '.join(keys)}"
        )
        self.entity = entity
        self.name = name
        self.keys = keys


class ConflictError(HoldfastError):
    """The stored state refuses the write; nothing was written."""


class DuplicateError(ConflictError):
    """Another row holds the same value in the unique *fields*.

    *index* is the position in the batch that was refused, None outside a batch. *constraint* is the
    name of the `unique(...)` that refused it; where none was given, the fields' names.
    """

    def __init__(
        self,
        entity: str,
        fields: tuple[str, ...],
        index: int | None = None,
        *,
        constraint: str | None = None,
    ) -> None:
        where = "" if index is None else f" (at index {index} of the batch)"
        value = f"the value of {', '.join(fields)}" if fields else "a unique value"
        super().__init__(f"{entity}: {value} is already taken{where}")
        self.entity = entity
        self.fields = fields
        self.index = index
        self.constraint = "_".join(fields) if constraint is None else constraint


class ForeignKeyError(ConflictError):
    """A reference in *fields* points at no row, or a row is deleted that is still pointed at."""

    def __init__(self, entity: str, fields: tuple[str, ...], index: int | None = None) -> None:
        where = "" if index is None else f" (at index {index} of the batch)"
        reference = f"the reference {', '.join(fields)}" if fields else "a reference"
        super().__init__(f"{entity}: {reference} would point at no row{where}")
        self.entity = entity
        self.fields = fields
        self.index = index


class StaleVersionError(ConflictError):
    """The row has moved on from version *expected*; *actual* is where it stands."""

    def __init__(
        self, entity: str, key: object, *, expected: int, actual: int | None = None
    ) -> None:
        super().__init__(
            f"{entity} {_key_text(key)}: expected version {expected}, the stored one is {actual}; "
            "read it again and repeat the change"
        )
        self.entity = entity
        self.key = key
        self.expected = expected
        self.actual = actual


class PreconditionFailedError(ConflictError):
    """What the write was conditional on does not hold for *key*."""

    def __init__(self, entity: str, key: object) -> None:
        super().__init__(
            f"{entity} {_key_text(key)}: the condition that came with the write does not hold"
        )
        self.entity = entity
        self.key = key


class ObjectLockedError(ConflictError):
    """A retention or a legal hold keeps *version* of *key* from what was asked."""

    def __init__(self, key: str, version: str | None) -> None:
        super().__init__(f"object {key!r}, version {version or 'newest'}: a lock holds it")
        self.key = key
        self.version = version


class GateError(ConflictError):
    """The *version* does not pass a gate of its promotion; *refusals* say why, one each."""

    def __init__(self, version: str, refusals: tuple[str, ...]) -> None:
        super().__init__(f"{version} is not promoted: {'; '.join(refusals)}")
        self.version = version
        self.refusals = refusals


class InUseError(ConflictError):
    """*subject* is not deleted while *users*, named for people, work with it."""

    def __init__(self, subject: str, users: tuple[str, ...]) -> None:
        super().__init__(f"{subject} is in use by {', '.join(users) or 'another'}")
        self.subject = subject
        self.users = users


class IllegalTransitionError(ConflictError):
    """No step leads from the status *current* to *wanted*; nothing was written."""

    def __init__(self, entity: str, key: object, *, current: str, wanted: str) -> None:
        super().__init__(f"{entity} {_key_text(key)}: no step leads from {current} to {wanted}")
        self.entity = entity
        self.key = key
        self.current = current
        self.wanted = wanted


class LeaseLostError(ConflictError):
    """The lease that came with the write ran out or is not the current one; nothing was written."""

    def __init__(self, entity: str, key: object) -> None:
        super().__init__(f"{entity} {_key_text(key)}: the lease is lost; stop working on it")
        self.entity = entity
        self.key = key


class TransactionError(HoldfastError):
    """A transaction used outside its life, or nested where it can't be."""


class UnavailableError(HoldfastError):
    """The service can't be reached or used now; trying again later may help."""


class LockTimeoutError(UnavailableError):
    """A lock was not granted in time; nothing was written, trying again may help."""


class SerializationError(UnavailableError):
    """The transaction clashed with another one and was undone; do all of it again."""


class AccessError(HoldfastError):
    """A caller may not do what was asked; nothing was done."""


class UnauthenticatedError(AccessError):
    """The caller did not show who asks, or what was shown is not good."""


class ForbiddenError(AccessError):
    """*caller* has one *role*, and what was asked needs another, *required*."""

    def __init__(self, caller: str, role: str, required: str) -> None:
        super().__init__(f"{caller!r} is {role}; this needs {required}")
        self.caller = caller
        self.role = role
        self.required = required


class RateLimitedError(AccessError):
    """Too much was asked in too short a time; after *wait* seconds it may be asked again."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"too many requests; try again in {max(wait, 0.1):.1f} s")
        self.wait = wait


class JobError(HoldfastError):
    """Why the work of a job came to no result: what its handler raised, or its worker did."""


class PermanentError(JobError):
    """Raised by a handler: the job fails now, for trying again would not help."""


class StepsChangedError(PermanentError):
    """A handler comes to other steps than the job has recorded: its code was changed meanwhile.

    After the step *after* (empty: at the beginning) it has come to *called*, where *recorded* is
    written down; None where *called* itself is written down, after another one.
    """

    def __init__(self, key: object, *, after: str, recorded: str | None, called: str) -> None:
        place = f"after the step {after!r}" if after else "at its beginning"
        if recorded is None:
            before = f"which it had come to from elsewhere: {called!r} is recorded already"
        else:
            before = f"where it had come to {recorded!r} before"
        super().__init__(
            f"job {key}: {place} the handler comes to {called!r}, {before}. Its code has changed "
            "since; let jobs that have begun end by the old code, or give changed tasks new names"
        )
        self.key = key
        self.after = after
        self.recorded = recorded
        self.called = called


class EventTimeoutError(JobError):
    """The job *key* has waited for the event of *wait* as long as it would, and none has come."""

    def __init__(self, key: object, wait: str) -> None:
        super().__init__(f"job {key}: {wait}: it has not come in time")
        self.key = key
        self.wait = wait


class RetryLaterError(JobError):
    """Raised by a handler: the job is tried again *after* that long, if attempts are left.

    A negative time is none, and one beyond a hundred years is that. Raises TypeError for what is no
    timedelta, such as seconds.
    """

    def __init__(self, after: timedelta, reason: str = "") -> None:
        if not isinstance(after, timedelta):
            raise TypeError(f"after={after!r}: expected a timedelta such as timedelta(seconds=5)")
        super().__init__(reason or f"to be tried again in {after}")
        self.after = after
        self.reason = reason

    def __reduce__(self) -> tuple[type[RetryLaterError], tuple[timedelta, str]]:
        return type(self), (self.after, self.reason)  # it comes from handlers in other processes


class NoResultError(JobError):
    """The job *job_id* has no result, for it is *status*; *error* is that of its last attempt."""

    def __init__(self, job_id: object, status: str, error: str | None = None) -> None:
        why = "" if error is None else f": {error}"
        super().__init__(f"the job {job_id} has no result, it is {status}{why}")
        self.job_id = job_id
        self.status = status
        self.error = error


class JobKeyMissingError(JobError):
    """The job *job_id* is sealed by the key *key*, which this process does not have."""

    def __init__(self, job_id: object, key: str) -> None:
        super().__init__(f"the job {job_id} is sealed by the key {key!r}, which is not here")
        self.job_id = job_id
        self.key = key


class JobCancelledError(JobError):
    """The job was asked to stop, and its handler stops."""


class JobTimeoutError(JobError):
    """The work took longer than its *timeout*, in seconds, and was stopped or given up."""

    def __init__(self, timeout: float) -> None:
        super().__init__(f"no end within {timeout:g} s")
        self.timeout = timeout


class ProcessEndedError(JobError):
    """The child process that did the work ended before it.

    *signal* is the name of what ended it, None when it ended by itself with *status*.
    """

    def __init__(self, signal: str | None, status: int) -> None:
        how = f"by itself, with status {status}" if signal is None else f"by {signal}"
        super().__init__(f"the process that did the work was ended {how}")
        self.signal = signal
        self.status = status


class IntegrityError(HoldfastError):
    """Bytes are not the bytes that were stored or promised."""


class SignatureError(IntegrityError):
    """The version *version* of a model is not signed as the policy asks; *reason* says how."""

    def __init__(self, version: str, reason: str) -> None:
        super().__init__(f"{version} is not used: {reason}")
        self.version = version
        self.reason = reason


class StorageError(HoldfastError):
    """The storage refuses: a disk is full, read-only or not permitted, a cache has no room."""


class ServiceError(HoldfastError):
    """A service refuses what was asked, and asking again would not help.

    *operation* and *code* are the service's own names, *status* is that of HTTP.
    """

    def __init__(self, operation: str, status: int, code: str, message: str) -> None:
        super().__init__(f"{operation}: the service answers {status} {code}: {message}")
        self.operation = operation
        self.status = status
        self.code = code


class ObjectKeyError(HoldfastError):
    """A key that no bucket may hold."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"object key {key!r}: {reason}")
        self.key = key
        self.reason = reason


class MediaError(HoldfastError):
    """A file that can't be used as the video it should be."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path!r}: {reason}")
        self.path = path
        self.reason = reason


class ModelFileError(HoldfastError):
    """A file that can't be registered, read or run as the model it should be."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path!r}: {reason}")
        self.path = path
        self.reason = reason


def _key_text(key: object) -> str:
    """Return *key* as people know it: a UUID by its digits alone, others as Python has them."""
    if isinstance(key, tuple):
        return f"({', '.join(map(_key_text, key))})"
    return str(key) if isinstance(key, UUID) else repr(key)
