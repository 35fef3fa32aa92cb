"""Models of what goes over the wire, derived from an entity: to create, to patch, to show.

`class VideoPatch(PatchModel[Video], only=[Video.title]): ...` is a pydantic model, to which fields
and validators of one's own can be added, and a type that type checkers know.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator
from pydantic import create_model as create_pydantic_model
from pydantic_core import PydanticCustomError

from holdfast.errors import ConfigurationError
from holdfast.fastapi.wire.wire_field import body_hint, output_hint
from holdfast.fastapi.wire.wire_type import ModelMetaclass
from holdfast.records import Entity, Many, Relation
from holdfast.records.entities.field import Field as EntityField
from holdfast.records.entities.model import model_of
from holdfast.records.entities.pydantic_schema import unvalidated
from holdfast.records.entities.server_default import ConstantDefault
from holdfast.records.expressions.field_changes import SetTo
from holdfast.records.values.field_spec import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pydantic import SerializerFunctionWrapHandler

    from holdfast.records.argument_types import AnyField
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec


E = TypeVar("E", bound=Entity)

_NOTHING_OF_ITS_OWN = frozenset(
    {"__module__", "__qualname__", "__doc__", "__firstlineno__", "__static_attributes__"}
)
"""What the namespace of a class statement has that says nothing but `pass`."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which fields of an entity a model has; none named in *only*: all that its kind has."""

    only: tuple[str, ...]
    hide: frozenset[str]
    include: tuple[Relation, ...]

    def has(self, spec: FieldSpec) -> bool:
        """Return whether the field is one of them."""
        return spec.name not in self.hide and (not self.only or spec.name in self.only)


class WireType(ModelMetaclass):
    """The metaclass of wire models: puts the fields that are derived below a model's own."""

    def __new__(  # noqa: PLR0913, PYI034 - what a class statement may say; a metaclass has no Self
        metacls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        entity: type[Entity] | None = None,
        only: Iterable[object] = (),
        hide: Iterable[object] = (),
        include: Iterable[object] = (),
        **others: Any,
    ) -> WireType:
        """Make the class. Raises ConfigurationError for a field that its kind of model lacks."""
        make: Any = super().__new__
        if entity is not None:
            named = {"__module__": bases[0].__module__, **namespace, "__of__": entity}
            return cast("WireType", make(metacls, name, bases, named))
        kind: Any = bases[0] if bases else None
        wanted = getattr(kind, "__of__", None)
        if wanted is None or getattr(kind, "__selection__", None) is not None:
            if only or hide or include:
                raise ConfigurationError(f"{name}: only, hide and include go with Model[Entity]")
            made: Any = make(metacls, name, bases, namespace, **others)
            made.__derived__ = False
            return cast("WireType", made)
        selection = _selection(name, wanted, only, hide, include)
        fields = kind.__derive__(model_of(wanted), selection)
        below: Any = make(metacls, f"{name}Fields", bases, {"__module__": namespace["__module__"]})
        below.__selection__ = selection
        below.__shown__ = tuple(s.name for s in model_of(wanted).fields if selection.has(s))
        derived = namespace.keys() <= _NOTHING_OF_ITS_OWN and len(bases) == 1 and not others
        lower = (below, _Loaded) if selection.include else below
        below = create_pydantic_model(f"{name}Fields", __base__=lower, **fields)
        made = make(metacls, name, (below, *bases[1:]), namespace, **others)
        made.__derived__ = derived
        return cast("WireType", made)


def _selection(
    name: str,
    entity: type[Entity],
    only: Iterable[object],
    hide: Iterable[object],
    include: Iterable[object],
) -> Selection:
    def names(fields: Iterable[object]) -> tuple[str, ...]:
        known = model_of(entity).by_name
        found = []
        for each in fields:
            if not isinstance(each, EntityField) or known.get(each.spec.name) is not each.spec:
                raise ConfigurationError(f"{name}: {each!r} is not a field of {entity.__name__}")
            found.append(each.spec.name)
        return tuple(found)

    relations = []
    for each in include:
        if not isinstance(each, Relation) or each.owner is not entity:
            raise ConfigurationError(f"{name}: {each!r} is not a relation of {entity.__name__}")
        relations.append(each)
    return Selection(names(only), frozenset(names(hide)), tuple(relations))


