"""Entities: plain values whose class is also the vocabulary of queries about them.

A field is taken out of the class's own namespace, so that reading it from an instance is a plain
attribute access; reading it from the class goes through the metaclass and yields the expression.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

from holdfast.errors import ConfigurationError, NotLoadedError
from holdfast.records.entities.annotation_scope import Scope
from holdfast.records.entities.annotations import annotations_of, spells_class_variable
from holdfast.records.entities.constructor import constructor, dataclass_of
from holdfast.records.entities.declaration import (
    created_at,
    deleted_at,
    field,
    generated_key,
    key,
    ref,
    updated_at,
    version,
)
from holdfast.records.entities.field import Field
from holdfast.records.entities.model import model_of
from holdfast.records.entities.model_builder import (
    Members,
    build_model,
    constrained,
    spells_field,
    table_in,
    viewed,
    vocabulary,
)
from holdfast.records.entities.relation import Relation, RelationSlot, many, one
from holdfast.records.entities.search_index import document_members, searched_fields, with_search
from holdfast.records.values.field_spec import MISSING, Declaration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

    from holdfast.records.entities.constraint import Constraint


@dataclass_transform(
    kw_only_default=True,
    eq_default=True,
    field_specifiers=(
        field,
        key,
        generated_key,
        ref,
        version,
        created_at,
        updated_at,
        deleted_at,
        one,
        many,
    ),
)
class EntityType(type):
    """The metaclass of entities: collects the fields and answers for them on the class."""

    def __new__(  # noqa: PLR0913 - the words of a class statement
        metacls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        table: str | None = None,
        schema: str | None = None,
        indexes: Sequence[tuple[str, ...]] = (),
        uniques: Sequence[tuple[str, ...]] = (),
        audited: bool = False,
        view: bool = False,
    ) -> EntityType:
        declared = {
            attribute: namespace.pop(attribute)
            for attribute, value in list(namespace.items())
            if isinstance(value, (Field, Relation))
        }
        for made in ("__init__", "__post_init__"):
            if made in namespace:
                raise ConfigurationError(
                    f"{name}.{made}: an entity is made of its fields' values alone; say "
                    "field(default=...), or write a classmethod that makes one"
                )
        cls = super().__new__(metacls, name, bases, namespace)
        hints = annotations_of(cls)
        scope = Scope(cls, sys._getframe(1).f_locals)  # noqa: SLF001 - where a local class is known
        members: Members = {}
        for base in reversed(cls.__mro__[1:]):
            members.update(base.__dict__.get("__members__", {}))
        for attribute, hint in hints.items():
            if attribute in declared or spells_field(hint):
                value = declared.pop(attribute, None) or Field(Declaration())
                if attribute in namespace:
                    raise ConfigurationError(
                        f"{name}.{attribute} = {namespace[attribute]!r}: a default is written "
                        "field(default=...)"
                    )
                members[attribute] = (value, hint, scope)
            elif not spells_class_variable(hint):
                raise ConfigurationError(
                    f"{name}.{attribute}: annotated as {_spelled(hint)}, expected Field[...], One "
                    "or Many with one() or many() right of it, or ClassVar[...] for what is not "
                    "stored"
                )
        if declared:
            raise ConfigurationError(
                f"{name}.{next(iter(declared))} has no annotation; write name: Field[...] = ..."
            )
        type.__setattr__(cls, "__members__", members)
        type.__setattr__(cls, "__vocabulary__", {})
        if table is not None:
            place = table_in(name, schema, table)
            model = build_model(
                cls, members, table=place, indexes=indexes, uniques=uniques, audited=audited
            )
            if searched_fields(model):
                body = document_members(cls, model)
                documents = metacls(
                    f"{name}Search", (Entity,), body, table=f"{table}_search", schema=schema
                )
                model = with_search(cls, model, documents)
            type.__setattr__(cls, "__vocabulary__", vocabulary(model))
            declared_by: Any = cls
            model = constrained(model, declared_by.__constraints__())
            if view:
                model = viewed(model)
            type.__setattr__(cls, "__holdfast__", model)
            type.__setattr__(cls, "__init__", constructor(model))
            known = dataclass_of(model)
            for attribute in ("__dataclass_fields__", "__dataclass_params__"):
                type.__setattr__(cls, attribute, getattr(known, attribute))
            for relation in model.relations.values():
                type.__setattr__(cls, relation.name, RelationSlot(relation))
        elif indexes or uniques or audited or view or schema is not None:
            raise ConfigurationError(
                f"{name}: schema, indexes, uniques, audited and view need a table"
            )
        return cls

    if not TYPE_CHECKING:

        def __getattr__(cls, name):  # noqa: ANN001, ANN204 - hidden from type checkers
            try:
                return type.__getattribute__(cls, "__vocabulary__")[name]
            except KeyError:
                raise AttributeError(f"{cls.__name__} has no field {name!r}") from None

        def __dir__(cls):  # noqa: ANN204
            return [*super().__dir__(), *cls.__vocabulary__]


def _spelled(hint: object) -> str:
    """Return the annotation *hint* as it is written, near enough."""
    return hint if isinstance(hint, str) else getattr(hint, "__name__", None) or repr(hint)


class Entity(metaclass=EntityType):
    """A typed, detached value that a repository stores.

    Declare it with `class Video(Entity, table="videos")`, and with `indexes` and `uniques` of
    several fields each where they are needed, and with `audited=True` where its changes are to be
    recorded; with `view=True` the table is a view of the database's, which is read and never
    written; with `schema="app"` the table is in that schema, else in the store's (see
    `RecordOptions`); without a table it is a mix-in whose fields its subclasses take over. Values
    are checked when they are written, not when they are set; so is that each attribute is a field,
    is the class's own, or begins with `_`. Two entities are equal when they are of one class and
    all their fields are equal; loaded relations don't count.
    """

    __vocabulary__: ClassVar[Mapping[str, object]]
    __hash__ = None  # type: ignore[assignment]  # a value that can change has none

    if not TYPE_CHECKING:

        def __getattr__(self, name):  # noqa: ANN001, ANN204 - hidden from type checkers
            cls = type(self)
            member = cls.__vocabulary__.get(name)
            if member is None:
                raise AttributeError(f"{cls.__name__!r} object has no attribute {name!r}")
            if isinstance(member, Relation):
                hint = f"ask for it with load=[{cls.__name__}.{name}]"
            else:
                hint = "the store sets it when the entity is written"
            raise NotLoadedError(cls.__name__, name, hint)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = self.__dict__, other.__dict__
        return all(
            mine.get(spec.name, MISSING) == theirs.get(spec.name, MISSING)
            for spec in model_of(type(self)).fields
        )

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({shown})"

    @classmethod
    def __constraints__(cls) -> Sequence[Constraint]:
        """Return what is to hold of the rows beyond the fields' own words; called once.

        Say it in a class with `cls`: `return [unique(cls.email, ignore_case=True)]`.
        """
        return ()

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from holdfast.records.entities.pydantic_schema import entity_schema  # noqa: PLC0415 - pydantic is slow to import

        return entity_schema(cls, handler)
