"""What a mapped column may hold, as the value type of a field."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.sqltypes import _AbstractInterval as AbstractInterval  # its only name

from holdfast.errors import ConfigurationError
from holdfast.records.values.text import ValueRejected
from holdfast.records.values.value import Bounds, Kind, ValueType, value_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.types import TypeEngine

_BITS: tuple[tuple[type[sa.Integer], int], ...] = ((sa.SmallInteger, 16), (sa.BigInteger, 64))
_SINGLE_PRECISION = 24  # bits of a mantissa up to which SQL's FLOAT is a single
_ASKED_BY = DefaultDialect()
"""The dialect that a TypeDecorator is told it works for."""
_TRANSPARENT = ("process_bind_param", "process_result_value")
_OPAQUE = ("bind_processor", "result_processor", "bind_expression", "column_expression")


def column_type(column: sa.Column[Any], hint: object = None) -> ValueType:
    """Return the type of the values of *column*, which is annotated as *hint* says.

    Raises ConfigurationError for a type that can't hold the rules, with the way to mend it.
    """
    found = _value_type(column.type)
    if isinstance(column.type, sa.JSON) and hint is not None:
        try:
            told = value_type(hint, Bounds())
        except ConfigurationError:  # a type of the caller's own: any JSON may be in it
            told = found
        if told.kind is Kind.JSON and told.load is None:
            found = told
    return replace(found, nullable=bool(column.nullable))


def plain(declared: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type that stands under *declared*, with all decoration taken off."""
    while isinstance(declared, sa.TypeDecorator) and not isinstance(declared, AbstractInterval):
        declared = declared.load_dialect_impl(_ASKED_BY)
    return declared


def decoration(declared: TypeEngine[Any]) -> sa.TypeDecorator[Any] | None:
    """Return *declared* if it is a decorator that changes values."""
    if not isinstance(declared, sa.TypeDecorator) or isinstance(declared, AbstractInterval):
        return None
    if any(_overrides(declared, name) for name in _TRANSPARENT):
        return declared
    return decoration(declared.load_dialect_impl(_ASKED_BY))


def _overrides(declared: sa.TypeDecorator[Any], name: str) -> bool:
    return getattr(type(declared), name) is not getattr(sa.TypeDecorator, name)


def _value_type(declared: TypeEngine[Any]) -> ValueType:
    if isinstance(declared, sa.TypeDecorator) and not isinstance(declared, AbstractInterval):
        return _decorated(declared)
    if isinstance(declared, sa.Enum):
        return _enum(declared)
    name = type(declared).__name__
    match declared:
        case sa.CHAR() | sa.NCHAR():
            raise _no(declared, "it pads what it holds; say String")
        case sa.String() if name != "CITEXT":
            return value_type(str, Bounds(max_length=declared.length))
        case sa.Boolean():
            return value_type(bool, Bounds())
        case sa.Integer():
            return _integer(declared)
        case sa.Float():
            return _float(declared)
        case sa.Numeric():
            return _decimal(declared)
        case sa.DateTime():
            return _moment(declared)
        case sa.Date():
            return value_type(date, Bounds())
        case sa.Time():
            if declared.timezone:
                raise _no(declared, "a time of day has no zone; say Time()")
            return value_type(time, Bounds())
        case AbstractInterval():
            return value_type(timedelta, Bounds())
        case sa.Uuid():
            if not declared.as_uuid:
                raise _no(declared, "its values are no UUIDs; say Uuid()")
            return value_type(UUID, Bounds())
        case sa.LargeBinary():
            return value_type(bytes, Bounds(max_length=declared.length))
        case sa.JSON():
            return value_type(object, Bounds())
        case _:
            raise _no(
                declared,
                "expected String, Text, Integer, BigInteger, SmallInteger, Boolean, Float, Double, "
                "Numeric, DateTime, Date, Time, Interval, Uuid, LargeBinary, Enum, JSON, or a "
                "TypeDecorator of one",
            )


def _no(declared: TypeEngine[Any], why: str) -> ConfigurationError:
    return ConfigurationError(f"no field can be of the type {declared!r}: {why}")


