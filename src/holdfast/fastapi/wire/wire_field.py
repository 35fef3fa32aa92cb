"""A field of an entity as pydantic has it: type, bounds and checks, for input and for output."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

from annotated_types import Ge, Le, Lt, MaxLen
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    Strict,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from holdfast.records.values.field_spec import within
from holdfast.records.values.json_values import INT_MAX, INT_MIN
from holdfast.records.values.text import ValueRejected
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec
    from holdfast.records.values.value import Bounds

E = TypeVar("E")

_NO_NUL = r"^[^\u0000]*$"
_BASE64: dict[str, object] = {"type": "string", "contentEncoding": "base64"}
_DATED = re.compile(r"\d{4}-\d\d-\d\d")
_CLOCKED = re.compile(r"\d\d:\d\d")


def body_hint(spec: FieldSpec) -> object:
    """Return the type of *spec*'s values in JSON that a client sends: what the store takes.

    JSON's own types are not turned into one another, and what JSON has no type for is text.
    """
    hint = _input(spec, in_json=True)
    return hint | None if spec.type.nullable else hint


def parameter_hint(spec: FieldSpec) -> object:
    """Return the type of *spec*'s values in a query or a path, where all is text."""
    return _input(spec, in_json=False)


def key_hints(model: Model[E]) -> list[object]:
    """Return the types of the fields of the entity's key as they stand in a path."""
    return [parameter_hint(spec) for spec in model.keys]


def output_hint(spec: FieldSpec) -> object:
    """Return the type of *spec*'s values as a client gets them."""
    hint: Any = spec.type.python
    if spec.type.kind is Kind.BYTES:
        hint = Annotated[hint, PlainSerializer(_to_base64), WithJsonSchema(_BASE64)]
    return hint | None if spec.type.nullable else hint


def _input(spec: FieldSpec, *, in_json: bool) -> Any:
    bounds, hint = spec.type.bounds, spec.type.python
    parts: list[object] = []
    match spec.type.kind:
        case Kind.BOOL if in_json:
            parts.append(Strict())
        case Kind.STR if hint is str:
            parts.append(Field(json_schema_extra={"pattern": _NO_NUL}))
            if spec.role == "key":
                parts.append(Field(min_length=1))
            if bounds.max_length is not None:
                parts.append(MaxLen(bounds.max_length))
        case Kind.INT if hint is int:
            # As bounds that a float can hold, which is what many readers of schemas have.
            parts += [Ge(INT_MIN), Lt(INT_MAX + 1)]
            parts += [*_ends(bounds), BeforeValidator(_json_number)] if in_json else []
        case Kind.FLOAT:
            parts += [Field(allow_inf_nan=False)]
            parts += [*_ends(bounds), Strict()] if in_json else []
        case Kind.DECIMAL:
            assert bounds.precision is not None
            assert bounds.scale is not None
            schema = {"type": "string", "pattern": _decimal_pattern(bounds.precision, bounds.scale)}
            parts += [BeforeValidator(_decimal_text), WithJsonSchema(schema)]
        case Kind.BYTES:
            parts += [BeforeValidator(_from_base64), WithJsonSchema(_BASE64)]
        case Kind.DATETIME | Kind.DATE:
            parts.append(BeforeValidator(_text_like(_DATED, "a date such as 2026-01-31")))
        case Kind.TIME:
            parts.append(BeforeValidator(_text_like(_CLOCKED, "a time such as 12:30")))
        case _:
            pass
    return Annotated[(hint, *parts, AfterValidator(_checked(spec, stored=in_json)))]


def _ends(bounds: Bounds) -> list[object]:
    """Return the bounds of a number that is to be stored; one to compare with has none."""
    least, most = cast("float | None", bounds.least), cast("float | None", bounds.most)
    return [*([] if least is None else [Ge(least)]), *([] if most is None else [Le(most)])]


def _checked(spec: FieldSpec, *, stored: bool) -> Callable[[object], object]:
    def check(value: object) -> object:
        try:
            found = spec.type.check(value)
        except ValueRejected as unfit:
            reason = str(unfit).replace("{", "(").replace("}", ")")
            raise PydanticCustomError("value_rejected", "{reason}", {"reason": reason}) from None
        if stored and not within(found, spec.type.bounds):
            raise PydanticCustomError(
                "value_rejected", "{reason}", {"reason": spec.outside or "is out of its bounds"}
            )
        return value

    return check


def _json_number(value: object) -> object:
    if isinstance(value, (bool, str)):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


def _text_like(begins: re.Pattern[str], expected: str) -> Callable[[object], object]:
    """Return what lets text through that *begins* so; pydantic would take bare numbers too."""

    def check(value: object) -> object:
        if isinstance(value, (int, float)) or (isinstance(value, str) and not begins.match(value)):
            raise PydanticCustomError(
                "text_expected", "expected {expected}", {"expected": expected}
            )
        return value

    return check


def _decimal_pattern(precision: int, scale: int) -> str:
    before = f"[0-9]{{1,{max(precision - scale, 1)}}}"
    after = rf"(\.[0-9]{{1,{scale}}})?" if scale else ""
    return f"^-?{before}{after}$"


def _decimal_text(value: object) -> object:
    if isinstance(value, (bool, int, float)) or (
        isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,40}(\.[0-9]{1,40})?", value)
    ):
        raise PydanticCustomError(
            "text_expected", "expected a decimal number as text, such as '9.99'"
        )
    return value


def _from_base64(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise PydanticCustomError("base64", "expected base64 (RFC 4648)") from None


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
