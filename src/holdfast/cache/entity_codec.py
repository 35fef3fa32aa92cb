"""Entities to bytes and back, by their model: the row values, and what the fields were."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

import msgspec

from holdfast.cache.codec import Unreadable
from holdfast.errors import InvalidValueError, StoredValueError
from holdfast.records.rows.hydration import from_rows
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

_TYPES: dict[Kind, Any] = {
    Kind.BOOL: bool,
    Kind.INT: int,
    Kind.FLOAT: float,
    Kind.STR: str,
    Kind.BYTES: bytes,
    Kind.DECIMAL: Decimal,
    Kind.DATETIME: datetime,
    Kind.DATE: date,
    Kind.TIME: time,
    Kind.TIMEDELTA: timedelta,
    Kind.UUID: UUID,
    Kind.JSON: Any,
}
_NONE = b"\xc0"

_encode = msgspec.msgpack.Encoder(uuid_format="bytes").encode


class EntityCodec(Generic[E]):
    """Encodes the entities of one model; others of its name are unreadable."""

    def __init__(self, model: Model[E]) -> None:
        self._model = model
        self._mark = _fingerprint(model)
        row: Any = tuple.__class_getitem__((bytes, *map(_type, model.fields)))
        self._decoder = msgspec.msgpack.Decoder(row)
        self._made = from_rows(model)

    def encode(self, key: str, value: E | None) -> bytes:
        """Return the bytes of *value*. Raises InvalidValueError for one that has none."""
        if value is None:
            return _NONE
        try:
            return _encode((self._mark, *self._model.stored_row(value)))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidValueError("cache", repr(key), f"can't be stored: {error}") from None

    def decode(self, raw: bytes) -> E | None:
        """Return the entity in *raw*. Raises Unreadable."""
        if raw == _NONE:
            return None
        try:
            mark, *row = self._decoder.decode(raw)
        except (msgspec.DecodeError, ValueError) as error:
            raise Unreadable(str(error)) from None
        if mark != self._mark:
            raise Unreadable("the entity's fields were others")
        try:
            return self._made([tuple(row)])[0]
        except StoredValueError as error:  # of a program whose enum has a member more
            raise Unreadable(str(error)) from None


def _type(spec: FieldSpec) -> Any:
    kind = _TYPES[spec.type.kind]
    return kind | None if spec.type.nullable and kind is not Any else kind


def _fingerprint(model: Model[E]) -> bytes:
    fields = "\n".join(
        f"{spec.name} {spec.type.kind.value} {spec.type.python!r}" for spec in model.fields
    )
    return hashlib.sha256(fields.encode()).digest()[:8]
