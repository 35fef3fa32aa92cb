"""Values as the audit keeps them, in JSON: by their kind, hashed where large, hidden where told.

A plain value is null, a bool, a number or text. What is more is an object with one sign: `json`
holds a document, `sha256` stands for content that is not kept (with its length in `bytes`), and
`redacted` for a value that must not be known.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, TypeVar, cast
from uuid import UUID

import orjson

from holdfast.errors import InvalidValueError
from holdfast.records.values.value import Kind
from holdfast.time_text import read_datetime, read_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.entities.model import Model, Row
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

LARGEST = 1024
"""Bytes of text, of bytes or of a document from which their hash is kept instead."""
REDACTED: dict[str, object] = {"redacted": True}
_MICROSECOND = timedelta(microseconds=1)
_LARGE = (Kind.STR, Kind.BYTES, Kind.JSON)


class Unknown(Enum):
    """A value that the audit does not hold: hashed, redacted, left out or erased."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN
"""What stands for a value that the audit does not hold."""


def captured_changes(
    model: Model[object], before: Row | None, after: Row | None
) -> dict[str, list[object]]:
    """Return the fields that differ, each with its value *before* and *after* as it is kept.

    A new row has nulls before, a removed one after; fields that are null on both sides, and those
    with `audit="skip"`, are not there.
    """
    found: dict[str, list[object]] = {}
    for spec in model.fields:
        policy = spec.declaration.audit
        old = None if before is None else before[spec.position]
        new = None if after is None else after[spec.position]
        if policy != "skip" and not _same(old, new):
            found[spec.name] = [captured(spec, old), captured(spec, new)]
    return found


def _same(old: object, new: object) -> bool:
    return type(old) is type(new) and old == new


def captured(spec: FieldSpec, value: object) -> object:
    """Return the row value *value* as it is kept."""
    policy = spec.declaration.audit
    if value is None:
        return None
    if policy == "redact":
        return REDACTED
    kind = spec.type.kind
    encode = _ENCODE.get(kind)
    made = value if encode is None else encode(value)
    if policy == "hash" or kind in _LARGE:
        content = _content(kind, value)
        if policy == "hash" or len(content) > LARGEST:
            return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return made


def _content(kind: Kind, value: object) -> bytes:
    """Return the bytes that are hashed: bytes and text themselves, else the value's JSON."""
    match kind:
        case Kind.BYTES:
            return cast("bytes", value)
        case Kind.STR:
            return cast("str", value).encode()
        case Kind.JSON:
            return orjson.dumps(value)  # as it is stored
        case _:
            encode = _ENCODE.get(kind)
            return orjson.dumps(value if encode is None else encode(value))


def recovered(spec: FieldSpec, kept: object) -> object:
    """Return the row value that *kept* stands for, UNKNOWN where it is not held."""
    if kept is None:
        return None
    kind = spec.type.kind
    if isinstance(kept, dict):
        return cast("dict[str, object]", kept).get("json", UNKNOWN)
    if kind is Kind.FLOAT:
        return float(cast("float", kept))
    decode = _DECODE.get(kind)
    return kept if decode is None else decode(kept)


def key_text(model: Model[E], key: object) -> str:
    """Return *key*, in row values, as entries name rows: text, a JSON list of a composite key."""
    kept = [
        captured(spec, part) for spec, part in zip(model.keys, model.key_parts(key), strict=True)
    ]
    return str(kept[0]) if len(kept) == 1 else orjson.dumps(kept).decode()


def key_of(model: Model[E], key: object) -> object:
    """Return the row value of *key*, given as itself or as the text that entries have.

    Raises InvalidValueError.
    """
    if len(model.keys) > 1 and isinstance(key, str):
        try:
            parts = orjson.loads(key)
        except orjson.JSONDecodeError:
            parts = key
        key = tuple(cast("list[object]", parts)) if isinstance(parts, list) else parts
    if len(model.keys) == 1:
        return _key_part(model.name, model.key, key)
    if isinstance(key, tuple) and len(key) == len(model.keys):
        key = tuple(
            _key_part(model.name, spec, part) for spec, part in zip(model.keys, key, strict=True)
        )
    return model.check_key(key)


def _key_part(entity: str, spec: FieldSpec, key: object) -> object:
    if isinstance(key, str) and spec.type.kind in _KEYS:
        try:
            return _KEYS[spec.type.kind](key)
        except ValueError:
            reason = f"{key!r} is not a {spec.type.kind.value}"
            raise InvalidValueError(entity, spec.name, reason) from None
    return spec.to_row(entity, key)


def instant(value: datetime) -> str:
    """Return an aware time in UTC, with its microseconds: `2026-01-02T03:04:05.000006Z`."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_KEYS: dict[Kind, Callable[[str], object]] = {Kind.UUID: UUID, Kind.INT: int}
_ENCODE: dict[Kind, Callable[[object], object]] = {
    Kind.BYTES: lambda value: base64.b64encode(cast("bytes", value)).decode(),
    Kind.DECIMAL: str,
    Kind.DATETIME: lambda value: instant(cast("datetime", value)),
    Kind.DATE: lambda value: cast("date", value).isoformat(),
    Kind.TIME: lambda value: cast("time", value).isoformat("microseconds"),
    Kind.TIMEDELTA: lambda value: cast("timedelta", value) // _MICROSECOND,
    Kind.UUID: str,
    Kind.JSON: lambda value: {"json": value},
}
_DECODE: dict[Kind, Callable[[object], object]] = {
    Kind.BYTES: lambda kept: base64.b64decode(cast("str", kept)),
    Kind.DECIMAL: lambda kept: Decimal(cast("str", kept)),
    Kind.DATETIME: lambda kept: read_datetime(cast("str", kept)),
    Kind.DATE: lambda kept: date.fromisoformat(cast("str", kept)),
    Kind.TIME: lambda kept: read_time(cast("str", kept)),
    Kind.TIMEDELTA: lambda kept: cast("int", kept) * _MICROSECOND,
    Kind.UUID: lambda kept: UUID(cast("str", kept)),
}
