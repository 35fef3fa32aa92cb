"""Where a worker's searches for jobs begin: behind what a database can't remove yet.

While a transaction is held open, PostgreSQL keeps each version of a row that ends meanwhile, with
its entries in indexes, and so does InnoDB. A search along the order of claims then reads over all
jobs that were claimed since. A worker knows how far it has come, and goes on from there.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.jobs.job import NO_LANE, Job
from holdfast.records import everything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from holdfast.jobs.claim_batch import ClaimBatch
    from holdfast.records import Predicate, Repository

LATE = timedelta(seconds=2)
"""How long a transaction may take that puts a job in, for the next search to find it."""
WHOLE_EVERY = 1.0
"""Seconds between two whole searches, at the least."""
WHOLE_WITHIN = 60.0
"""Seconds between two of them, at the most: one may have taken long as the store was held up."""
_QUICK = 0.002  # seconds
_SHARE = 1 / 100  # of the time, at the most, that whole searches of one kind take
_FIRST_SHARE = 1 / 20  # while it is not known well what they take
_LITTLE = 3  # times what searches from the floor take: then whole ones are made instead
_LEVELS = 8  # priorities that are remembered; with more, each search is whole
_IN_A_ROW = 8  # whole ones; then one from the floor tells again what those take
_RECENT = 3  # searches of which the quickest says what they cost: the machine may slow one down


class SearchPace:
    """Tells when a search goes over the whole of its index, and not from a floor on.

    That is nearly always, while it costs little more than the other. Else it is once a second, and
    less often where it takes long, up to once a minute: a hundredth of the time goes into it, five
    until three have told what they take. *tell* gives seconds.
    """

    def __init__(self, tell: Callable[[], float] = time.monotonic) -> None:
        self.tell = tell
        self._costs: deque[float] = deque(maxlen=_RECENT)
        self._costs_from_floor: deque[float] = deque(maxlen=_RECENT)
        self._in_a_row = 0
        self._due = float("-inf")

    def whole(self) -> bool:
        """Return whether the next search is to be whole."""
        if self.tell() >= self._due:
            return True
        little = _LITTLE * min(self._costs_from_floor, default=0.0)
        return self._in_a_row < _IN_A_ROW and min(self._costs, default=0.0) < little

    def quick(self) -> bool:
        """Return whether whole searches cost next to nothing, as far as they were made."""
        return min(self._costs, default=0.0) <= _QUICK

    def took(self, began: float, *, whole: bool = True) -> None:
        """Note that a search is over which began at *began*, by the seconds of `tell`."""
        now = self.tell()
        if not whole:
            self._costs_from_floor.append(now - began)
            self._in_a_row = 0
            return
        self._costs.append(now - began)
        self._in_a_row += 1
        known = len(self._costs) == _RECENT  # the first may have had to connect
        share = _SHARE if known else _FIRST_SHARE
        self._due = now + min(max(WHOLE_EVERY, min(self._costs) / share), WHOLE_WITHIN)


@dataclass
class _Head:
    """Where the jobs of one queue begin: by precedence, the earliest run_at that may be left."""

    pace: SearchPace
    levels: dict[int, datetime] = field(default_factory=dict)

    def whole(self) -> bool:
        return not 0 < len(self.levels) <= _LEVELS or self.pace.whole()

    def parts(self) -> Iterator[tuple[int | None, Predicate]]:
        """Yield what there is to search, in the order of claims: each level, and between them."""
        after = everything()
        for level, floor in sorted(self.levels.items()):
            yield None, after & (Job.precedence < level)
            yield level, (Job.precedence == level) & (Job.run_at >= floor)
            after = Job.precedence > level
        yield None, after

    def passed(self, taken: Sequence[Job], latest: datetime, *, all_taken: bool) -> None:
        """Note what a search took over all levels, *all_taken*: and that it left nothing there."""
        met = {job.precedence for job in taken}
        known = met | self.levels.keys()
        if all_taken:
            self.levels.update(dict.fromkeys(known, latest))
            return
        last = max(met)
        self.levels.update((level, latest) for level in known if level < last)
        self.reached(last, taken, latest, all_taken=False)

    def reached(
        self, level: int, taken: Sequence[Job], latest: datetime, *, all_taken: bool
    ) -> None:
        """Note what a search of one level took."""
        times = [job.run_at for job in taken if job.precedence == level]
        self.levels[level] = latest if all_taken else min(max(times), latest)

    async def take_parts(
        self, where: Predicate, most: int, batch: ClaimBatch, latest: datetime
    ) -> None:
        """Claim up to *most* jobs that fit *where*, from the floors on."""
        for level, part in self.parts():
            taken = await batch.take(where & part, most)
            if level is None:
                for job in taken:  # of a level that was not known
                    self.levels[job.precedence] = min(job.run_at, latest)
            else:
                self.reached(level, taken, latest, all_taken=len(taken) < most)
            most -= len(taken)
            if most == 0:
                return


class ClaimFloors:
    """What one worker remembers of its claims, by queue.

    A job that comes to stand before the floor of its priority, as another worker put it back or the
    transaction that put it in took longer than LATE, waits for the next whole search, which is the
    next one unless such searches cost much; for what the worker itself put back, see `lower`.
    *tell* gives seconds.
    """

    def __init__(self, tell: Callable[[], float] = time.monotonic) -> None:
        self._heads: dict[str, _Head] = defaultdict(lambda: _Head(SearchPace(tell)))
        self._asking = SearchPace(tell)

    async def any_ready(self, jobs: Repository[Job], queues: Sequence[str]) -> bool:
        """Return whether *queues* may have jobs to claim: True while it is not known."""
        if not self._asking.quick() and not self._asking.whole():
            return True
        began = self._asking.tell()
        found = await jobs.exists(Job.lane.in_(queues))
        self._asking.took(began)
        return found

    def lower(self, jobs: Iterable[Job]) -> None:
        """Let the next search see those of *jobs* that can be claimed, wherever they stand."""
        for job in jobs:
            levels = self._heads[job.queue].levels
            if job.lane != NO_LANE and job.precedence in levels:
                levels[job.precedence] = min(levels[job.precedence], job.run_at)

    def forget(self, queue: str) -> None:
        """Let the next search of *queue* be a whole one."""
        self._heads.pop(queue, None)

    async def take(self, queue: str, where: Predicate, most: int, batch: ClaimBatch) -> list[Job]:
        """Claim up to *most* jobs of *queue* that fit *where*, as far as floors let see them.

        Returns those that this call claimed.
        """
        head, before = self._heads[queue], len(batch.claims)
        latest = batch.now() - LATE
        whole, began = head.whole(), head.pace.tell()
        if whole:
            taken = await batch.take(where, most)
            head.passed(taken, latest, all_taken=len(taken) < most)
        else:
            await head.take_parts(where, most, batch, latest)
        head.pace.took(began, whole=whole)
        return [claim.job for claim in batch.claims[before:]]
