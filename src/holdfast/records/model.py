"""What is known of an entity: the one description that every backend derives its own from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar, cast

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.records.text import Unfit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from holdfast.records.declaration import Declaration
    from holdfast.records.query import Aggregate, Change, Column, Order, Predicate
    from holdfast.records.relation import Relation
    from holdfast.records.value import ValueType

E = TypeVar("E")

_STORE_SET = {"version": "version", "created_at": "now", "updated_at": "now"}

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


class Origin(Protocol):
    """The class that a model was made from, where that is no `Entity`: its ways and its words.

    The words take what the class's own vocabulary says, and Holdfast's, and refuse the rest by
    name.
    """

    def values(self, entity: object, *, now: datetime, fresh: bool) -> Mapping[str, object]:
        """Return the values of *entity* by field, with the class's defaults for those not set.

        *fresh* is to be added; else it overwrites, and gets what the class sets at each change.
        """
        ...

    def make(self, values: dict[str, object]) -> object:
        """Return an instance with *values*, which it takes over, as if read and let go of."""
        ...

    def attach(self, entity: object, relation: Relation, found: object) -> None:
        """Let *entity* have *found*, an entity or a list of them, for *relation*."""
        ...

    def predicate(self, word: object) -> Predicate: ...

    def order(self, word: object) -> Order: ...

    def column(self, word: object) -> Column: ...

    def figure(self, word: object) -> Aggregate: ...

    def changes(self, wanted: object, *, now: datetime) -> tuple[Change, ...]:
        """Return the changes that *wanted* says, and those that go with any change."""
        ...

    def relations(self, wanted: Sequence[object]) -> tuple[Relation, ...]: ...


@dataclass(frozen=True, slots=True, eq=False)
class FieldSpec:
    """A field as declared and resolved; *position* is its place in a row.

    *source* is what a model's origin knows of it, for drivers that know that origin.
    """

    name: str
    position: int
    type: ValueType
    declaration: Declaration
    reference: Reference | None
    source: object = None

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
    origin: Origin | None = None

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

    def _of_role(self, role: str) -> FieldSpec | None:
        return next((spec for spec in self.fields if spec.role == role), None)

    def row(self, entity: E, *, version: int, now: datetime, fresh: bool = True) -> Row:
        """Return the row that writes *entity*, with *version*, and *now* for both timestamps.

        *fresh*: it is to be added, else it overwrites. Raises InvalidValueError for a value that
        can't be stored.
        """
        values: Mapping[str, object] = entity.__dict__
        if self.origin is not None:
            values = self.origin.values(entity, now=now, fresh=fresh)
        try:
            return self._quick_row(values, version, now)
        except (KeyError, Unfit):
            return self._careful_row(values, version, now)

    @cached_property
    def _quick_row(self) -> Callable[[Mapping[str, object], int, datetime], Row]:
        """A generated function that makes a row of values that are all as they should be."""
        scope: dict[str, object] = {}
        parts: list[str] = []
        for spec in self.fields:
            stored = _STORE_SET.get(spec.role)
            if stored is not None:
                parts.append(stored)
                continue
            scope[f"c{spec.position}"] = spec.type.check
            value = f"values[{spec.name!r}]"
            if spec.role != "plain":
                scope[f"s{spec.position}"] = spec
                get = f"values.get({spec.name!r})" if spec.role == "generated" else value
                parts.append(f"key(s{spec.position}, {get})")
            elif spec.type.nullable:
                parts.append(f"None if (v := {value}) is None else c{spec.position}(v)")
            else:
                parts.append(f"c{spec.position}({value})")
        scope["key"] = self._key_value
        source = f"def row(values, version, now):\n    return ({', '.join(parts)},)"
        exec(source, scope)  # noqa: S102 - built from field names, which are identifiers
        return cast("Callable[[Mapping[str, object], int, datetime], Row]", scope["row"])

    def _key_value(self, spec: FieldSpec, value: object) -> object:
        if value is None and spec.role == "generated":
            return None
        return spec.to_row(self.name, value)

    def _careful_row(self, values: Mapping[str, object], version: int, now: datetime) -> Row:
        """Make the row field by field, and say of the first that is not as it should be why."""
        made = {"version": version, "created_at": now, "updated_at": now}
        row: list[object] = []
        for spec in self.fields:
            if spec.role in made:
                row.append(made[spec.role])
            elif spec.name in values:
                row.append(spec.to_row(self.name, values[spec.name]))
            elif spec.role == "generated":
                row.append(None)
            else:
                raise InvalidValueError(self.name, spec.name, "the value is missing")
        return tuple(row)

    def stored_row(self, entity: E) -> Row:
        """Return the row of an *entity* as a repository returned it, version and times included.

        Raises InvalidValueError for one that lacks a value or holds what can't be stored.
        """
        values = entity.__dict__
        for spec in self.fields:
            if spec.name not in values:
                raise InvalidValueError(self.name, spec.name, "the value is missing")
        return tuple(spec.to_row(self.name, values[spec.name]) for spec in self.fields)


def model_of(entity: type[E]) -> Model[E]:
    """Return what is known of *entity*. Raises ConfigurationError for a class that is no entity."""
    found = getattr(entity, "__holdfast__", None)
    if isinstance(found, Model) and (found.origin is None or found.entity is entity):
        return found
    raise ConfigurationError(
        f"{entity!r} is no entity: declare it as class {getattr(entity, '__name__', 'Name')}"
        '(Entity, table="...")'
    )
