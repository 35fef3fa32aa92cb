"""How SQLite keeps each kind of row value, and how it comes back.

Every form sorts and compares in SQLite as the value does in Python. Text is what SQLite reads and
writes fastest, and a person can read it.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, cast
from uuid import UUID, SafeUUID

import orjson
import sqlalchemy as sa

from holdfast.records.values.aggregate_values import mean
from holdfast.records.values.value import Kind
from holdfast.time_text import read_datetime, read_time
from holdfast.uuid7 import set_int, set_safety

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.types import TypeEngine

    from holdfast.records.expressions.operands import Aggregate
    from holdfast.records.values.field_spec import FieldSpec

_MICROSECOND = timedelta(microseconds=1)
_UUID_LENGTH = 36

TYPES: dict[Kind, TypeEngine[object]] = cast(
    "dict[Kind, TypeEngine[object]]",
    {
        Kind.BOOL: sa.INTEGER(),
        Kind.INT: sa.INTEGER(),
        Kind.FLOAT: sa.REAL(),
        Kind.STR: sa.TEXT(),
        Kind.BYTES: sa.BLOB(),
        Kind.DECIMAL: sa.INTEGER(),  # in units of the last declared digit
        Kind.DATETIME: sa.TEXT(),  # 2026-11-21 08:30:00.000000, always UTC, always this wide
        Kind.DATE: sa.TEXT(),
        Kind.TIME: sa.TEXT(),
        Kind.TIMEDELTA: sa.INTEGER(),  # microseconds
        Kind.UUID: sa.TEXT(),  # 36 characters
        Kind.JSON: sa.TEXT(),
    },
)


_new, _UNKNOWN = UUID.__new__, SafeUUID.unknown


def decode_uuid(text: str) -> UUID:
    """Return the UUID that *text* spells in 36 characters.

    What `uuid7.uuid_from_int` does stands here again: a call of it for each value of a result
    costs as much as the making.
    """
    if len(text) != _UUID_LENGTH:
        raise ValueError("a UUID has 36 characters")
    made = _new(UUID)
    set_int(made, int(text.replace("-", ""), 16))
    set_safety(made, _UNKNOWN)
    return made


def encode_datetime(value: datetime) -> str:
    """Return the text of *value*, which is in UTC: all moments have the same width."""
    return value.isoformat(" ", "microseconds")[:26]


def decode_datetime(text: str) -> datetime:
    """Return the moment that `encode_datetime` wrote."""
    return read_datetime(text + "+00:00")


def _remembering(encode: Callable[[datetime], str]) -> Callable[[object], object]:
    """Return *encode* with its last answer kept: the rows of a batch have one time of writing."""
    last: tuple[object, str] = (None, "")

    def encoded(value: object) -> str:
        nonlocal last
        known, text = last
        if value is not known:
            text = encode(cast("datetime", value))
            last = (value, text)
        return text

    return encoded


def _encode_decimal(value: object) -> int:
    """Return the digits as a whole number; all values of a field have the same scale."""
    sign, digits, _ = cast("Decimal", value).as_tuple()
    whole = int("".join(map(str, digits)))
    return -whole if sign else whole


def encode_json(value: object) -> str:
    """Return *value* as JSON text."""
    return orjson.dumps(value).decode()


def encoder(spec: FieldSpec) -> Callable[[object], object] | None:
    """Return what turns a row value of *spec* into SQLite's; None where they are the same."""
    match spec.type.kind:
        case Kind.BOOL:
            return cast("Callable[[object], object]", int)
        case Kind.DECIMAL:
            return _encode_decimal
        case Kind.DATETIME:
            return _remembering(encode_datetime)
        case Kind.DATE:
            return lambda value: cast("date", value).isoformat()
        case Kind.TIME:
            return lambda value: cast("time", value).isoformat("microseconds")
        case Kind.TIMEDELTA:
            return lambda value: cast("timedelta", value) // _MICROSECOND
        case Kind.UUID:
            return cast("Callable[[object], object]", str)
        case Kind.JSON:
            return encode_json
        case _:
            return None


def decoder(spec: FieldSpec) -> Callable[[object], object] | None:
    """Return what turns SQLite's value of *spec* into a row value; None where they are the same."""
    match spec.type.kind:
        case Kind.BOOL:
            return bool
        case Kind.DECIMAL:
            unit = f"E-{spec.type.bounds.scale}"
            return lambda value: Decimal(f"{value}{unit}")
        case Kind.DATETIME:
            return cast("Callable[[object], object]", decode_datetime)
        case Kind.DATE:
            return cast("Callable[[object], object]", date.fromisoformat)
        case Kind.TIME:
            return cast("Callable[[object], object]", read_time)
        case Kind.TIMEDELTA:
            return lambda value: cast("int", value) * _MICROSECOND
        case Kind.UUID:
            return cast("Callable[[object], object]", decode_uuid)
        case Kind.JSON:
            return cast("Callable[[object], object]", orjson.loads)
        case _:
            return None


UP = 2**62
"""What is added to the upper bits of a sum, so that none of them is negative."""
TOTAL = "%019d%010d"
"""A sum as text that sorts as the sum does: its upper bits and `UP`, its lower 32 bits."""


def total_encoder(encode: Callable[[object], object] | None) -> Callable[[object], object]:
    """Return what turns a sum of values that *encode* makes ints into its text."""

    def written(total: object) -> str:
        whole = cast("int", total if encode is None else encode(total))
        return TOTAL % ((whole >> 32) + UP, whole & 2**32 - 1)

    return written


def total_decoder(decode: Callable[[object], object] | None) -> Callable[[object], object]:
    """Return what turns the text of a sum into what *decode* makes of an int."""

    def read(text: object) -> object:
        upper, lower = cast("str", text)[:19], cast("str", text)[19:]
        whole = (int(upper) - UP << 32) + int(lower)
        return whole if decode is None else decode(whole)

    return read


def aggregate_decoder(aggregate: Aggregate) -> Callable[[object], object] | None:
    """Return what turns SQLite's aggregate into a row value or sum; None where they are the same.

    Sums and means of whole numbers come as text: the sum of the values' upper 32 bits, that of
    their lower 32 bits, and the count.
    """
    if aggregate.operand is None or not aggregate.nullable:
        return None
    spec = aggregate.operand.spec
    decode = decoder(spec)
    if aggregate.function == "percentile":
        return None
    if aggregate.function in ("min", "max") or spec.type.kind is Kind.FLOAT:
        return decode
    is_mean = aggregate.function == "avg"

    def read(text: object) -> object:
        upper, lower, count = map(int, cast("str", text).split())
        total: object = (upper << 32) + lower
        total = total if decode is None else decode(total)
        return mean(total, count) if is_mean else total

    return read
