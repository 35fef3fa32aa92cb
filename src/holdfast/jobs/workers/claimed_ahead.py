"""What a worker has claimed: what runs, and what it has claimed ahead of its turn.

While jobs are short, a worker claims more of them than it can run at once, so that it does not
wait for the store between one and the next. It holds as many as it does in a tenth of a second,
none where jobs take long; one whose turn does not come in time goes back to its queue.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, LeaseLostError
from holdfast.jobs.claim_floors import ClaimFloors, SearchPace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from holdfast.jobs.claim import Claimed
    from holdfast.jobs.jobs import Jobs
    from holdfast.jobs.workers.worker_options import WorkerOptions

_log = logging.getLogger("holdfast.jobs")
_AHEAD = 0.1  # seconds of work that are claimed ahead
_MOST_AHEAD = 500  # jobs
_LOOK_IDLE = 0.2  # seconds between two looks for jobs whose time has come, where too few were found
_LOOK_BUSY = 1.0  # and where there were enough
_PATIENCE = 1.0  # seconds, at most, that a job claimed ahead waits for its turn
_SMOOTHING = 0.1  # the part that the latest duration has in their mean


class ClaimedAhead:
    """The claims of the worker *name*: those that run, and those that wait for their turn."""

    def __init__(
        self, jobs: Jobs, name: str, options: WorkerOptions, tasks: Collection[str] | None
    ) -> None:
        self._jobs = jobs
        self._name = name
        self._options = options
        self._tasks = tasks
        self._waiting: deque[tuple[Claimed, float]] = deque()
        self._handling: Counter[str] = Counter()
        self._unwritten = 0
        self._mean = 1.0  # second: until it is known, nothing is claimed ahead
        self._timed = 0
        self._looked = float("-inf")
        self._ended = False
        self._floors = ClaimFloors()
        self._pace = SearchPace()
        self.started = 0
        """How many jobs were started since the beginning."""
        self.patience = min(_PATIENCE, options.lease.total_seconds() / 3)

    @property
    def busy(self) -> bool:
        """Whether anything runs, waits, or is being written down."""
        return bool(self._waiting or self._unwritten)

    @property
    def _ahead(self) -> int:
        """How many jobs may wait for their turn."""
        return min(_MOST_AHEAD, int(_AHEAD / max(self._mean, 1e-6) * self._options.concurrency))

    def room(self) -> int:
        """Return how many jobs to claim now; 0 while enough are there."""
        ahead = self._ahead
        most = self._options.concurrency + ahead
        if self._unwritten + len(self._waiting) > 2 * most:
            return 0  # the store is slower than the handlers
        there = self._handling.total() + len(self._waiting)
        few = there < self._options.concurrency or len(self._waiting) <= ahead // 2
        return max(0, most - there) if few else 0

    def look_soon(self) -> None:
        """Look for jobs whose time has come as soon as there is room: one that others await ended.

        While there is other work, many such ends are told of together.
        """
        self._ended = True

    async def find(self, room: int, *, ends: bool, start: Callable[[], None]) -> int:
        """Claim up to *room* jobs and return how many there were; see `to_start`.

        *ends*: the worker ends when there are none, so it looks for those whose time has come too.
        That may take longer than a lease where many workers died, so *start* is called before it.
        Raises UnavailableError.
        """
        floors = None if ends else self._floors
        found = await self._claim(room, floors)
        start()
        since = time.monotonic() - self._looked
        short = found < room and (ends or self._ended or since >= _LOOK_IDLE)
        if short or since >= _LOOK_BUSY:
            self._looked, self._ended = time.monotonic(), False
            pace = None if ends else self._pace
            ready = await self._jobs.make_ready(pace=pace, floors=self._floors)
            if ready and found < room:
                found += await self._claim(room - found, floors)
        return found

    async def _claim(self, room: int, floors: ClaimFloors | None) -> int:
        options, caps = self._options, self._options.queue_concurrency
        queues: tuple[str, ...] | dict[str, int] = options.queues
        if caps:
            there = self._handling + Counter(claim.job.queue for claim, _ in self._waiting)
            left = {
                queue: caps.get(queue, room) - there[queue] * (queue in caps) for queue in queues
            }
            queues = {queue: count for queue, count in left.items() if count > 0}
            if not queues:
                return 0
        asked = time.monotonic()
        found = await self._jobs.claim_ready(
            self._name,
            room,
            queues=queues,
            lease=options.lease,
            tasks=self._tasks,
            floors=floors,
        )
        took = time.monotonic() - asked
        if took > self.patience:  # a store as slow as that would let what is claimed ahead lapse
            self._mean = max(self._mean, took)
        self._waiting.extend((claim, asked) for claim in found)
        return len(found)

    def to_start(self) -> Iterator[Claimed]:
        """Yield the claims whose turn has come; the caller runs each, by `running`.

        One whose lease ran out meanwhile is somebody else's by now, and left to them.
        """
        over = time.monotonic() - self._options.lease.total_seconds()
        while self._waiting and self._handling.total() < self._options.concurrency:
            claim, since = self._waiting.popleft()
            if since <= over:
                _log.warning("job %s: its lease ran out before it could start", claim.job.id)
                continue
            self._handling[claim.job.queue] += 1
            self._unwritten += 1
            self.started += 1
            yield claim

    @contextmanager
    def running(self, claim: Claimed) -> Iterator[Callable[[], None]]:
        """Run the block, which does the job of *claim*; it calls what it is given when it is done.

        Then the next job may start, while the block writes down what came of this one.
        """
        began, queue, over = time.monotonic(), claim.job.queue, False

        def handled() -> None:
            nonlocal over
            if not over:
                over = True
                self._handling[queue] -= 1
                took = time.monotonic() - began
                self._timed += 1
                self._mean += (took - self._mean) * max(_SMOOTHING, 1 / self._timed)

        try:
            yield handled
        finally:
            handled()
            self._unwritten -= 1

    async def put_back_the_late(self) -> None:
        """Return the jobs to their queues whose turn has not come in time."""
        late = time.monotonic() - self.patience
        while self._waiting and self._waiting[0][1] <= late:
            self._mean = max(self._mean, self.patience)  # or they would be claimed ahead again
            await self._put_back(self._waiting.popleft()[0])

    async def put_back(self) -> None:
        """Return all jobs that wait for their turn to their queues."""
        while self._waiting:
            await self._put_back(self._waiting.popleft()[0])

    async def _put_back(self, claim: Claimed) -> None:
        try:
            self._floors.lower([await self._jobs.put_back(claim)])
        except LeaseLostError:
            return  # somebody else has it already
        except HoldfastError as error:
            _log.warning("job %s is left to its lease: %s", claim.job.id, error)