def _create_fields(model: Model[Any], selection: Selection) -> dict[str, Any]:
    """Return those that the constructor takes, but for a key that is made by itself."""
    return {
        spec.name: (body_hint(spec), _default(spec))
        for spec in model.fields
        if spec.in_constructor
        and not (spec.role == "key" and spec.declaration.default_factory is not None)
        and selection.has(spec)
    }


def _patch_fields(model: Model[Any], selection: Selection) -> dict[str, Any]:
    """Return those that a change can set."""
    return {
        spec.name: (body_hint(spec), Field(default_factory=_absent))
        for spec in model.fields
        if spec.role == "plain" and selection.has(spec)
    }


def _out_fields(model: Model[Any], selection: Selection) -> dict[str, Any]:
    """Return all, and the relations that are included."""
    fields: dict[str, Any] = {
        spec.name: (output_hint(spec), ...) for spec in model.fields if selection.has(spec)
    }
    for relation in selection.include:
        shown: Any = shown_as(relation.target)
        hint = list[shown] if isinstance(relation, Many) else shown | None
        fields[relation.name] = (hint, Field(default_factory=_absent))
    return fields


class _Loaded(BaseModel):
    """Leaves out of the output what was never set: a null would say that nothing is there."""

    @model_serializer(mode="wrap")
    def _what_is_there(self, dump: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]  # noqa: ANN202 - the schema is then that of the model
        there = self.model_fields_set
        included = {each.name for each in getattr(type(self), "__selection__").include}  # noqa: B009
        dumped: dict[str, Any] = dump(self)
        return {n: each for n, each in dumped.items() if n in there or n not in included}


def _absent() -> Any:
    """Stand for a field that is not there; unlike a default, it has no place in the schema."""
    return None


class WireModel(BaseModel, metaclass=WireType):
    """What the models derived from an entity have in common."""

    if TYPE_CHECKING:
        __of__: type[Entity]
        __selection__: Selection
        __shown__: tuple[str, ...]
        __derived__: bool
        """Whether all of the class was derived, so that it has nothing of its own."""

        def __init_subclass__(
            cls,
            *,
            only: Sequence[AnyField] = (),
            hide: Sequence[AnyField] = (),
            include: Sequence[Relation] = (),
        ) -> None: ...
    else:

        @classmethod
        @cache
        def __class_getitem__(cls, entity):  # noqa: ANN001, ANN206
            if not (isinstance(entity, type) and issubclass(entity, Entity)):
                return cls  # a type variable, in a generic class of one's own
            name = f"{cls.__name__}[{entity.__name__}]"
            return types.new_class(name, (cls,), {"entity": entity})


class CreateModel(WireModel, Generic[E]):
    """What a client says of a new entity: the fields that a caller may set, and no others.

    A key that is made by itself, versions and times are not among them. `only=` names those that
    a client may set, `hide=` those that it may not.
    """

    model_config = ConfigDict(extra="forbid")

    __derive__ = staticmethod(_create_fields)

    def entity(self, *others: SetTo) -> E:
        """Return the new entity, with *others* set that the client can't say.

        `body.entity(Video.owner.to(actor))`. Raises InvalidValueError, when it is stored, for a
        field that nobody set.
        """
        model = model_of(self.__of__)
        values = {
            spec.name: getattr(self, spec.name)
            for spec in _own(self, model)
            if not _left_out(self, spec)
        }
        for change in others:
            spec = change.column.spec
            load, value = spec.type.load, change.value
            values[spec.name] = value if load is None or value is None else load(value)
        return cast("E", self.__of__(**values))

    def changes(self) -> tuple[SetTo, ...]:
        """Return the changes that give a stored entity all of these values, as a PUT does.

        What is absent gets its default, but a `server_now` or `server_text` stays. So does the key,
        and what the client can't say.
        """
        return _changes(self, lambda spec: spec.role == "plain" and not _left_out(self, spec))


