"""A field of an entity as pydantic has it: type, bounds and checks, for input and for output."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from annotated_types import Ge, Le, MaxLen
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from holdfast.records.json_values import INT_MAX, INT_MIN
from holdfast.records.text import ValueRejected
from holdfast.records.value import Kind

if TYPE_CHECKING:
    from holdfast.records.field_spec import FieldSpec
    from holdfast.records.model import Model

E = TypeVar("E")


def input_hint(spec: FieldSpec) -> object:
    """Return the type of *spec*'s values as a client sends them: what the store takes, no more."""
    hint = _input_base(spec)
    return hint | None if spec.type.nullable else hint


def _input_base(spec: FieldSpec) -> Any:
    bounds = spec.type.bounds
    hint: Any = spec.type.python
    more: list[object] = [AfterValidator(_checked(spec))]
    match spec.type.kind:
        case Kind.STR if hint is str and bounds.max_length is not None:
            more.insert(0, MaxLen(bounds.max_length))
        case Kind.INT if hint is int:
            more[:0] = [Ge(INT_MIN), Le(INT_MAX)]
        case Kind.FLOAT:
            more.insert(0, Field(allow_inf_nan=False))
        case Kind.DECIMAL:
            more.insert(0, Field(max_digits=bounds.precision, decimal_places=bounds.scale))
        case Kind.BYTES:
            schema: dict[str, object] = {"type": "string", "contentEncoding": "base64"}
            more += [BeforeValidator(_from_base64), WithJsonSchema(schema)]
        case _:
            pass
    return Annotated[(hint, *more)]


def output_hint(spec: FieldSpec) -> object:
    """Return the type of *spec*'s values as a client gets them."""
    hint: Any = spec.type.python
    if spec.type.kind is Kind.BYTES:
        schema: dict[str, object] = {"type": "string", "contentEncoding": "base64"}
        hint = Annotated[hint, PlainSerializer(_to_base64), WithJsonSchema(schema)]
    return hint | None if spec.type.nullable else hint


def key_hint(model: Model[E]) -> object:
    """Return the type of the entity's key as it stands in a path."""
    return _input_base(model.key)


def _checked(spec: FieldSpec) -> Any:
    def check(value: object) -> object:
        try:
            spec.type.check(value)
        except ValueRejected as unfit:
            raise PydanticCustomError(
                "value_rejected", "{reason}", {"reason": str(unfit)}
            ) from None
        if value == "" and spec.role == "key":
            raise PydanticCustomError("value_rejected", "a key is not empty")
        return value

    return check


def _from_base64(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise PydanticCustomError("base64", "expected base64 (RFC 4648)") from None


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
