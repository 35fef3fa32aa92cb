"""What is known of an entity: the one description that every backend derives its own from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.records.text import Unfit

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from holdfast.records.declaration import Declaration
    from holdfast.records.relation import Relation
    from holdfast.records.value import ValueType

E = TypeVar("E")

Row = tuple[object, ...]
"""An entity's row values in the order of its model's fields."""

OnDelete = Literal["restrict", "cascade", "set null"]
Role = Literal["plain", "key", "generated", "version", "created_at", "updated_at"]
INDEXED_TEXT_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: the field holds the key of a *target*."""

    target: Callable[[], type]
    on_delete: OnDelete


@dataclass(frozen=True, slots=True, eq=False)
class FieldSpec:
    """A field as declared and resolved; *position* is its place in a row."""

    name: str
    position: int
    type: ValueType
    declaration: Declaration
    reference: Reference | None

    @property
    def role(self) -> Role:
        return self.declaration.role

    @property
    def unique(self) -> bool:
        return self.declaration.unique

    @property
    def in_constructor(self) -> bool:
        return self.role in ("plain", "key")

    def to_row(self, entity: str, value: object) -> object:
        """Return the row value for *value*. Raises InvalidValueError."""
        if value is None:
            if self.type.nullable:
                return None
            raise InvalidValueError(entity, self.name, "is None, but the field is not optional")
        try:
            checked = self.type.check(value)
        except Unfit as unfit:
            raise InvalidValueError(entity, self.name, str(unfit)) from None
        if checked == "" and self.role == "key":
            raise InvalidValueError(entity, self.name, "is empty; a key is not")
        return checked


@dataclass(frozen=True, eq=False)
class Model(Generic[E]):
    """An entity's fields, key, constraints and relations."""

    entity: type[E]
    name: str
    table: str
    fields: tuple[FieldSpec, ...]
    indexes: tuple[tuple[str, ...], ...]
    uniques: tuple[tuple[str, ...], ...]
    relations: dict[str, Relation]

    @cached_property
    def by_name(self) -> dict[str, FieldSpec]:
        return {spec.name: spec for spec in self.fields}

    @cached_property
    def key(self) -> FieldSpec:
        return next(spec for spec in self.fields if spec.role in ("key", "generated"))

    @cached_property
    def version(self) -> FieldSpec | None:
        return self._of_role("version")

    @cached_property
    def created_at(self) -> FieldSpec | None:
        return self._of_role("created_at")

    @cached_property
    def updated_at(self) -> FieldSpec | None:
        return self._of_role("updated_at")

    @cached_property
    def references(self) -> tuple[FieldSpec, ...]:
        return tuple(spec for spec in self.fields if spec.reference is not None)

    @cached_property
    def _checks(self) -> tuple[tuple[FieldSpec, str, Role, Callable[[object], object]], ...]:
        return tuple((spec, spec.name, spec.role, spec.type.check) for spec in self.fields)

    def _of_role(self, role: str) -> FieldSpec | None:
        return next((spec for spec in self.fields if spec.role == role), None)

    def row(self, entity: E, *, version: int, now: datetime | None) -> Row:
        """Return the row that writes *entity*; what the store sets is set here.

        *now* is the time of writing for both timestamps; with None they keep what the entity has.
        Raises InvalidValueError for a value that can't be stored.
        """
        values = entity.__dict__
        row: list[object] = []
        for spec, name, role, check in self._checks:
            value = values.get(name)
            if role == "plain" and value is not None:
                try:
                    row.append(check(value))
                except Unfit as unfit:
                    raise InvalidValueError(self.name, name, str(unfit)) from None
            elif role == "version":
                row.append(version)
            elif now is not None and role in ("created_at", "updated_at"):
                row.append(now)
            elif name in values:
                row.append(spec.to_row(self.name, value))
            elif role in ("generated", "created_at"):
                row.append(None)
            else:
                raise InvalidValueError(self.name, name, "the value is missing")
        return tuple(row)


def model_of(entity: type[E]) -> Model[E]:
    """Return what is known of *entity*. Raises ConfigurationError for a class that is no entity."""
    found = getattr(entity, "__holdfast__", None)
    if isinstance(found, Model):
        return found
    raise ConfigurationError(
        f"{entity!r} is no entity: declare it as class {getattr(entity, '__name__', 'Name')}"
        '(Entity, table="...")'
    )
