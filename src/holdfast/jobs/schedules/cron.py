"""Cron expressions: five fields that name minutes of the wall clock in a zone.

The fields are minute, hour, day of the month, month, day of the week: `*`, numbers, names (`jan`,
`mon`), ranges `a-b`, steps `*/n`, `a-b/n`, lists by commas; Sunday is 0 and 7. `@hourly`, `@daily`
(`@midnight`), `@weekly`, `@monthly`, `@yearly` (`@annually`) are short forms. Where both days are
given, one of them has to fit; where one begins with `*`, both have to (as in Vixie's cron).

When clocks are changed, an expression whose hour begins with `*` goes by the hours that pass: none
in a missing hour, and one in each of two that have the same name. Any other names a time of the
day, which happens once: the first time if it comes twice, and at the change if it is missing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FAR = timedelta(days=366 * 41)  # a Sunday that is 29 February may be 40 years away
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    first: int
    last: int
    names: Mapping[str, int]


_FIELDS = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of the month", 1, 31, {}),
    _Field("month", 1, 12, {name: at for at, name in enumerate(_MONTHS, 1)}),
    _Field("day of the week", 0, 7, {name: at for at, name in enumerate(_DAYS)}),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression in a zone; `Cron.of` reads one."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    every_hour: bool
    zone: str

    @classmethod
    def of(cls, text: str, zone: str = "UTC") -> Self:
        """Return the expression *text* by the wall clock of *zone*, such as Europe/Athens.

        Raises ConfigurationError for what is no expression, never happens, or no zone.
        """
        fields = _ALIASES.get(text.strip().lower(), text).split()
        if len(fields) != len(_FIELDS):
            known = ", ".join(_ALIASES)
            raise ConfigurationError(f"cron={text!r}: expected five fields, or one of {known}")
        zone_of(zone)
        minutes, hours, days, months, weekdays = (
            frozenset(_values(given, field, text))
            for given, field in zip(fields, _FIELDS, strict=True)
        )
        found = cls(
            tuple(sorted(minutes)),
            tuple(sorted(hours)),
            days,
            months,
            frozenset(day % 7 for day in weekdays),
            either_day=not (fields[2].startswith("*") or fields[4].startswith("*")),
            every_hour=fields[1].startswith("*"),
            zone=zone,
        )
        if not found.either_day and min(days) > max(monthrange(2000, month)[1] for month in months):
            raise ConfigurationError(f"cron={text!r}: no such day is in any of its months")
        return found

    def next(self, after: datetime) -> datetime:
        """Return the first tick later than *after*, in UTC. Raises OverflowError in far times."""
        day = self._day_of(after) - _DAY  # the tick of a missing hour may be after its day
        for _ in range(_FAR.days):
            ticks = self._ticks(day)
            at = bisect_right(ticks, after)
            if at < len(ticks):
                return ticks[at]
            day += _DAY
        raise OverflowError(f"no tick within {_FAR.days} days")

    def previous(self, before: datetime) -> datetime:
        """Return the last tick earlier than *before*, in UTC. Raises OverflowError in far times."""
        day = self._day_of(before) + _DAY
        for _ in range(_FAR.days):
            ticks = self._ticks(day)
            at = bisect_left(ticks, before)
            if at:
                return ticks[at - 1]
            day -= _DAY
        raise OverflowError(f"no tick within {_FAR.days} days")

    def _day_of(self, moment: datetime) -> date:
        return moment.astimezone(zone_of(self.zone)).date()

    def _ticks(self, day: date) -> tuple[datetime, ...]:
        weekday = day.isoweekday() % 7
        of_month, of_week = day.day in self.days, weekday in self.weekdays
        fits = of_month or of_week if self.either_day else of_month and of_week
        return _ticks_on(self, day) if fits and day.month in self.months else ()


def zone_of(name: str) -> tzinfo:
    """Return the zone *name*, such as Europe/Athens. Raises ConfigurationError for an unknown one.

    Zones are the system's; where it has none, those of the package tzdata. UTC is always there.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"zone={name!r}: expected the name of a time zone, such as Europe/Athens; where the "
            "system has no time zones, install the package tzdata"
        ) from None


@lru_cache(maxsize=64)
def _ticks_on(cron: Cron, day: date) -> tuple[datetime, ...]:
    """Return the ticks of the wall clock's *day*, which fits, in the order in which they come."""
    zone = zone_of(cron.zone)
    walls = [
        datetime.combine(day, time(hour, minute)) for hour in cron.hours for minute in cron.minutes
    ]
    midnight, next_midnight = (datetime.combine(each, time(), zone) for each in (day, day + _DAY))
    if midnight.utcoffset() == next_midnight.utcoffset():
        offset = midnight.utcoffset() or timedelta(0)
        return tuple(wall.replace(tzinfo=UTC) - offset for wall in walls)
    found: set[datetime] = set()
    for wall in walls:
        moments = list(_moments(wall, zone))
        if cron.every_hour:
            found.update(moments)
        else:
            found.add(moments[0] if moments else _change(wall, zone))
    return tuple(sorted(found))


def _moments(wall: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield when clocks in *zone* show *wall*: never, once or twice."""
    before, after = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    for moment in (before, after) if before != after else (before,):
        if moment.astimezone(zone).replace(tzinfo=None) == wall:
            yield moment


def _change(wall: datetime, zone: tzinfo) -> datetime:
    """Return when clocks in *zone* jump over *wall*."""
    # By the offset before the change it lies behind it, by the one after it before it.
    late, early = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    offset = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


def _values(given: str, field: _Field, text: str) -> Iterator[int]:
    for part in given.lower().split(","):
        span, slash, step = part.partition("/")
        every = int(step) if step.isdecimal() else 0
        if slash and every < 1:
            raise ConfigurationError(f"cron={text!r}: {field.name}: {part!r} has no step above 0")
        first, dash, last = span.partition("-")
        if span == "*":
            low, high = field.first, field.last
        else:
            low = _value(first, field, text)
            high = _value(last, field, text) if dash else field.last if slash else low
        if low > high:
            raise ConfigurationError(f"cron={text!r}: {field.name}: {part!r} runs backwards")
        yield from range(low, high + 1, every or 1)


def _value(text: str, field: _Field, whole: str) -> int:
    value = field.names.get(text, int(text) if text.isdecimal() else -1)
    if not field.first <= value <= field.last:
        raise ConfigurationError(
            f"cron={whole!r}: {field.name}: expected {field.first} to {field.last}, got {text!r}"
        )
    return value
