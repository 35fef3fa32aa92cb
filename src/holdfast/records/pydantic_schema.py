"""Entities as pydantic types: validated from and dumped to plain data, with JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

from annotated_types import MaxLen
from pydantic import ConfigDict, Field, create_model
from pydantic_core import core_schema

from holdfast.records.field_spec import MISSING
from holdfast.records.model import model_of

if TYPE_CHECKING:
    from pydantic import BaseModel, GetCoreSchemaHandler
    from pydantic_core import CoreSchema

    from holdfast.records.field_spec import FieldSpec


def entity_schema(entity: type, handler: GetCoreSchemaHandler) -> CoreSchema:
    """Return pydantic's schema of *entity*.

    Input is an instance, or data for the fields that a caller may set; what the store sets is
    taken too when it is there, as in an entity that was dumped. Unknown fields are refused.
    """
    mirror = _mirror(entity)
    names = [spec.name for spec in model_of(entity).fields]

    def build(given: BaseModel) -> object:
        made: Any = object.__new__(entity)
        made.__dict__ = {name: getattr(given, name) for name in names if name in given.__dict__}
        for name in set(names) - given.model_fields_set:
            if not model_of(entity).by_name[name].in_constructor:
                made.__dict__.pop(name, None)
        return made

    def dump(value: Any) -> dict[str, object]:
        return {name: value.__dict__[name] for name in names if name in value.__dict__}

    validated = core_schema.no_info_after_validator_function(build, handler(mirror))
    return core_schema.json_or_python_schema(
        json_schema=validated,
        python_schema=core_schema.union_schema([core_schema.is_instance_schema(entity), validated]),
        serialization=core_schema.plain_serializer_function_ser_schema(
            dump, return_schema=core_schema.dict_schema()
        ),
    )


def _mirror(entity: type) -> type[BaseModel]:
    """Return a pydantic model with the fields of *entity*."""
    fields: dict[str, Any] = {}
    for spec in model_of(entity).fields:
        hint: Any = spec.type.python
        if spec.type.python is str and spec.type.bounds.max_length is not None:
            hint = Annotated[hint, MaxLen(spec.type.bounds.max_length)]
        if spec.type.nullable:
            hint = hint | None
        fields[spec.name] = (hint, _default(spec))
    return cast(
        "type[BaseModel]",
        create_model(entity.__name__, __config__=ConfigDict(extra="forbid"), **fields),
    )


def _default(spec: FieldSpec) -> Any:
    declaration = spec.declaration
    if not spec.in_constructor:
        return None
    if declaration.default_factory is not None:
        return Field(default_factory=declaration.default_factory)
    return ... if declaration.default is MISSING else declaration.default
