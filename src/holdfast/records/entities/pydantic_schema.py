"""Entities as pydantic types: validated from and dumped to plain data, with JSON Schema."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

from annotated_types import MaxLen
from pydantic import ConfigDict, Field, create_model
from pydantic_core import core_schema

from holdfast.records.entities.model import model_of
from holdfast.records.entities.relation import Many
from holdfast.records.values.field_spec import MISSING

if TYPE_CHECKING:
    from pydantic import (
        BaseModel,
        GetCoreSchemaHandler,
        ValidationInfo,
        ValidatorFunctionWrapHandler,
    )
    from pydantic_core import CoreSchema

    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec

STORED = "holdfast: what was dumped, with what the store set"
"""The context of a validation whose input an entity was dumped to, as a cache does it."""
_OUTPUTS: dict[type, type[BaseModel]] = {}
"""The output model of each entity, one for all schemas that it is in."""
_MAKING = threading.RLock()
_set = object.__setattr__
M = TypeVar("M", bound="BaseModel")


def entity_schema(entity: type, handler: GetCoreSchemaHandler) -> CoreSchema:
    """Return pydantic's schema of *entity*.

    Input is an instance, or data for the fields that a caller may set and no others: what the
    store sets is refused. Output has all fields that are there, and the relations that were loaded.
    """
    names = [spec.name for spec in model_of(entity).fields if spec.in_constructor]

    def accept(
        value: object, validate: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> object:
        if isinstance(value, entity):
            return value
        if info.context == STORED:
            return _restored(entity, value)
        given = validate(value)
        made: Any = object.__new__(entity)
        made.__dict__ = {
            name: value for name in names if (value := getattr(given, name)) is not MISSING
        }
        return made

    return core_schema.with_info_wrap_validator_function(
        accept,
        handler(_input_model(entity)),
        serialization=core_schema.plain_serializer_function_ser_schema(
            _output, return_schema=handler.generate_schema(_output_model(entity))
        ),
    )


def _restored(entity: type, value: object) -> object:
    """Return the entity that was dumped to *value*; its relations are left, as a store leaves them.

    Raises pydantic's ValidationError.
    """
    read = vars(_stored_model(entity).model_validate(value))
    made: Any = object.__new__(entity)
    there = value.keys() if isinstance(value, dict) else ()
    made.__dict__ = {name: each for name, each in read.items() if name in there}
    return made


@cache
def _stored_model(entity: type) -> type[BaseModel]:
    fields: dict[str, Any] = {spec.name: (_hint(spec), None) for spec in model_of(entity).fields}
    return _made(entity, fields, extra="ignore")


def _made(
    entity: type, fields: dict[str, Any], *, extra: Literal["ignore", "forbid"], suffix: str = ""
) -> type[BaseModel]:
    config = ConfigDict(extra=extra, title=entity.__name__)
    words: Any = {"__config__": config, "__module__": entity.__module__}
    return cast("type[BaseModel]", create_model(f"{entity.__name__}{suffix}", **words, **fields))


@cache
def _input_model(entity: type) -> type[BaseModel]:
    """Return a pydantic model with the fields of *entity* that a caller may set."""
    fields: dict[str, Any] = {
        spec.name: (_hint(spec), _default(spec))
        for spec in model_of(entity).fields
        if spec.in_constructor
    }
    return _made(entity, fields, extra="forbid")


def _output_model(entity: type) -> type[BaseModel]:
    """Return a pydantic model with all fields of *entity*, and its relations where they are."""
    with _MAKING:
        if entity not in _OUTPUTS:
            made = {each: _one_output(each) for each in _reachable(entity) if each not in _OUTPUTS}
            _OUTPUTS.update(made)
            names = {_alias(each): output for each, output in _OUTPUTS.items()}
            for output in made.values():
                output.model_rebuild(_types_namespace=names)
        return _OUTPUTS[entity]


def _reachable(entity: type) -> list[type]:
    """Return *entity* and all that its relations lead to."""
    found = {entity: None}
    waiting = [entity]
    while waiting:
        for relation in model_of(waiting.pop()).relations.values():
            if relation.target not in found:
                found[relation.target] = None
                waiting.append(relation.target)
    return list(found)


def _one_output(entity: type) -> type[BaseModel]:
    model = _model(entity)
    fields: dict[str, Any] = {spec.name: (_hint(spec), ...) for spec in model.fields}
    for relation in model.relations.values():
        alias = _alias(relation.target)
        if isinstance(relation, Many):
            fields[relation.name] = (f"list[{alias}]", Field(default_factory=list))
        else:
            fields[relation.name] = (f"{alias} | None", None)
    return _made(entity, fields, extra="ignore", suffix="Output")


def _alias(entity: type) -> str:
    return f"{entity.__name__}_{id(entity)}"


def _output(value: Any) -> BaseModel:
    """Return *value*, an entity, as its output model: with what is there of it, and no more."""
    entity = type(value)
    model, held = _model(entity), vars(value)
    values = {spec.name: held[spec.name] for spec in model.fields if spec.name in held}
    for name in model.relations:
        found = held.get(name)
        if isinstance(found, list):
            values[name] = [_output(each) for each in found]
        elif name in held:
            values[name] = None if found is None else _output(found)
    return unvalidated(_output_model(entity), values)


def unvalidated(kind: type[M], values: dict[str, object]) -> M:
    """Return a *kind* with *values*, which are right and in the order of its fields.

    For models without defaults, private attributes or a hook after their making: `model_construct`,
    which looks for all of these, takes three times as long.
    """
    made = kind.__new__(kind)
    _set(made, "__dict__", values)
    _set(made, "__pydantic_fields_set__", set(values))
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made


def _model(entity: type[object]) -> Model[object]:
    return model_of(entity)


def _hint(spec: FieldSpec) -> Any:
    hint: Any = spec.type.python
    if hint is str and spec.type.bounds.max_length is not None:
        hint = Annotated[hint, MaxLen(spec.type.bounds.max_length)]
    return hint | None if spec.type.nullable else hint


def _default(spec: FieldSpec) -> Any:
    declaration = spec.declaration
    if declaration.default_factory is not None:
        return Field(default_factory=declaration.default_factory)
    if declaration.server_default is not None:
        return Field(default_factory=_left_out)
    return ... if declaration.default is MISSING else declaration.default


def _left_out() -> object:
    return MISSING
