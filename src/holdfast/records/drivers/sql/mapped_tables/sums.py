"""Sums that SQLite makes by functions of ours, for tables that don't guard their numbers."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from holdfast.records.value import EXACT

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def added(
    kind: str, stored: str | float, amount: str | float, precision: int, scale: int
) -> str | float:
    """Return *stored* and *amount* together, in the form that a mapped column keeps.

    *precision* is in bits for ints, in digits for decimals. Raises OverflowError when the sum is
    more than the field holds.
    """
    match kind:
        case "timedelta":
            total = _moment(stored) + (_moment(amount) - _EPOCH)
            return total.isoformat(" ", "microseconds")[:26]
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


def microseconds(text: str) -> int:
    """Return the length of an Interval as SQLAlchemy keeps it: a moment after 1970."""
    return (_moment(text) - _EPOCH) // _MICROSECOND


def _moment(text: str | float) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def _exactly(value: str | float, scale: int) -> Decimal:
    return Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-scale), context=EXACT)
