"""Times as texts have them: what is 24:00 on one Python is it on all, and refused."""

from datetime import UTC, datetime, time

import pytest

from holdfast.time_text import read_datetime, read_time


@pytest.mark.parametrize("text", ["24:00", "24:00:00", "24:00:00.000000", "2400", "25:00", "x"])
def test_a_time_of_day_ends_before_24(text):
    with pytest.raises(ValueError, match=r"24 hours|hour must|Invalid"):
        read_time(text)


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T24:00:00+00:00", "2026-01-01 24:00:00+00:00", "20260101T240000Z", "20260101 24"],
)
def test_a_moment_of_24_hours_is_not_of_the_next_day(text):
    with pytest.raises(ValueError, match="24 hours"):
        read_datetime(text)


def test_all_else_is_read_as_it_is():
    assert read_time("23:24:24") == time(23, 24, 24)
    for text in ("2024-01-24T10:24:24Z", "20240124T102424Z", "2024-01-24 10:24:24+00:00"):
        assert read_datetime(text) == datetime(2024, 1, 24, 10, 24, 24, tzinfo=UTC)
    assert read_datetime("2024-01-24") == datetime(2024, 1, 24)  # noqa: DTZ001 - it says no zone
