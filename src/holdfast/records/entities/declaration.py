"""The specifiers of an entity: of its fields, right of `name: Field[T] =`, and of constraints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from holdfast.errors import ConfigurationError
from holdfast.records.entities.constraint import Check, Unique, check_predicate
from holdfast.records.entities.field import Field
from holdfast.records.entities.server_default import ServerDefault
from holdfast.records.values.field_spec import MISSING, Declaration
from holdfast.records.values.value import Bounds, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import AuditPolicy, OnDelete

T = TypeVar("T")
_DIGITS = 2  # precision and scale


@overload
def field(
    *,
    unique: bool = False,
    max_length: int | None = None,
    digits: tuple[int, int] | None = None,
    ge: T | None = None,
    le: T | None = None,
    audit: AuditPolicy = "value",
    unversioned: bool = False,
    search: bool | int = False,
) -> Field[T]: ...
@overload
def field(
    *,
    default: ServerDefault[T],
    unique: bool = False,
    max_length: int | None = None,
    digits: tuple[int, int] | None = None,
    ge: T | None = None,
    le: T | None = None,
    audit: AuditPolicy = "value",
    unversioned: bool = False,
    search: bool | int = False,
) -> Field[T]: ...
@overload
def field(
    *,
    default: T,
    unique: bool = False,
    max_length: int | None = None,
    digits: tuple[int, int] | None = None,
    ge: T | None = None,
    le: T | None = None,
    audit: AuditPolicy = "value",
    unversioned: bool = False,
    search: bool | int = False,
) -> Field[T]: ...
@overload
def field(
    *,
    default_factory: Callable[[], T],
    unique: bool = False,
    max_length: int | None = None,
    digits: tuple[int, int] | None = None,
    ge: T | None = None,
    le: T | None = None,
    audit: AuditPolicy = "value",
    unversioned: bool = False,
    search: bool | int = False,
) -> Field[T]: ...
def field(  # noqa: PLR0913 - the words of a declaration
    *,
    default: object = MISSING,
    default_factory: Callable[[], object] | None = None,
    unique: bool = False,
    max_length: int | None = None,
    digits: tuple[int, int] | None = None,
    ge: object = None,
    le: object = None,
    audit: AuditPolicy = "value",
    unversioned: bool = False,
    search: bool | int = False,
) -> Field[T]:
    """A field of the entity.

    *default* is for values that can't change; others come from *default_factory*. What is left out
    where the default is a `server_default`, `server_now`, `server_text` or `server_sequence` is
    given by the database when the entity is added, as by an upsert's overwriting; until then it
    can't be read. A *unique*
    value is held by one row at the most (nulls by any number). *max_length* bounds text in
    characters and bytes in bytes; text in a key, a unique or an index is bounded to 255 when
    nothing is said. *digits* is what a Decimal declares: (precision, scale), as in (12, 2). *ge* is
    the least number, time or span that it may hold, *le* the greatest; the database keeps to them
    too, so an increment can't lead beyond.
    *audit* says what the audit of an `audited` entity keeps of it: the "value", a "hash" of it,
    "redact" for no more than that it changed, "skip" for nothing. A change of *unversioned* fields
    alone leaves the version and the time of the last write as they are; in return `update` and an
    upsert leave what such a field holds: it is changed by `patch` and `update_where` alone. The
    words of text with *search* are found by `Repository.search`; a number is their weight there.
    """
    if digits is not None and not (isinstance(digits, tuple) and len(digits) == _DIGITS):
        raise ConfigurationError(f"digits={digits!r}: expected precision and scale, as in (12, 2)")
    precision, scale = digits or (None, None)
    left_to_server = default if isinstance(default, ServerDefault) else None
    return Field(
        Declaration(
            default=MISSING if left_to_server else default,
            default_factory=default_factory,
            bounds=Bounds(max_length, precision, scale, ge, le),
            unique=unique,
            audit=audit,
            unversioned=unversioned,
            search=int(search),
            server_default=left_to_server,
        )
    )


@overload
def key(*, max_length: int | None = None) -> Field[T]: ...
@overload
def key(*, default_factory: Callable[[], T], max_length: int | None = None) -> Field[T]: ...
@overload
def key(*, default: ServerDefault[T]) -> Field[T]: ...
def key(
    *,
    default: ServerDefault[object] | None = None,
    default_factory: Callable[[], object] | None = None,
    max_length: int | None = None,
) -> Field[T]:
    """The entity's key: a UUID, str or int that the caller or *default_factory* gives.

    With a `server_sequence` as *default* it is the sequence's next number where the caller gives
    none. Several, in the order of their declaration, are a composite key together.
    """
    return Field(
        Declaration(
            "key",
            default_factory=default_factory,
            bounds=Bounds(max_length=max_length),
            server_default=default,
        )
    )


def generated_key(*, init: Literal[False] = False) -> Field[int]:  # noqa: ARG001 - for type checkers
    """The entity's key: an int that the store numbers when the entity is added."""
    return Field(Declaration("generated"))


