"""Moments cut down to the hour, day, week, month or year in which they lie, by a zone's clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from typing import Literal, TypeAlias, cast, get_args
from zoneinfo import ZoneInfo

from holdfast.errors import InvalidQueryError
from holdfast.records.values.field_spec import Declaration, FieldSpec
from holdfast.records.values.value import Bounds, value_type

Unit: TypeAlias = Literal["hour", "day", "week", "month", "year"]

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_DAY = timedelta(days=1)


@cache
def truncated_spec(unit: Unit) -> FieldSpec:
    """Return the field that moments cut down to *unit* could be those of."""
    kind = datetime if unit == "hour" else date
    return FieldSpec(unit, -1, value_type(kind, Bounds()), Declaration(), None)


def check_unit(unit: object, zone: object) -> None:
    """Raise InvalidQueryError for a *unit* or a *zone* that there is not."""
    if unit not in get_args(Unit):
        raise InvalidQueryError(f"truncated({unit!r}): expected one of {', '.join(get_args(Unit))}")
    try:
        zone_of(cast("str", zone))
    except (KeyError, ValueError, TypeError, OSError):
        raise InvalidQueryError(
            f"zone={zone!r}: expected a name of the time zone database, such as 'Europe/Athens'"
        ) from None


@cache
def zone_of(name: str) -> tzinfo:
    """Return the zone *name*. Raises KeyError or ValueError for one that is not known."""
    return UTC if name == "UTC" else ZoneInfo(name)


def truncated(moment: datetime, unit: Unit, zone: str) -> datetime | date:
    """Return when the *unit* that *moment* lies in began.

    An hour as the moment at which it began, by the offset that *zone* has at *moment*; a day as
    its date there, and what is longer as the date of its first day. A week begins on a Monday.
    What lies before the year 1 there is in its first day, what lies after 9999 in its last.
    """
    try:
        local = moment.astimezone(zone_of(zone))
        day = local.date()
    except OverflowError:
        day, inward = (date.min, _DAY) if moment.year == 1 else (date.max, -_DAY)
        local = (moment + inward).astimezone(zone_of(zone))  # where clocks show the same time
    match unit:
        case "hour":
            since = timedelta(
                minutes=local.minute, seconds=local.second, microseconds=local.microsecond
            )
            return moment - min(since, moment - _EARLIEST)
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)
