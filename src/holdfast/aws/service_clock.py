"""The time by which requests are signed: this machine's, corrected where the service's is another.

A service of AWS refuses what was signed more than 15 minutes away from its own time, and each of
its answers says what that time is.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from holdfast.clock import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_NEAR = timedelta(minutes=4)
"""Times that differ by less are no reason for a refusal: services allow 5 minutes and more."""


class ServiceClock:
    """Tells the time that a service has. Safe to use from many tasks and threads at once."""

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """Return the service's time, as far as is known: this machine's until `follow`."""
        return self._clock() + self._ahead

    def follow(self, date: str | None, signed: datetime) -> bool:
        """Go by *date*, the ``Date`` of an answer that refused what was *signed* then.

        Tells whether the two are so far apart that the request is worth another try; else, as for
        nonsense and None, nothing changes. Another request may have set the clock meanwhile.
        """
        if date is None or not date.isascii():
            return False
        try:
            moment = parsedate_to_datetime(date)
            if moment.tzinfo is None:  # as RFC 5322 says of -0000
                moment = moment.replace(tzinfo=UTC)
            if abs(moment - signed) < _NEAR:
                return False
            self._ahead = moment - self._clock()
        except (ValueError, OverflowError):
            return False
        return True
