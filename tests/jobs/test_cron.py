from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from holdfast.errors import ConfigurationError
from holdfast.jobs.schedules.cron import Cron


def wall(text, zone):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def ticks(expression, zone, start, count):
    """The first ticks after *start*, as the wall clock shows them, and the same ones backwards."""
    cron, moment = Cron.of(expression, zone), wall(start, zone).astimezone(UTC)
    found = []
    for _ in range(count):
        moment = cron.next(moment)
        found.append(moment)
    backwards = [found[-1]]
    while len(backwards) < count:
        backwards.append(cron.previous(backwards[-1]))
    assert backwards[::-1] == found
    return [each.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes") for each in found]


@pytest.mark.parametrize(
    ("zone", "start", "expected"),
    [
        (  # an hour is missing: 02:30 happens at the change
            "Europe/Berlin",
            "2026-03-28T00:00",
            ["2026-03-28T02:30+01:00", "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"],
        ),
        (  # an hour comes twice: the first one
            "America/New_York",
            "2026-10-31T12:00",
            ["2026-11-01T02:30-05:00", "2026-11-02T02:30-05:00", "2026-11-03T02:30-05:00"],
        ),
        (
            "Australia/Lord_Howe",  # half an hour is missing, from 02:00 to 02:30
            "2026-10-03T12:00",
            ["2026-10-04T02:30+11:00", "2026-10-05T02:30+11:00", "2026-10-06T02:30+11:00"],
        ),
    ],
)
def test_a_time_of_the_day_happens_once_a_day_whatever_the_clocks_do(zone, start, expected):
    assert ticks("30 2 * * *", zone, start, 3) == expected


def test_a_time_that_comes_twice_happens_the_first_time():
    assert ticks("30 1 * * *", "America/New_York", "2026-11-01T00:00", 2) == [
        "2026-11-01T01:30-04:00",
        "2026-11-02T01:30-05:00",
    ]
    assert ticks("*/30 1 * * *", "Europe/London", "2026-10-25T00:00", 3) == [
        "2026-10-25T01:00+01:00",
        "2026-10-25T01:30+01:00",
        "2026-10-26T01:00+00:00",
    ]


def test_several_times_in_a_missing_hour_are_one_tick_at_the_change():
    assert ticks("*/20 2,3 * * *", "America/New_York", "2026-03-08T00:00", 4) == [
        "2026-03-08T03:00-04:00",
        "2026-03-08T03:20-04:00",
        "2026-03-08T03:40-04:00",
        "2026-03-09T02:00-04:00",
    ]


def test_a_midnight_and_a_whole_day_that_are_missing_happen_at_the_change():
    assert ticks("0 0 * * 0", "America/Sao_Paulo", "2018-10-30T00:00", 2) == [
        "2018-11-04T01:00-02:00",
        "2018-11-11T00:00-02:00",
    ]
    assert ticks("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00", 3) == [
        "2011-12-29T12:00-10:00",
        "2011-12-31T00:00+14:00",
        "2011-12-31T12:00+14:00",
    ]


def test_every_hour_goes_by_the_hours_that_pass():
    missing = ticks("30 * * * *", "Europe/Berlin", "2026-03-29T01:00", 2)
    assert missing == ["2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00"]
    twice = ticks("30 * * * *", "Europe/Berlin", "2026-10-25T02:00", 3)
    assert twice == ["2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00", "2026-10-25T03:30+01:00"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("15,45 8-10/2 * * *", ["2026-01-01T08:15", "2026-01-01T08:45", "2026-01-01T10:15"]),
        ("0 0 1 jan-mar/2 *", ["2026-03-01T00:00", "2027-01-01T00:00", "2027-03-01T00:00"]),
        ("50/5 23 * * *", ["2026-01-01T23:50", "2026-01-01T23:55", "2026-01-02T23:50"]),
        ("0 9 * * Mon-Fri", ["2026-01-01T09:00", "2026-01-02T09:00", "2026-01-05T09:00"]),
        ("0 0 * * 7", ["2026-01-04T00:00", "2026-01-11T00:00", "2026-01-18T00:00"]),
        ("0 0 13 * fri", ["2026-01-02T00:00", "2026-01-09T00:00", "2026-01-13T00:00"]),
        ("0 0 */2 * thu", ["2026-01-15T00:00", "2026-01-29T00:00", "2026-02-05T00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"]),
        ("@hourly", ["2026-01-01T01:00", "2026-01-01T02:00", "2026-01-01T03:00"]),
        ("@Monthly", ["2026-02-01T00:00", "2026-03-01T00:00", "2026-04-01T00:00"]),
    ],
)
def test_fields_mean_what_cron_means_by_them(expression, expected):
    found = ticks(expression, "UTC", "2026-01-01T00:00", 3)
    assert [each.removesuffix("+00:00") for each in found] == expected


def test_a_tick_is_after_the_moment_even_within_its_minute():
    cron, minute = Cron.of("* * * * *"), datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
    assert cron.next(minute) == minute + timedelta(minutes=1)
    assert cron.next(minute + timedelta(microseconds=1)) == minute + timedelta(minutes=1)
    assert cron.previous(minute + timedelta(microseconds=1)) == minute
    assert cron.previous(minute) == minute - timedelta(minutes=1)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ("* * * *", "five fields"),
        ("@reboot", "five fields"),
        ("60 * * * *", "minute: expected 0 to 59, got '60'"),
        ("* * 0 * *", "day of the month: expected 1 to 31"),
        ("* * * foo *", "month: expected 1 to 12, got 'foo'"),
        ("5-1 * * * *", "runs backwards"),
        ("*/0 * * * *", "no step above 0"),
        ("*/x * * * *", "no step above 0"),
        ("1,,2 * * * *", "got ''"),
        ("0 0 L * *", "got 'l'"),
        ("0 0 30 2 *", "no such day"),
    ],
)
def test_what_is_no_expression_is_refused_and_said(wrong, match):
    with pytest.raises(ConfigurationError, match=match):
        Cron.of(wrong)


def test_a_zone_that_nobody_knows_is_refused():
    for zone in ("Europe/Atlantis", "../etc/passwd", ""):
        with pytest.raises(ConfigurationError, match="time zone"):
            Cron.of("@daily", zone)
