"""The functions that SQLite's statements call: JSON, case, and sums that are exact.

SQLite has no word of its own for what they do, or does it otherwise than the rules say.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from holdfast.records.drivers.sql.sqlite_codecs import decode_datetime, encode_datetime
from holdfast.records.expressions.predicates import Operator, Part
from holdfast.records.rows.evaluate import has_item, in_json_order, matches, value_at
from holdfast.records.values.aggregate_values import percentile
from holdfast.records.values.json_edit import EditAction, JsonEdit, edited
from holdfast.records.values.json_values import json_equal
from holdfast.records.values.text import ValueRejected, fold_case
from holdfast.records.values.truncated_times import truncated
from holdfast.records.values.value import EXACT

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from holdfast.records.values.truncated_times import Unit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def add_functions(connection: sqlite3.Connection) -> None:
    """Let the statements of *connection* call them."""
    for name, arity, function in _FUNCTIONS:
        connection.create_function(name, arity, function, deterministic=True)
    percentiles: Any = _Percentile  # whose stubs know aggregates of one int alone
    connection.create_aggregate("holdfast_percentile", 2, percentiles)


class _Percentile:
    """What SQLite feeds the values of a group, and asks for their percentile."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._fraction = 0.0

    def step(self, *given: Any) -> None:
        value, self._fraction = given
        if value is not None:
            self._values.append(value)

    def finalize(self) -> float | None:
        return percentile(self._values, self._fraction) if self._values else None


def _truncated(text: str | None, unit: Unit, zone: str) -> str | None:
    if text is None:
        return None
    found = truncated(decode_datetime(text), unit, zone)
    return encode_datetime(found) if isinstance(found, datetime) else found.isoformat()


def _follow(text: str | None, steps: str) -> str | None:
    if text is None:
        return None
    found = value_at(orjson.loads(text), tuple(orjson.loads(steps)))
    return None if found is None else orjson.dumps(found).decode()


def _compare(text: str | None, how: str, wanted: str) -> bool:
    if text is None:
        return False
    found, value = orjson.loads(text), orjson.loads(wanted)
    if how == Operator.EQ.value:
        return json_equal(found, value)
    return in_json_order(Operator(how), found, value)


def _among(text: str | None, wanted: str) -> bool:
    if text is None:
        return False
    found = orjson.loads(text)
    return any(json_equal(found, value) for value in _listed(wanted))


@lru_cache(maxsize=8)
def _listed(wanted: str) -> list[object]:
    """Return the values of a list, which is the same for each row of a statement."""
    values: list[object] = orjson.loads(wanted)
    return values


def _match(text: str | None, part: str, wanted: str, ignore_case: int) -> bool:
    return text is not None and matches(
        orjson.loads(text), Part(part), wanted, ignore_case=bool(ignore_case)
    )


def _has_item(text: str | None, wanted: str) -> bool:
    return text is not None and has_item(orjson.loads(text), orjson.loads(wanted))


def _edited(text: str | None, said: str) -> str | None:
    """Return the document with an edit made. Raises OverflowError where it can't be."""
    steps, action, value = orjson.loads(said)
    edit = JsonEdit(tuple(steps), EditAction(action), value)
    try:
        made = edited(None if text is None else orjson.loads(text), edit)
    except ValueRejected as unfit:
        raise OverflowError(str(unfit)) from None
    return None if made is None else orjson.dumps(made).decode()


def _whole(value: float | None) -> int | None:
    """Return *value*. Raises OverflowError for a float, which SQLite makes of too large an int."""
    if isinstance(value, float):
        raise OverflowError("more than 64 bits")
    return value


def _finite(value: float | None) -> float | None:
    """Return *value*, minus zero as zero. Raises OverflowError for an infinity."""
    if value is None:
        return None
    if not math.isfinite(value):
        raise OverflowError("more than a float holds")
    return value + 0.0


def _shifted(text: str | None, span: int | None, sign: int) -> str | None:
    if text is None or span is None:
        return None
    moment = decode_datetime(text) + timedelta(microseconds=span) * sign
    return encode_datetime(moment)


def _elapsed(text: str | None, since: str | None) -> int | None:
    if text is None or since is None:
        return None
    return (decode_datetime(text) - decode_datetime(since)) // _MICROSECOND


def _fold(text: str | None) -> str | None:
    return None if text is None else fold_case(text)


def _add(
    kind: str, stored: str | float | None, amount: str | float, precision: int, scale: int
) -> str | float | None:
    return None if stored is None else _added(kind, stored, amount, precision, scale)


def _span(text: str | None) -> int | None:
    """Return the microseconds of an Interval as SQLAlchemy keeps it: a moment after 1970."""
    return None if text is None else (decode_datetime(text) - _EPOCH) // _MICROSECOND


def _added(
    kind: str, stored: str | float, amount: str | float, precision: int, scale: int
) -> str | float:
    """Return *stored* and *amount* together, in the form that a mapped column keeps.

    *precision* is in bits for ints, in digits for decimals. Raises OverflowError when the sum is
    more than the field holds.
    """
    match kind:
        case "timedelta":
            total = decode_datetime(str(stored)) + (decode_datetime(str(amount)) - _EPOCH)
            return encode_datetime(total)
        case "decimal":
            whole = _exactly(stored, scale) + _exactly(amount, scale)
            if abs(whole) >= Decimal(10) ** (precision - scale):
                raise OverflowError(f"more than {precision} digits")
            return float(whole)
        case "int":
            found = int(stored) + int(amount)
            if not -(2 ** (precision - 1)) <= found < 2 ** (precision - 1):
                raise OverflowError(f"more than {precision} bits")
            return found
        case _:
            real = float(stored) + float(amount)
            if not math.isfinite(real):
                raise OverflowError("more than a float holds")
            return real


def _exactly(value: str | float, scale: int) -> Decimal:
    return Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-scale), context=EXACT)


_FUNCTIONS: tuple[tuple[str, int, Callable[..., str | bytes | float | None]], ...] = (
    ("holdfast_follow", 2, _follow),
    ("holdfast_compare", 3, _compare),
    ("holdfast_among", 2, _among),
    ("holdfast_match", 4, _match),
    ("holdfast_has_item", 2, _has_item),
    ("holdfast_edited", 2, _edited),
    ("holdfast_whole", 1, _whole),
    ("holdfast_finite", 1, _finite),
    ("holdfast_shifted", 3, _shifted),
    ("holdfast_elapsed", 2, _elapsed),
    ("holdfast_real", 1, float),
    ("holdfast_bytes", 1, bytes.fromhex),
    ("holdfast_fold", 1, _fold),
    ("holdfast_add", 5, _add),
    ("holdfast_span", 1, _span),
    ("holdfast_truncated", 3, _truncated),
)
