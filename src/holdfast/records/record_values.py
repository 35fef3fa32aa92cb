"""Values of records as JSON, as cells of CSV and as columns of Parquet, and back."""

from __future__ import annotations

import base64
import binascii
import enum
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, cast

import orjson

from holdfast.errors import InvalidValueError
from holdfast.records.entities.model import model_of
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import TypeAdapter

    from holdfast.records import Entity
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec


E = TypeVar("E")


def fields_of_entity(entity: type) -> tuple[FieldSpec, ...]:
    """Return the fields of *entity*, in the order in which they are declared."""
    return model_of(entity).fields


def json_value(spec: FieldSpec, value: object) -> object:
    """Return the *value* of a field as JSON has it: times in ISO 8601, bytes in base64."""
    if value is None:
        return None
    if spec.type.kind is Kind.BYTES:
        return base64.b64encode(cast("bytes", value)).decode()
    if spec.type.kind is Kind.JSON and spec.type.load is None:
        return value
    return _adapter(spec).dump_python(value, mode="json")


def text_value(spec: FieldSpec, value: object) -> str:
    """Return the *value* of a field as a cell of CSV; a null is an empty one."""
    plain = json_value(spec, value)
    if plain is None:
        return ""
    if spec.type.kind is Kind.JSON or isinstance(plain, bool):
        return orjson.dumps(plain).decode()
    return str(plain)


def parsed_value(entity: type, spec: FieldSpec, given: object) -> object:
    """Return the value that *given* stands for: text, or what JSON has.

    Raises InvalidValueError, which says what was expected.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - slow to import

    if given is None:
        return None
    try:
        return _adapter(spec).validate_python(_prepared(spec, given))
    except (ValidationError, orjson.JSONDecodeError, binascii.Error, ValueError):
        raise InvalidValueError(
            entity.__name__, spec.name, f"expected {_expected(spec)}, got {given!r:.100}"
        ) from None


def parsed_key(model: Model[E], given: Sequence[str]) -> object:
    """Return the key that *given* stands for, a text for each of its fields.

    Raises InvalidValueError.
    """
    if len(given) != len(model.keys):
        names = ", ".join(model.key_names)
        raise InvalidValueError(model.name, names, f"expected a value for each, got {len(given)}")
    first, *further = (
        parsed_value(model.entity, spec, text) for spec, text in zip(model.keys, given, strict=True)
    )
    return (first, *further) if further else first


def parsed_entity(entity: type[Entity], cells: Mapping[str, object], *, text: bool) -> Entity:
    """Return the entity that *cells* describe, by field; what the store sets is left to it.

    With *text*, an empty cell is a null where the field may have one. Raises InvalidValueError.
    """
    known = {spec.name: spec for spec in fields_of_entity(entity)}
    values: dict[str, object] = {}
    for name, cell in cells.items():
        spec = known.get(name)
        if spec is None:
            raise InvalidValueError(
                entity.__name__, name, f"is not a field; fields are: {', '.join(known)}"
            )
        if not spec.in_constructor:
            continue
        empty = text and cell == "" and spec.type.nullable
        values[name] = None if empty else parsed_value(entity, spec, cell)
    try:
        return entity(**values)
    except TypeError as error:  # a field without a default is not there
        raise InvalidValueError(entity.__name__, "", str(error)) from None


def _prepared(spec: FieldSpec, given: object) -> object:
    if spec.type.kind is Kind.BYTES and isinstance(given, str):
        return base64.b64decode(given, validate=True)
    if not isinstance(given, str):
        return given
    if spec.type.kind is Kind.JSON:
        return orjson.loads(given)
    declared = spec.type.python
    whole = spec.type.kind is Kind.INT
    if whole and isinstance(declared, type) and issubclass(declared, enum.Enum):
        return int(given)
    return given


def _expected(spec: FieldSpec) -> str:
    declared = spec.type.python
    if isinstance(declared, type) and issubclass(declared, enum.Enum):
        return f"one of {', '.join(str(member.value) for member in declared)}"
    return _WORDS[spec.type.kind]


_WORDS = {
    Kind.BOOL: "true or false",
    Kind.INT: "a whole number",
    Kind.FLOAT: "a number",
    Kind.STR: "text",
    Kind.BYTES: "bytes in base64",
    Kind.DECIMAL: "a decimal number",
    Kind.DATETIME: "a time such as 2026-01-31T12:00:00Z",
    Kind.DATE: "a date such as 2026-01-31",
    Kind.TIME: "a time of day such as 12:00:00",
    Kind.TIMEDELTA: "a duration such as PT1M30S, or seconds",
    Kind.UUID: "a UUID",
    Kind.JSON: "JSON",
}


@lru_cache(maxsize=1024)
def _adapter(spec: FieldSpec) -> TypeAdapter[object]:
    from pydantic import TypeAdapter  # noqa: PLC0415 - the same

    return TypeAdapter(cast("type[object]", spec.type.python))
