"""How templates write values: times in the viewer's zone, sizes, counts, foreign text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson

from holdfast import formatting

if TYPE_CHECKING:
    from collections.abc import Callable

    from markupsafe import Markup

NOTHING = "\N{EN DASH}"  # what stands where there is no value
_LONG = 120


def stamp(when: datetime | None) -> Markup | str:
    """Return *when* as an element that a script writes in the viewer's zone; UTC without one."""
    from markupsafe import Markup  # noqa: PLC0415 - of the extra `console`

    if when is None:
        return NOTHING
    utc = when.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="milliseconds"), f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    )


def short(text: object, most: int = _LONG) -> str:
    """Return *text* in at most *most* characters, cut ones marked by an ellipsis."""
    whole = formatting.readable(str(text))
    return whole if len(whole) <= most else f"{whole[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


_OPERATORS = {"gte": "from", "lte": "to", "gt": "above", "lt": "below", "icontains": "contains"}


def criterion(name: str) -> str:
    """Return what a filter asks of a field, as its form says it: `size from` for `size__gte`."""
    field, _, operator = name.partition("__")
    return f"{field.replace('_', ' ')} {_OPERATORS.get(operator, operator)}".rstrip()


def lasted(time: timedelta | float | None) -> str:
    """Return a length of time as people say it, a dash where there is none."""
    if time is None:
        return NOTHING
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    days, rest = divmod(int(seconds), 86_400)
    if days:
        return f"{days} d {rest // 3600} h"
    return formatting.lasting(seconds)


def metric(value: object, digits: int = 4) -> str:
    """Return a number that was measured, in so many *digits* that count; all before its point."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return short(value, 16)
    text = f"{value:.{digits}g}"
    return f"{value:,.0f}" if "e" in text and 1 <= abs(value) < 1e12 else text


def indented(value: object) -> str:
    """Return JSON as people read it, over several lines."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


FILTERS: dict[str, Callable[..., object]] = {
    "clock": formatting.clock,
    "criterion": criterion,
    "lasted": lasted,
    "metric": metric,
    "number": formatting.number,
    "plain": formatting.plain,
    "readable": formatting.readable,
    "share": formatting.share,
    "short": short,
    "stamp": stamp,
    "volume": formatting.volume,
}
"""The filters of the console's templates."""
