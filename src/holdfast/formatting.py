"""Numbers, times and foreign text as a person reads them."""

from __future__ import annotations

import math
import re
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
# What no HTML document may hold: controls, lone surrogates, non-characters. And what turns the
# direction of text, by which `exe.png` can be the name of a program.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    "\u202a-\u202e\u2066-\u2069]"
)


def readable(text: str) -> str:
    """*text* with what HTML can't hold, or misleads, replaced by U+FFFD; nothing is escaped."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def clock(seconds: float, *, tenths: bool = False) -> str:
    """A moment of the video: 1:05, with *tenths* 1:05.3, from an hour on 1:01:05."""
    units = max(0, math.floor(seconds * 10 + 1e-6) if tenths else math.floor(seconds + 1e-6))
    whole, part = divmod(units, 10) if tenths else (units, 0)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{shown}.{part}" if tenths else shown


def lasting(seconds: float) -> str:
    """A length of time: 4.2 s, 1 min 12 s, 2 h 05 min."""
    if round(seconds, 1) < 60:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes:02} min"


def moment(when: datetime) -> str:
    """An aware time, in UTC: 21 November 2026, 09:30 UTC."""
    utc = when.astimezone(UTC)
    return f"{utc.day} {_MONTHS[utc.month - 1]} {utc.year}, {utc:%H:%M} UTC"


def since(seconds: float, start: datetime) -> str:
    """The time *seconds* after the aware *start*, in its own zone: 2026-01-01 10:05:00."""
    return f"{start + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"


def volume(size: int) -> str:
    """Bytes in decimal units: 8.1 MB."""
    if size < 1000:
        return f"{size} byte" if size == 1 else f"{size} bytes"
    amount, unit = size / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if amount < 999.95:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}"


def number(value: int) -> str:
    """A count with its thousands apart: 1,204."""
    return f"{value:,}"


def plain(value: float) -> str:
    """At most two decimals, none that say nothing: 25, 29.97."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def share(part: float) -> str:
    """A share of the whole in percent; what is not quite nothing or all doesn't say so."""
    percent = min(100.0, max(0.0, part * 100))
    if 0 < percent < 1:
        return "under 1%"
    if 99 < percent < 100:
        return "over 99%"
    return f"{percent:.0f}%"