@overload
def ref(
    target: type | str,
    *,
    on_delete: OnDelete = "restrict",
    unique: bool = False,
    key: bool = False,
) -> Field[T]: ...
@overload
def ref(
    target: type | str, *, default: T, on_delete: OnDelete = "restrict", unique: bool = False
) -> Field[T]: ...
def ref(
    target: type | str,
    *,
    default: object = MISSING,
    on_delete: OnDelete = "restrict",
    unique: bool = False,
    key: bool = False,
) -> Field[T]:
    """The key of a *target* (or None): a foreign key with an index.

    A write that would leave it pointing at no row raises ForeignKeyError. Deleting the target is
    refused, deletes this too ("cascade"), or makes this null ("set null"). With *key* the field is
    the entity's key, or a part of it as each `key()` beside it is.
    """
    if not isinstance(target, type | str):
        raise ConfigurationError(
            f"ref({target!r}): expected an entity's class, or its name where it comes later"
        )
    return Field(
        Declaration(
            "key" if key else "plain",
            default=default,
            unique=unique,
            target=target,
            on_delete=on_delete,
        )
    )


def version(*, init: Literal[False] = False) -> Field[int]:  # noqa: ARG001 - for type checkers
    """The number of times the row was written; what `update` compares before it sets."""
    return Field(Declaration("version"))


def created_at(*, init: Literal[False] = False) -> Field[datetime]:  # noqa: ARG001 - for type checkers
    """When the row was added, set by the store."""
    return Field(Declaration("created_at"))


def updated_at(*, init: Literal[False] = False) -> Field[datetime]:  # noqa: ARG001 - for type checkers
    """When the row was last written, set by the store."""
    return Field(Declaration("updated_at"))


def deleted_at(*, init: Literal[False] = False) -> Field[datetime | None]:  # noqa: ARG001 - for type checkers
    """When the row was deleted, set by the store; null while it lives.

    An entity that has it is deleted by a mark: its rows go out of sight, and can be restored.
    """
    return Field(Declaration("deleted_at"))


def unique(
    *fields: Field[Any],
    where: Predicate | None = None,
    ignore_case: bool = False,
    name: str = "",
) -> Unique:
    """No two rows that fit *where* have the same values in *fields*; without it no two rows.

    A row with a null in one of them is like no other. With *ignore_case* text is compared as
    `iequals` does. *name* is how errors call it; by default the names of the fields.
    Raises ConfigurationError.
    """
    for each in fields:
        if not isinstance(each, Field):
            raise ConfigurationError(f"unique() takes fields such as cls.title, got {each!r}")
    if not fields:
        raise ConfigurationError("unique() takes at least one field")
    columns = tuple(each.column for each in fields)
    if where is not None:
        check_predicate("unique(where=)", where)
    made = Unique(columns, name or "_".join(each.name for each in columns), where, ignore_case)
    texts = [column for column in columns if column.type.kind is Kind.STR]
    if ignore_case and not texts:
        raise ConfigurationError(f"unique({made.name!r}): ignore_case is for text")
    if made.plain and name:
        raise ConfigurationError(
            f"unique(name={name!r}): of all rows and with case it is called by its fields"
        )
    return made


def check(name: str, predicate: Predicate) -> Check:
    """Every row fits *predicate*: what does not is refused with CheckError, which has the *name*.

    A comparison with a null is false, as in every predicate. Raises ConfigurationError for one
    that looks at more than the row's own fields, or into JSON.
    """
    check_predicate(f"check({name!r})", predicate)
    made = Check(name, predicate)
    if not made.fields:
        raise ConfigurationError(f"check({name!r}) reads no field")
    return made
