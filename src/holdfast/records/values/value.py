"""What a field may hold, checked at the boundary so that every backend agrees.

An entity's value is turned into a *row value*, the only thing a driver ever sees: enums become
their `.value`, structured types become JSON, datetimes become UTC. Everything is copied on the way.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, InvalidOperation
from uuid import UUID

from holdfast.errors import ConfigurationError
from holdfast.records.values.json_values import INT_MAX, INT_MIN, copy_json
from holdfast.records.values.text import ValueRejected, check_text

if typing.TYPE_CHECKING:
    from pydantic import TypeAdapter

DECIMAL_DIGITS = 18
EXACT = Context(prec=60)  # the caller's own context must not round what is stored


class Kind(enum.Enum):
    """The kinds of row value; what a driver has to be able to store."""

    __hash__ = object.__hash__  # Enum's own is a call of Python, for each table by kind

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    STR = "str"
    BYTES = "bytes"
    DECIMAL = "decimal"
    DATETIME = "datetime"
    DATE = "date"
    TIME = "time"
    TIMEDELTA = "timedelta"
    UUID = "uuid"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a declaration says about a field's values; *least* and *most* are allowed themselves."""

    max_length: int | None = None
    precision: int | None = None
    scale: int | None = None
    least: object = None
    most: object = None


@dataclass(frozen=True, slots=True)
class ValueType:
    """A field's type: how its values are checked into row values and made from them again."""

    python: object
    kind: Kind
    nullable: bool
    bounds: Bounds
    check: Callable[[object], object]
    """Return the row value for an entity's value; raises ValueRejected. Never sees None."""
    load: Callable[[object], object] | None
    """Return the entity's value for a row value; None where they are the same."""
    container: type | None = None
    """The type that plain JSON is of, if it is declared: dict or list."""


def value_type(hint: object, bounds: Bounds) -> ValueType:
    """Return the type that *hint* declares. Raises ConfigurationError for an unknown one."""
    inner, nullable = _split_optional(hint)
    kind = _KIND_OF_TYPE.get(inner) if isinstance(inner, type) else None
    load: Callable[[object], object] | None = None
    check: Callable[[object], object]
    if kind is Kind.DECIMAL:
        check = _decimal_check(bounds)
    elif kind is Kind.STR:
        check = _text_check(bounds.max_length)
    elif kind is Kind.BYTES:
        check = _bytes_check(bounds.max_length)
    elif kind is not None:
        check = _CHECKS[kind]
    elif isinstance(inner, type) and issubclass(inner, enum.Enum):
        kind, check, load = _enum_type(inner)
    elif _is_json(inner):
        kind, check = Kind.JSON, _json_check(inner)
        return ValueType(inner, kind, nullable, bounds, check, load, _container(inner))
    else:
        kind, check, load = _structured_type(inner)
    return ValueType(inner, kind, nullable, bounds, check, load)


