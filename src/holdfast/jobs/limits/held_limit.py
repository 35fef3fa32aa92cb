"""A limit in the hands of one claim: what it still allows, and what the claim has used of it."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from holdfast.jobs.limits.job_limit import JobLimit, JobLimitKey, still_used

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.records import Change

ANY_NUMBER = 2**31
"""What is allowed where nothing is limited."""
_ROUNDING = 1e-6  # of a start: what has come back by a hair less than whole is whole


class HeldLimit:
    """The limit of *row*, which the claim holds, as of *now*."""

    def __init__(self, row: JobLimit, now: datetime) -> None:
        self.row = row
        self.running: Counter[str | None] = Counter()
        """Jobs that run, by key; all under None where keys don't count."""
        self.used = still_used(row, row.rate, row.period, now)
        self.key_used: dict[str, float] = {}
        self.started = 0
        self.last_key, self.turn_left = row.last_key, row.turn_left
        self.writes_turn = True
        """Whether it is to be written down whose turn it is."""
        self._now = now
        self._key_counted: dict[str, datetime] = {}
        self._changed: set[str] = set()

    @property
    def counts_running(self) -> bool:
        """Whether what runs has to be counted."""
        return self.row.concurrency is not None or self.row.key_concurrency is not None

    @property
    def room(self) -> int:
        """How many more jobs may start now."""
        room = ANY_NUMBER
        if self.row.concurrency is not None:
            room = self.row.concurrency - self.running.total()
        if self.row.rate is not None:
            room = min(room, _whole(self.row.rate - self.used))
        return max(0, room)

    def key_room(self, key: str | None) -> int:
        """Return how many more with *key* may, by the limits of keys; see `count_key`."""
        if key is None:
            return ANY_NUMBER
        room = ANY_NUMBER
        if self.row.key_concurrency is not None:
            room = self.row.key_concurrency - self.running[key]
        if self.row.key_rate is not None:
            room = min(room, _whole(self.row.key_rate - self.key_used[key]))
        return max(0, room)

    def count_key(self, key: str, row: JobLimitKey | None) -> None:
        """Take note of what *key* has used of the rate by key: what *row* says."""
        if row is None:
            self.key_used[key], self._key_counted[key] = 0.0, self._now
            return
        self.key_used[key] = still_used(row, self.row.key_rate, self.row.period, self._now)
        self._key_counted[key] = max(self._now, row.counted_at)

    def took(self, key: str | None) -> None:
        """Take note that a job with *key* starts."""
        self.started += 1
        self.used += 1
        self.running[key] += 1
        if key is not None and self.row.key_rate is not None:
            self.key_used[key] += 1
            self._changed.add(key)

    def changes(self) -> list[Change]:
        """Return what is to be written of it."""
        found: list[Change] = []
        if self.row.rate is not None and self.started:
            # No clock that is behind makes what others counted come back twice.
            counted = max(self._now, self.row.counted_at)
            found += [JobLimit.used.to(self.used), JobLimit.counted_at.to(counted)]
        turn = (self.last_key, self.turn_left)
        if self.writes_turn and turn != (self.row.last_key, self.row.turn_left):
            found += [
                JobLimit.last_key.to(self.last_key),
                JobLimit.turn_left.to(self.turn_left),
            ]
        return found

    def changed_keys(self) -> list[JobLimitKey]:
        """Return the rows of the keys that have used more of the rate by key."""
        return [
            JobLimitKey(
                limit=self.row.name,
                limit_key=key,
                used=self.key_used[key],
                counted_at=self._key_counted[key],
            )
            for key in sorted(self._changed)
        ]


def _whole(starts: float) -> int:
    return math.floor(starts + _ROUNDING)
