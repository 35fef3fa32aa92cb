"""The time by which jobs are judged: the database server's, as far as it has a clock of its own.

So a worker whose machine's clock is wrong holds no lease too long, and takes none too early.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.clock import utc_now
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from holdfast.records import Store

COMPARED_EVERY = 60.0
"""Seconds between two looks at the server's clock."""
_WORTH_TELLING = timedelta(seconds=5)
_log = logging.getLogger("holdfast.jobs")


@dataclass(frozen=True, slots=True)
class _Look:
    """The server's clock was *there* at the monotonic time *at*; ours was *off* by that much."""

    there: datetime
    at: float
    off: timedelta


class StoreClock:
    """Tells the time of *store*: the server's when it was last looked at, and what passed since.

    What passed is taken from a clock that nobody sets, so one that is set meanwhile, by an hour or
    by a leap, changes nothing. Until the first look, and where the server has no clock, it is this
    process's, *local*. A clock that the store was opened with rules as it is.
    """

    def __init__(self, store: Store, *, local: Callable[[], datetime] | None = None) -> None:
        self._store = store
        self._local = local or store.now
        self._compares = local is not None or store.now is utc_now
        self._looked: _Look | None = None
        self._due = float("-inf")

    def now(self) -> datetime:
        """Return the time now."""
        look = self._looked
        if look is None:
            return self._local()
        return look.there + timedelta(seconds=time.monotonic() - look.at)

    async def compare(self) -> None:
        """Look at the server's clock, where the last look is COMPARED_EVERY ago.

        It is looked at sooner where this process's clock was set, or the machine slept. While the
        server is away, what was known of it holds.
        """
        if not self._compares or (time.monotonic() < self._due and not self._was_set()):
            return
        began = time.monotonic()
        self._due = began + COMPARED_EVERY
        try:
            there = await self._store.server_time()
        except HoldfastError as error:
            _log.info("the server's clock can't be read now: %s", error)
            return
        if there is None:
            self._compares = False
            return
        ended, here = time.monotonic(), self._local()
        at = began + (ended - began) / 2
        off = here - there - timedelta(seconds=ended - at)
        before = self._looked
        if abs(off - (timedelta(0) if before is None else before.off)) > _WORTH_TELLING:
            _log.warning("this machine's clock is off the database server's by %s", off)
        self._looked = _Look(there, at, off)

    def _was_set(self) -> bool:
        """Return whether *local* went another way than the time that passed since the last look."""
        look = self._looked
        return look is not None and abs(self._local() - self.now() - look.off) > _WORTH_TELLING