class PatchModel(WireModel, Generic[E]):
    """Changes to an entity: each field may be absent, which leaves it, or there, also as null.

    At least one has to be there. The key, versions and times are none of them.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})

    __derive__ = staticmethod(_patch_fields)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("no_changes", "no changes: expected one field or more")
        return self

    def changes(self) -> tuple[SetTo, ...]:
        """Return the changes that the client asked for, as `Repository.patch` takes them."""
        return _changes(self, lambda spec: spec.name in self.model_fields_set)


class OutModel(WireModel, Generic[E]):
    """An entity as clients see it: all fields but those in `hide=`, relations of `include=`.

    A relation that was not loaded is absent.
    """

    model_config = ConfigDict(from_attributes=True)

    __derive__ = staticmethod(_out_fields)

    @classmethod
    def of(cls, entity: E) -> Self:
        """Return *entity* as this model; fields of one's own are set afterwards."""
        held = vars(entity)
        values = {name: held[name] for name in cls.__shown__ if name in held}
        for relation in cls.__selection__.include:
            if relation.name not in held:
                continue
            found = held[relation.name]
            shown: Any = _shown_in(cls, relation)
            if isinstance(relation, Many):
                values[relation.name] = [shown.of(each) for each in found]
            else:
                values[relation.name] = None if found is None else shown.of(found)
        if cls.__derived__ and len(values) == len(cls.__pydantic_fields__):
            return unvalidated(cls, values)
        return cls.model_construct(set(values), **values)


def _shown_in(cls: type[OutModel[Any]], relation: Relation) -> object:
    """Return the model that the field of *relation* is of, which a class may have set itself."""
    hint: Any = cls.model_fields[relation.name].annotation
    found = [each for each in (hint, *getattr(hint, "__args__", ())) if isinstance(each, WireType)]
    return found[0] if found else shown_as(relation.target)


@cache
def shown_as(entity: type[Entity]) -> type[OutModel[Entity]]:
    """Return the model of all that *entity* has, but for its relations."""
    made: type[OutModel[Entity]] = _made(f"{entity.__name__}Included", OutModel, entity, {})
    return made


def create_model(
    entity: type[E], *, only: Sequence[AnyField] = (), hide: Sequence[AnyField] = ()
) -> type[CreateModel[E]]:
    """Return `CreateModel[entity]` as a class of its own, where none is written down."""
    made: type[CreateModel[E]] = _made(
        f"{entity.__name__}Create", CreateModel, entity, {"only": only, "hide": hide}
    )
    return made


def patch_model(
    entity: type[E], *, only: Sequence[AnyField] = (), hide: Sequence[AnyField] = ()
) -> type[PatchModel[E]]:
    """Return `PatchModel[entity]` as a class of its own, where none is written down."""
    made: type[PatchModel[E]] = _made(
        f"{entity.__name__}Patch", PatchModel, entity, {"only": only, "hide": hide}
    )
    return made


def out_model(
    entity: type[E], *, hide: Sequence[AnyField] = (), include: Sequence[Relation] = ()
) -> type[OutModel[E]]:
    """Return `OutModel[entity]` as a class of its own, where none is written down."""
    made: type[OutModel[E]] = _made(
        f"{entity.__name__}Out", OutModel, entity, {"hide": hide, "include": include}
    )
    return made


def _made(name: str, kind: Any, entity: type[Entity], words: Mapping[str, object]) -> Any:
    def body(namespace: dict[str, Any]) -> None:
        namespace["__module__"] = entity.__module__

    return types.new_class(name, (kind[entity],), dict(words), cast("Callable[..., Any]", body))


def _own(wire: WireModel, model: Model[Any]) -> list[FieldSpec]:
    """Return the fields of the entity that *wire* has."""
    there = type(wire).model_fields
    return [spec for spec in model.fields if spec.name in there]


def _left_out(wire: WireModel, spec: FieldSpec) -> bool:
    """Return whether the database gives the value, and only it knows which."""
    default = spec.server_default
    if default is None or isinstance(default.source, ConstantDefault):
        return False
    return spec.name not in wire.model_fields_set


def _changes(wire: WireModel, wanted: Callable[[FieldSpec], bool]) -> tuple[SetTo, ...]:
    return tuple(
        cast("SetTo", getattr(wire.__of__, spec.name).to(getattr(wire, spec.name)))
        for spec in _own(wire, model_of(wire.__of__))
        if wanted(spec)
    )


def _default(spec: FieldSpec) -> Any:
    declaration = spec.declaration
    if declaration.default_factory is not None:
        return Field(default_factory=declaration.default_factory)
    if declaration.server_default is not None:
        source = declaration.server_default.source
        return (
            source.value if isinstance(source, ConstantDefault) else Field(default_factory=_absent)
        )
    return ... if declaration.default is MISSING else declaration.default