def _split_optional(hint: object) -> tuple[object, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [arm for arm in typing.get_args(hint) if arm is not type(None)]
        if len(members) == 1:
            return members[0], True
        raise ConfigurationError(f"{hint}: a field holds one type, or one type and None")
    return hint, False


# --- plain values ---------------------------------------------------------------------------


def _check_bool(value: object) -> bool:
    if value is True or value is False:
        return value
    raise _wrong("bool", value)


def _check_int(value: object) -> int:
    if type(value) is not int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong("int", value)
        value = int(value)
    if not INT_MIN <= value <= INT_MAX:
        raise ValueRejected(f"{value} does not fit in 64 bits")
    return value


def _check_float(value: object) -> float:
    if type(value) is not float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong("float", value)
        try:
            value = float(value)
        except OverflowError:
            raise ValueRejected("the integer is too large for a float") from None
    if not math.isfinite(value):
        raise ValueRejected(f"{value} is not a finite number")
    return value + 0.0  # -0.0 becomes 0.0, which some backends can't tell apart


def _text_check(max_length: int | None) -> Callable[[object], str]:
    def check(value: object) -> str:
        if type(value) is not str:
            if not isinstance(value, str):
                raise _wrong("str", value)
            value = str.__str__(value)
        if max_length is not None and len(value) > max_length:
            raise ValueRejected(f"{len(value)} characters, at most {max_length} are allowed")
        return check_text(value)

    return check


def _bytes_check(max_length: int | None) -> Callable[[object], bytes]:
    def check(value: object) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise _wrong("bytes", value)
        value = bytes(value)
        if max_length is not None and len(value) > max_length:
            raise ValueRejected(f"{len(value)} bytes, at most {max_length} are allowed")
        return value

    return check


def _decimal_check(bounds: Bounds) -> Callable[[object], Decimal]:
    precision, scale = bounds.precision, bounds.scale
    if precision is None or scale is None:
        raise ConfigurationError(
            "a Decimal field declares its precision and scale, as in field(digits=(12, 2))"
        )
    if not 0 <= scale <= precision <= DECIMAL_DIGITS or precision == 0:
        raise ConfigurationError(
            f"precision={precision}, scale={scale}: expected "
            f"0 <= scale <= precision and 1 <= precision <= {DECIMAL_DIGITS}"
        )
    step = Decimal(1).scaleb(-scale)
    limit = Decimal(10) ** (precision - scale)

    def check(value: object) -> Decimal:
        if not isinstance(value, Decimal):
            raise _wrong("Decimal", value)
        if not value.is_finite():
            raise ValueRejected(f"{value} is not a finite number")
        if value.copy_abs() >= limit:
            raise ValueRejected(
                f"{value} has more than {precision - scale} digits before the point"
            )
        try:
            exact = value.quantize(step, context=EXACT)
        except InvalidOperation:
            raise ValueRejected(f"{value} has more digits than can be kept") from None
        if exact != value:
            raise ValueRejected(f"{value} has more than {scale} digits after the point")
        return exact or exact.copy_abs()  # -0 becomes 0

    return check


def _check_datetime(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise _wrong("datetime", value)
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueRejected(f"{value} has no time zone; use an aware datetime")
    try:
        value = value.astimezone(UTC)
    except OverflowError:
        raise ValueRejected(f"{value} is outside the years 1 to 9999 in UTC") from None
    if type(value) is not datetime:
        value = datetime.combine(value.date(), value.time(), UTC)
    return value


def _check_date(value: object) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _wrong("date", value)
    return value if type(value) is date else date(value.year, value.month, value.day)


def _check_time(value: object) -> time:
    if not isinstance(value, time):
        raise _wrong("time", value)
    if value.tzinfo is not None:
        raise ValueRejected("a time of day is kept without a time zone")
    return time(value.hour, value.minute, value.second, value.microsecond)


def _check_timedelta(value: object) -> timedelta:
    if not isinstance(value, timedelta):
        raise _wrong("timedelta", value)
    if not INT_MIN <= value // timedelta(microseconds=1) <= INT_MAX:
        raise ValueRejected(f"{value} does not fit in 64 bits of microseconds")
    return value if type(value) is timedelta else timedelta(0) + value


def _check_uuid(value: object) -> UUID:
    if not isinstance(value, UUID):
        raise _wrong("UUID", value)
    return value if type(value) is UUID else UUID(int=value.int)


_KIND_OF_TYPE: dict[type, Kind] = {
    bool: Kind.BOOL,
    int: Kind.INT,
    float: Kind.FLOAT,
    str: Kind.STR,
    bytes: Kind.BYTES,
    Decimal: Kind.DECIMAL,
    datetime: Kind.DATETIME,
    date: Kind.DATE,
    time: Kind.TIME,
    timedelta: Kind.TIMEDELTA,
    UUID: Kind.UUID,
}
_CHECKS: dict[Kind, Callable[[object], object]] = {
    Kind.BOOL: _check_bool,
    Kind.INT: _check_int,
    Kind.FLOAT: _check_float,
    Kind.DATETIME: _check_datetime,
    Kind.DATE: _check_date,
    Kind.TIME: _check_time,
    Kind.TIMEDELTA: _check_timedelta,
    Kind.UUID: _check_uuid,
}


def _enum_type(
    declared: type[enum.Enum],
) -> tuple[Kind, Callable[[object], object], Callable[[object], object]]:
    values = {type(member.value) for member in declared}
    if values == {str}:
        kind = Kind.STR
        check_value: Callable[[object], object] = _text_check(None)
    elif values == {int}:
        kind, check_value = Kind.INT, _check_int
    else:
        raise ConfigurationError(
            f"{declared.__name__}: an enum field's members hold all str or all int values"
        )
    for member in declared:
        try:
            check_value(member.value)
        except ValueRejected as unfit:
            raise ConfigurationError(f"{member}: {unfit}") from None

    def check(value: object) -> object:
        if not isinstance(value, declared):
            raise _wrong(declared.__name__, value)
        return value.value

    return kind, check, declared


# --- JSON -----------------------------------------------------------------------------------


def _is_json(hint: object) -> bool:
    origin = typing.get_origin(hint) or hint
    if origin in (dict, Mapping):
        keys = typing.get_args(hint)[:1]
        values = typing.get_args(hint)[1:]
        return keys in ((), (str,)) and all(_is_json_value(value) for value in values)
    if origin in (list, Sequence):
        return all(_is_json_value(value) for value in typing.get_args(hint))
    return hint is object


def _is_json_value(hint: object) -> bool:
    return hint in (object, typing.Any) or _is_json(hint)


def _container(hint: object) -> type | None:
    containers: dict[object, type] = {dict: dict, Mapping: dict, list: list, Sequence: list}
    return containers.get(typing.get_origin(hint) or hint)


def _json_check(hint: object) -> Callable[[object], object]:
    expected = _container(hint)

    def check(value: object) -> object:
        if expected is not None and type(value) is not expected:
            raise _wrong(expected.__name__, value)
        return copy_json(value)

    return check


def _structured_type(
    declared: object,
) -> tuple[Kind, Callable[[object], object], Callable[[object], object]]:
    """Return the type of a dataclass, pydantic model or typed container that is kept as JSON."""
    if hasattr(declared, "__vocabulary__"):
        raise ConfigurationError(
            f"{declared!r} is an entity: a field holds its key, by ref(), and load= fetches it"
        )
    structured = isinstance(declared, type) and (
        dataclasses.is_dataclass(declared) or _is_pydantic_model(declared)
    )
    if not structured and typing.get_origin(declared) not in (list, dict, tuple):
        raise ConfigurationError(
            f"{declared!r} is not a type that a field can hold; expected one of "
            f"{', '.join(sorted(kind.__name__ for kind in _KIND_OF_TYPE))}, an Enum, dict, list, "
            "a dataclass or a pydantic model, each or None"
        )
    adapter = functools.cache(functools.partial(_adapter, declared))
    if not _holds_plain_values(declared):
        adapter()  # what pydantic can't keep is refused where it is declared
    name = declared.__name__ if isinstance(declared, type) else str(declared)

    def check(value: object) -> object:
        if isinstance(declared, type) and not isinstance(value, declared):
            raise _wrong(name, value)
        try:
            stored = copy_json(adapter().dump_python(value, mode="json", warnings="error"))
            adapter().validate_python(stored)  # pydantic writes None for anything, unasked
        except ValueError as error:  # pydantic's errors are ValueErrors
            raise ValueRejected(f"is not a valid {name}: {error}") from None
        return stored

    return Kind.JSON, check, lambda value: adapter().validate_python(value)


def _adapter(declared: object) -> TypeAdapter[object]:
    from pydantic import TypeAdapter  # noqa: PLC0415 - slow to import

    return TypeAdapter(typing.cast("type[object]", declared))


def _holds_plain_values(hint: object) -> bool:
    """Return whether *hint* is one of list, dict and tuple that any adapter takes."""
    if typing.get_origin(hint) in (list, dict, tuple):
        return all(map(_holds_plain_values, typing.get_args(hint)))
    return hint in (str, int, float, bool, ...)


def _is_pydantic_model(declared: type) -> bool:
    pydantic = sys.modules.get("pydantic")  # slow to import, and needed by no class but its own
    return pydantic is not None and issubclass(declared, pydantic.BaseModel)


def _wrong(expected: str, value: object) -> ValueRejected:
    return ValueRejected(f"expected {expected}, got {type(value).__name__}")
