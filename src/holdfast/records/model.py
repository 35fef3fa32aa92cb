"""What is known of an entity: the one description that every backend derives its own from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from operator import itemgetter
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.records.constraint import Check, Unique
from holdfast.records.field_spec import within
from holdfast.records.operands import Column
from holdfast.records.query import IsNull
from holdfast.records.text import ValueRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from holdfast.records.class_adapter import ClassAdapter
    from holdfast.records.constraint import Constraint
    from holdfast.records.field_spec import FieldSpec
    from holdfast.records.query import Predicate
    from holdfast.records.relation import Relation
    from holdfast.records.search_index import SearchIndex

E = TypeVar("E")

_STORE_SET = {
    "version": "version",
    "created_at": "now",
    "updated_at": "now",
    "deleted_at": "None",
}

Row = tuple[object, ...]
"""An entity's row values in the order of its model's fields."""


@dataclass(frozen=True, eq=False)
class Model(Generic[E]):
    """An entity's fields, key, constraints and relations.

    *uniques* are those of all rows, by values as they are; what else there is, *constraints*.
    *adapter* is there for a class that is not an `Entity`, and None for one that is. *audited*: a
    store takes it only with a hook that watches it.
    """

    entity: type[E]
    name: str
    table: str
    fields: tuple[FieldSpec, ...]
    indexes: tuple[tuple[str, ...], ...]
    uniques: tuple[tuple[str, ...], ...]
    relations: dict[str, Relation]
    adapter: ClassAdapter | None = None
    audited: bool = False
    view: bool = False
    """The table is a view: it is read, and made by somebody else."""
    constraints: tuple[Constraint, ...] = ()
    search: SearchIndex | None = None
    """What its words are searched by; None where no field is searched."""
    indexed_words: tuple[str, ...] = ()
    """Of documents of a search: the fields over whose words together there may be an index."""

    @cached_property
    def by_name(self) -> dict[str, FieldSpec]:
        """The fields by their names."""
        return {spec.name: spec for spec in self.fields}

    @cached_property
    def keys(self) -> tuple[FieldSpec, ...]:
        """The fields that tell the rows apart: one, or the several of a composite key."""
        return tuple(spec for spec in self.fields if spec.role in ("key", "generated"))

    @cached_property
    def key(self) -> FieldSpec:
        """The field that alone is the key. Raises ConfigurationError for a composite key."""
        first, *further = self.keys
        if further:
            raise ConfigurationError(
                f"{self.name} has a composite key ({', '.join(self.key_names)}), "
                "where a key of one field is expected"
            )
        return first

    @cached_property
    def key_names(self) -> tuple[str, ...]:
        """The names of the key's fields."""
        return tuple(spec.name for spec in self.keys)

    @cached_property
    def key_columns(self) -> tuple[Column, ...]:
        """The columns of the key's fields."""
        return tuple(Column(self.name, spec) for spec in self.keys)

    @cached_property
    def key_of(self) -> Callable[[Row], object]:
        """Returns the key in a row: a value, or the tuple of a composite key's values."""
        return itemgetter(*(spec.position for spec in self.keys))

    @cached_property
    def check_key(self) -> Callable[[object], object]:
        """Returns a caller's key as a row value, or a tuple of them. Raises InvalidValueError."""
        if len(self.keys) == 1:
            return partial(self.key.to_row, self.name)
        return self._composite_key

    def _composite_key(self, key: object) -> tuple[object, ...]:
        if not isinstance(key, tuple) or len(key) != len(self.keys):
            names = ", ".join(self.key_names)
            raise InvalidValueError(
                self.name, names, f"a key is a tuple ({names}): got {key!r:.100}"
            )
        return tuple(
            spec.to_row(self.name, value) for spec, value in zip(self.keys, key, strict=True)
        )

    def key_parts(self, key: object) -> tuple[object, ...]:
        """Return the values of *key*, as `check_key` returns it, a value for each field."""
        return (key,) if len(self.keys) == 1 else cast("tuple[object, ...]", key)

    def key_of_entity(self, entity: E) -> object:
        """Return the key of a stored *entity*, as `check_key` returns it."""
        values = entity.__dict__
        if len(self.keys) == 1:
            return self.check_key(values[self.key.name])
        return self.check_key(tuple(values[name] for name in self.key_names))

    @cached_property
    def version(self) -> FieldSpec | None:
        """The field that counts the writes of a row, if there is one."""
        return self._of_role("version")

    @cached_property
    def created_at(self) -> FieldSpec | None:
        """The field with the time of creation, if there is one."""
        return self._of_role("created_at")

    @cached_property
    def updated_at(self) -> FieldSpec | None:
        """The field with the time of the last write, if there is one."""
        return self._of_role("updated_at")

    @cached_property
    def deleted_at(self) -> FieldSpec | None:
        """The field with the time of deletion, of an entity that is deleted by a mark."""
        return self._of_role("deleted_at")

    @cached_property
    def living(self) -> Predicate | None:
        """What the rows fit that are not marked as deleted; None where all rows are there."""
        if self.deleted_at is None:
            return None
        return IsNull(Column(self.name, self.deleted_at))

    @cached_property
    def references(self) -> tuple[FieldSpec, ...]:
        """The fields that hold keys of other entities."""
        return tuple(spec for spec in self.fields if spec.reference is not None)

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """What every row has to fit, by name: of several that a row breaks the first is told."""
        found = (each for each in self.constraints if isinstance(each, Check))
        return tuple(sorted(found, key=lambda check: check.name))

    @cached_property
    def further_uniques(self) -> tuple[Unique, ...]:
        """The uniques of some rows, or without case."""
        return tuple(each for each in self.constraints if isinstance(each, Unique))

    @cached_property
    def all_uniques(self) -> tuple[Unique, ...]:
        """All uniques, without the key."""
        return (*(self._unique(fields) for fields in self.uniques), *self.further_uniques)

    @cached_property
    def key_unique(self) -> Unique:
        """The key as a unique of its own."""
        return self._unique(self.key_names)

    def _unique(self, fields: tuple[str, ...]) -> Unique:
        columns = tuple(Column(self.name, self.by_name[name]) for name in fields)
        return Unique(columns, "_".join(fields))

    def unique_on(self, fields: tuple[str, ...]) -> Unique:
        """Return the unique of *fields*, which there is: the key, or one of `all_uniques`."""
        known = (self.key_unique, *self.all_uniques)
        return next(each for each in known if each.fields == fields)

    def _of_role(self, role: str) -> FieldSpec | None:
        return next((spec for spec in self.fields if spec.role == role), None)

    def row(self, entity: E, *, version: int, now: datetime, fresh: bool = True) -> Row:
        """Return the row that writes *entity*, with *version*, and *now* for both timestamps.

        *fresh*: it is to be added, else it overwrites. Raises InvalidValueError for a value that
        can't be stored.
        """
        values: Mapping[str, object] = entity.__dict__
        if self.adapter is not None:
            values = self.adapter.instances.values(entity, now=now, fresh=fresh)
        try:
            return self._quick_row(values, version, now)
        except (KeyError, ValueRejected):
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
            scope[f"c{spec.position}"] = _held(spec)
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
        made = {"version": version, "created_at": now, "updated_at": now, "deleted_at": None}
        row: list[object] = []
        for spec in self.fields:
            if spec.role in made:
                row.append(made[spec.role])
            elif spec.name in values:
                row.append(spec.bounded(self.name, spec.to_row(self.name, values[spec.name])))
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


def _held(spec: FieldSpec) -> Callable[[object], object]:
    """Return the check of a field's values, and that of its bounds where it has any."""
    check, bounds = spec.type.check, spec.type.bounds
    if spec.outside is None:
        return check

    def held(value: object) -> object:
        found = check(value)
        if not within(found, bounds):
            raise ValueRejected(str(spec.outside))
        return found

    return held


def model_of(entity: type[E]) -> Model[E]:
    """Return what is known of *entity*. Raises ConfigurationError for any other class."""
    found = getattr(entity, "__holdfast__", None)
    if isinstance(found, Model) and (found.adapter is None or found.entity is entity):
        return found
    raise ConfigurationError(
        f"{entity!r} is not an entity: declare it as class {getattr(entity, '__name__', 'Name')}"
        '(Entity, table="...")'
    )
