"""What is known of an entity: the one description that every backend derives its own from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import itemgetter
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.mistakes import did_you_mean
from holdfast.records.entities.annotations import annotations_of
from holdfast.records.entities.checked_row import checked_row
from holdfast.records.entities.constraint import Check, Unique
from holdfast.records.entities.server_default import SequenceDefault
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import IsNull
from holdfast.records.values.field_spec import LEFT_OUT
from holdfast.records.values.text import ValueRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from holdfast.records.entities.class_adapter import ClassAdapter
    from holdfast.records.entities.constraint import Constraint
    from holdfast.records.entities.relation import Relation
    from holdfast.records.entities.search_index import SearchIndex
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

Row = tuple[object, ...]
"""An entity's row values in the order of its model's fields."""


@dataclass(frozen=True, eq=False)
class Model(Generic[E]):
    """An entity's fields, key, constraints and relations.

    *table* is the name that tells its table from all others, `videos`, or `app.videos` where the
    entity names a schema. *uniques* are those of all rows, by values as they are; what else there
    is, *constraints*.
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
    left_out: tuple[str, ...] = ()
    """Of the rows of one insertion or upsert: the fields that the database gives; see `leaving`."""

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
    def server_defaults(self) -> tuple[FieldSpec, ...]:
        """The fields that the database gives a value where none is given."""
        return tuple(spec for spec in self.fields if spec.server_default is not None)

    @cached_property
    def sequences(self) -> tuple[tuple[FieldSpec, SequenceDefault], ...]:
        """The fields that get the next number of a sequence where none is given."""
        return tuple(
            (spec, source)
            for spec in self.server_defaults
            if spec.server_default is not None
            and isinstance(source := spec.server_default.source, SequenceDefault)
        )

    @cached_property
    def given(self) -> tuple[FieldSpec, ...]:
        """The fields that are not left out."""
        return tuple(spec for spec in self.fields if spec.name not in self.left_out)

    @cached_property
    def _leaving(self) -> dict[tuple[str, ...], Model[E]]:
        return {(): self}

    def leaving(self, names: tuple[str, ...]) -> Model[E]:
        """Return the same model for rows that leave the fields *names* to the database."""
        known = self._leaving
        if names not in known:
            known[names] = replace(self, left_out=names)
        return known[names]

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

    def rows(self, entities: Sequence[E], *, version: int, now: datetime) -> list[Row]:
        """Return the rows that add *entities*; see `row`."""
        one = partial(self.row, version=version, now=now)
        if self.adapter is not None:
            return list(map(one, entities))
        make = self._quick_row
        try:
            return [make(entity.__dict__, version, now) for entity in entities]
        except (KeyError, ValueRejected):
            return list(map(one, entities))  # which tells what is wrong

    @cached_property
    def _quick_row(self) -> Callable[[Mapping[str, object], int, datetime], Row]:
        return checked_row(
            self.name, self.fields, self._check_names if self.adapter is None else None
        )

    @cached_property
    def _known_names(self) -> frozenset[str]:
        return frozenset((*self.by_name, *self.relations))

    def _check_names(self, values: Mapping[str, object]) -> None:
        """Raise InvalidValueError for an attribute that a write would leave behind.

        What is the class's or declared there, and what begins with _, is not meant to be stored.
        """
        if values.keys() <= self._known_names:
            return
        for name in values:
            if name in self._known_names:
                continue
            bases = self.entity.__mro__
            own = any(name in vars(base) or name in annotations_of(base) for base in bases)
            if not own and not name.startswith("_"):
                near = did_you_mean(name, self._known_names)
                way = near or f"; what is not stored is declared {name}: ClassVar[...]"
                raise InvalidValueError(self.name, name, f"there is no such field{way}")

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
            elif spec.server_default is not None:
                row.append(LEFT_OUT)
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
    """Return what is known of *entity*. Raises ConfigurationError for any other class."""
    found = getattr(entity, "__holdfast__", None) if isinstance(entity, type) else None
    if isinstance(found, Model) and (found.adapter is None or found.entity is entity):
        return found
    raise ConfigurationError(
        f"{entity!r} is not an entity: declare it as class {getattr(entity, '__name__', 'Name')}"
        '(Entity, table="...")'
    )
