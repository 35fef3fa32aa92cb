"""What is known of one field: how it was declared, and how its values become row values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.records.values.text import ValueRejected
from holdfast.records.values.value import Bounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.entities.server_default import ServerDefault
    from holdfast.records.values.value import ValueType

T = TypeVar("T")
OnDelete = Literal["restrict", "cascade", "set null"]
Role = Literal["plain", "key", "generated", "version", "created_at", "updated_at", "deleted_at"]
AuditPolicy = Literal["value", "hash", "redact", "skip"]
"""What an audit keeps of a field: its values, their hashes, that it changed, or nothing."""
INDEXED_TEXT_LENGTH = 255


class _Missing(enum.Enum):
    MISSING = "no default"


MISSING = _Missing.MISSING


class LeftOut(enum.Enum):
    """What a row to be added has in place of a value that the database is to give."""

    LEFT_OUT = "left to the database"


LEFT_OUT = LeftOut.LEFT_OUT


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a specifier said, before the entity's class is made."""

    role: Role = "plain"
    default: object = MISSING
    default_factory: Callable[[], object] | None = None
    bounds: Bounds = Bounds()  # noqa: RUF009 - it is frozen
    unique: bool = False
    target: type | str | None = None
    on_delete: OnDelete = "restrict"
    audit: AuditPolicy = "value"
    unversioned: bool = False
    search: int = 0
    """The weight of its words in a search; 0: they are not searched."""
    server_default: ServerDefault[object] | None = None
    """What the database gives where no value is given."""

    @property
    def has_default(self) -> bool:
        """Whether a row has a value where none is given."""
        given = self.default is not MISSING or self.default_factory is not None
        return given or self.server_default is not None

    def __post_init__(self) -> None:
        for name, choices in (("audit", AuditPolicy), ("on_delete", OnDelete)):
            value = getattr(self, name)
            if value not in get_args(choices):
                expected = ", ".join(map(repr, get_args(choices)))
                raise ConfigurationError(f"{name}={value!r}: expected one of {expected}")
        if self.default_factory is not None and not callable(self.default_factory):
            raise ConfigurationError(
                f"default_factory={self.default_factory!r}: expected a function that makes the "
                "value, such as uuid7 without brackets behind it"
            )
        if self.search < 0:
            raise ConfigurationError(f"search={self.search}: expected True, or a weight from 1 on")
        given = (self.default is not MISSING) + (self.server_default is not None)
        if given and self.default_factory is not None:
            raise ConfigurationError("a field takes default or default_factory, not both")
        if isinstance(self.default, (list, dict, set, bytearray)):
            raise ConfigurationError(
                f"default={self.default!r} would be shared by all entities; use default_factory"
            )


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: the field holds the key of a *target*."""

    target: Callable[[], type]
    on_delete: OnDelete


@dataclass(frozen=True, slots=True, eq=False)
class FieldSpec:
    """A field as declared and resolved; *position* is its place in a row.

    *native_column* is the column that an adapted class has of its own, for drivers that know the
    library that it comes from; None for a field of an `Entity`.
    """

    name: str
    position: int
    type: ValueType
    declaration: Declaration
    reference: Reference | None
    native_column: object = None

    @property
    def role(self) -> Role:
        """What the store does with the field; `plain` is all that callers set."""
        return self.declaration.role

    @property
    def server_default(self) -> ServerDefault[object] | None:
        """What the database gives where no value is given."""
        return self.declaration.server_default

    @property
    def unique(self) -> bool:
        """Whether no two rows may have the same value, null apart."""
        return self.declaration.unique

    @property
    def kept(self) -> bool:
        """Whether a stored row keeps its value when the whole row is overwritten."""
        return self.role in ("key", "generated", "created_at") or self.declaration.unversioned

    @property
    def in_constructor(self) -> bool:
        """Whether a caller gives the value; else the store does."""
        return self.role in ("plain", "key")

    @property
    def outside(self) -> str | None:
        """Why a value is refused that is less or more than the declared bounds; None without."""
        least, most = self.type.bounds.least, self.type.bounds.most
        if least is None and most is None:
            return None
        if most is None:
            return f"is not {least} or more"
        return f"is not {most} or less" if least is None else f"is not from {least} to {most}"

    def bounded(self, entity: str, value: T) -> T:
        """Return *value*, a row value or None. Raises InvalidValueError outside of the bounds.

        Values to compare with are not held to them, nor are those to add.
        """
        bounds = self.type.bounds
        if value is not None and not within(value, bounds):
            raise InvalidValueError(entity, self.name, str(self.outside))
        return value

    def to_row(self, entity: str, value: object) -> object:
        """Return the row value for *value*. Raises InvalidValueError."""
        if value is None:
            if self.type.nullable:
                return None
            raise InvalidValueError(entity, self.name, "is None, but the field is not optional")
        try:
            checked = self.type.check(value)
        except ValueRejected as unfit:
            raise InvalidValueError(entity, self.name, str(unfit)) from None
        if checked == "" and self.role == "key":
            raise InvalidValueError(entity, self.name, "is empty; a key is not")
        return checked


def within(value: object, bounds: Bounds) -> bool:
    """Return whether *value*, which is not None, is neither below nor above *bounds*."""
    found: Any = value
    least, most = bounds.least, bounds.most
    return (least is None or found >= least) and (most is None or found <= most)
