"""Row values as attribute values of DynamoDB, and back, exactly.

Numbers are its `N`: integers, decimals, durations (in microseconds) and floats from 1e-130 to
1e126, which are kept by their shortest text. A float beyond these is kept as 8 bytes that sort as
floats do. Times are text of one width that sorts, UUIDs lower-case text, JSON one text: the
service's own numbers don't tell 1 from 1.0, and its documents nest 32 levels, not 100. A null is an
attribute that is not there; of what others wrote, `NULL` is one too, and maps and lists are JSON.
"""

from __future__ import annotations

import base64
import struct
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import orjson

from holdfast.records.values.value import EXACT, Kind
from holdfast.time_text import read_datetime, read_time
from holdfast.uuid7 import uuid_from_int

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from holdfast.records.values.field_spec import FieldSpec

AttributeValue: TypeAlias = dict[str, object]
"""One value as it is sent: its type's letter, and the value."""
Item: TypeAlias = dict[str, AttributeValue]

_MICROSECOND = timedelta(microseconds=1)
_LEAST, _BEYOND = 1e-130, 1e126  # magnitudes of N
_SIGN = 1 << 63


def encoder(spec: FieldSpec) -> Callable[[object], AttributeValue]:
    """Return the function from the field's row values, but None, to attribute values."""
    return _ENCODERS[spec.type.kind]


def decoder(spec: FieldSpec) -> Callable[[object], object]:
    """Return the function from attribute values to row values.

    It raises LookupError, ValueError or ArithmeticError for what the field can't hold.
    """
    if spec.type.kind is Kind.DECIMAL:
        return partial(_decimal, Decimal(1).scaleb(-(spec.type.bounds.scale or 0)))
    return _DECODERS[spec.type.kind]


def is_number(value: float) -> bool:
    """Return whether *value* is kept as a number, else as bytes."""
    return value == 0 or _LEAST <= abs(value) < _BEYOND


def float_bytes(value: float) -> AttributeValue:
    """Return *value* as bytes that sort as floats do."""
    return {"B": base64.b64encode(_sortable(value).to_bytes(8)).decode()}


def sortable_text(spec: FieldSpec, value: object) -> str:
    """Return a text of the row value: texts of one field compare as its values do."""
    match spec.type.kind:
        case Kind.BOOL:
            return "1" if value else "0"
        case Kind.INT:
            return f"{cast('int', value) + _SIGN:020}"
        case Kind.TIMEDELTA:
            return f"{cast('timedelta', value) // _MICROSECOND + _SIGN:020}"
        case Kind.DECIMAL:
            scaled = cast("Decimal", value).scaleb(spec.type.bounds.scale or 0, EXACT)
            return f"{int(scaled) + _SIGN:020}"
        case Kind.FLOAT:
            return f"{_sortable(cast('float', value)):016x}"
        case Kind.BYTES:
            return cast("bytes", value).hex()
        case _:
            return cast("str", _ENCODERS[spec.type.kind](value)["S"])


def _sortable(value: float) -> int:
    """Return an unsigned number of 64 bits; such numbers compare as their floats do."""
    bits = int.from_bytes(struct.pack(">d", value))
    return bits ^ (2 * _SIGN - 1) if bits & _SIGN else bits | _SIGN


def _from_sortable(data: bytes) -> float:
    bits = int.from_bytes(data)
    bits = bits ^ _SIGN if bits & _SIGN else bits ^ (2 * _SIGN - 1)
    return cast("float", struct.unpack(">d", bits.to_bytes(8))[0])


def _encode_float(value: float) -> AttributeValue:
    return {"N": repr(value)} if is_number(value) else float_bytes(value)


def _decode_float(found: Any) -> float:
    if "N" in found:
        return float(found["N"])
    data = base64.b64decode(found["B"], validate=True)
    if len(data) != 8:
        raise ValueError(f"a float of {len(data)} bytes")
    return _from_sortable(data)


def _decimal(step: Decimal, found: Any) -> Decimal:
    value = Decimal(found["N"])
    exact = value.quantize(step, context=EXACT)
    if exact != value:
        raise ValueError(f"{value} has more digits than the field")
    return exact


def _int(found: Any) -> int:
    text = found["N"]
    try:
        return int(text)
    except ValueError:  # others write 1E+2, or 1.0
        exact = Decimal(text)
        if exact != int(exact):
            raise
        return int(exact)


def _moment_text(value: datetime) -> str:
    return f"{value.isoformat(timespec='microseconds')[:-6]}Z"


def _aware(found: Any) -> datetime:
    moment = read_datetime(found["S"])
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment


def _uuid(found: Any) -> UUID:
    text = found["S"]
    if len(text) != 36:
        raise ValueError("a UUID has 36 characters")
    return uuid_from_int(int(text.replace("-", ""), 16))


def _json(found: Any) -> object:
    return orjson.loads(found["S"]) if "S" in found else plain_json({"": found})[""]


def plain_json(item: Item) -> dict[str, object]:
    """Return *item*, written by others, as JSON: sets as lists, whole numbers as integers.

    Raises ValueError for bytes, which JSON has not.
    """
    return {name: _plain(value) for name, value in item.items()}


def _plain(value: AttributeValue) -> object:
    ((letter, held),) = value.items()
    match letter:
        case "S" | "BOOL":
            return held
        case "NULL":
            return None
        case "N":
            return _number(cast("str", held))
        case "M":
            return plain_json(cast("Item", held))
        case "L":
            return [_plain(each) for each in cast("list[AttributeValue]", held)]
        case "SS":
            return list(cast("list[str]", held))
        case "NS":
            return [_number(each) for each in cast("list[str]", held)]
        case _:
            raise ValueError(f"an attribute of type {letter} is no JSON")


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


_ENCODERS: dict[Kind, Callable[[Any], AttributeValue]] = {
    Kind.BOOL: lambda value: {"BOOL": value},
    Kind.INT: lambda value: {"N": str(value)},
    Kind.FLOAT: _encode_float,
    Kind.STR: lambda value: {"S": value},
    Kind.BYTES: lambda value: {"B": base64.b64encode(value).decode()},
    Kind.DECIMAL: lambda value: {"N": f"{value.normalize(EXACT):f}"},
    Kind.DATETIME: lambda value: {"S": _moment_text(value)},
    Kind.DATE: lambda value: {"S": value.isoformat()},
    Kind.TIME: lambda value: {"S": value.isoformat(timespec="microseconds")},
    Kind.TIMEDELTA: lambda value: {"N": str(value // _MICROSECOND)},
    Kind.UUID: lambda value: {"S": str(value)},
    Kind.JSON: lambda value: {"S": orjson.dumps(value).decode()},
}
_DECODERS: dict[Kind, Callable[[Any], object]] = {
    Kind.BOOL: itemgetter("BOOL"),
    Kind.INT: _int,
    Kind.FLOAT: _decode_float,
    Kind.STR: itemgetter("S"),
    Kind.BYTES: lambda found: base64.b64decode(found["B"], validate=True),
    Kind.DATETIME: _aware,
    Kind.DATE: lambda found: date.fromisoformat(found["S"]),
    Kind.TIME: lambda found: read_time(found["S"]),
    Kind.TIMEDELTA: lambda found: _int(found) * _MICROSECOND,
    Kind.UUID: _uuid,
    Kind.JSON: _json,
}
