"""Reads times as texts have them, the same on every Python: 3.14 takes 24:00 for the next day."""

from __future__ import annotations

from datetime import datetime, time


def read_time(text: str) -> time:
    """Return the time of day that *text* is in ISO 8601, up to 23:59. Raises ValueError."""
    _check_hour(text[:2])
    return time.fromisoformat(text)


def read_datetime(text: str) -> datetime:
    """Return the moment that *text* is in ISO 8601, its hour up to 23. Raises ValueError."""
    _check_hour(text[11:13] if text[4:5] == "-" else text[9:11])  # 2026-01-31T or 20260131T
    return datetime.fromisoformat(text)


def _check_hour(hour: str) -> None:
    if hour == "24":
        raise ValueError("a day has 24 hours, from 0 to 23")