def _integer(declared: sa.Integer) -> ValueType:
    bits = next((bits for kind, bits in _BITS if isinstance(declared, kind)), 32)
    found = value_type(int, Bounds())
    if bits == 64:
        return found
    limit = 2 ** (bits - 1)

    def check(value: object) -> object:
        whole = cast("int", found.check(value))
        if not -limit <= whole < limit:
            raise ValueRejected(
                f"{whole} does not fit in the {bits} bits of {type(declared).__name__}"
            )
        return whole

    return replace(found, check=check, bounds=Bounds(precision=bits))


def _float(declared: sa.Float[Any]) -> ValueType:
    single = isinstance(declared, sa.REAL) or type(declared).__name__ == "FLOAT"
    if single or (declared.precision or 53) <= _SINGLE_PRECISION:
        raise _no(declared, "a single-precision number comes back as another one; say Double")
    if declared.asdecimal:
        raise _no(declared, "a float is not an exact decimal; say Numeric(precision, scale)")
    return value_type(float, Bounds())


def _decimal(declared: sa.Numeric[Any]) -> ValueType:
    if not declared.asdecimal:
        raise _no(declared, "with asdecimal=False its values are floats; say Double")
    if declared.precision is None:
        raise _no(declared, "say how many digits: Numeric(precision, scale)")
    bounds = Bounds(precision=declared.precision, scale=declared.scale or 0)
    return value_type(Decimal, bounds)


def _moment(declared: sa.DateTime) -> ValueType:
    aware = value_type(datetime, Bounds())
    if declared.timezone:
        return aware

    def check(value: object) -> object:
        if isinstance(value, datetime):
            if value.tzinfo is not None:
                raise ValueRejected(
                    f"{value} has a time zone; for that say DateTime(timezone=True)"
                )
            value = value.replace(tzinfo=UTC)
        return aware.check(value)

    return replace(aware, check=check, load=_without_zone)


def _without_zone(value: object) -> datetime:
    return cast("datetime", value).replace(tzinfo=None)


def _enum(declared: sa.Enum) -> ValueType:
    """The row value is what SQLAlchemy stores: a member's name, or what values_callable says."""
    texts = list(declared.enums)
    if declared.enum_class is None:
        members: dict[object, str] = {text: text for text in texts}
    else:
        listed = list(declared.enum_class.__members__.values())
        members = dict(zip(listed, texts, strict=True))
    by_text: dict[object, object] = {}
    for member, text in members.items():
        by_text.setdefault(text, member)

    def check(value: object) -> object:
        try:
            known = members.get(value)
        except TypeError:
            known = None
        if known is None or type(value) not in kinds:
            raise ValueRejected(f"expected one of {', '.join(map(repr, members))}, got {value!r}")
        return known

    kinds = {type(member) for member in members}
    load = None if declared.enum_class is None else by_text.__getitem__
    stored = value_type(str, Bounds(max_length=declared.length))
    return replace(stored, python=declared.enum_class or str, check=check, load=load)


def _decorated(declared: sa.TypeDecorator[Any]) -> ValueType:
    """The row value is what the decorator hands to the type under it."""
    opaque = [name for name in _OPAQUE if _overrides(declared, name)]
    if opaque:
        raise _no(
            declared,
            f"it defines {opaque[0]}; define process_bind_param and process_result_value instead",
        )
    inner = _value_type(declared.load_dialect_impl(_ASKED_BY))
    bind: Callable[[Any, Any], object] | None = None
    result: Callable[[Any, Any], object] | None = None
    if _overrides(declared, "process_bind_param"):
        bind = declared.process_bind_param
    if _overrides(declared, "process_result_value"):
        result = declared.process_result_value
    if bind is None and result is None:
        return inner

    def check(value: object) -> object:
        given = value
        if bind is not None:
            try:
                given = bind(value, _ASKED_BY)
            except (ValueError, TypeError, ArithmeticError, AttributeError) as error:
                raise ValueRejected(
                    f"{type(declared).__name__} does not take {value!r}: {error}"
                ) from error
        return inner.check(given)

    def load(value: object) -> object:
        if inner.load is not None:
            value = inner.load(value)
        return value if result is None else result(value, _ASKED_BY)

    return replace(inner, check=check, load=load, python=declared.python_type)
