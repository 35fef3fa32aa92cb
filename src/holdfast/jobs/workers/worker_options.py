"""What tunes a worker."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from holdfast.errors import ConfigurationError
from holdfast.jobs.job_claims import LEASE
from holdfast.jobs.options import check_queues
from holdfast.jobs.workers.handler import check_timeout
from holdfast.option_checks import check_span, check_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

UNHURRIED = 60
"""Looks that found nothing, after which a worker looks no more often than every *poll*."""
_SOON = 0.01  # seconds until the next look, where there was work just now
_LATER = 1.5  # times longer, with each look that finds nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What tunes a worker; *queues* are served in the order given.

    *concurrency* is how many jobs run at once, *queue_concurrency* how many of one queue, for those
    that it names. An idle worker looks for work every *poll*, give or take a half; soon after it
    has found some, more often. Jobs whose task it has no handler for are left to others, or fail
    with unknown="fail". *name* stands in each job that it claims; the default is made of host,
    process and random digits.

    *processes* is how many child processes its handlers have, for those with executor="process";
    None: as many as *concurrency*. *timeout* holds for handlers that have none of their own. A
    worker whose process has more than *memory* bytes resident after a job claims no more and
    returns from `run` when what runs is finished, to be started again (Linux).
    """

    queues: tuple[str, ...] = ("default",)
    concurrency: int = 1
    queue_concurrency: Mapping[str, int] = field(default_factory=dict)
    lease: timedelta = LEASE
    poll: timedelta = timedelta(seconds=1)
    name: str | None = None
    unknown: Literal["leave", "fail"] = "leave"
    processes: int | None = None
    timeout: timedelta | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        check_queues(self.queues)
        check_whole(self, "concurrency")
        for queue, count in self.queue_concurrency.items():
            if queue not in self.queues or count < 1:
                raise ConfigurationError(
                    f"queue_concurrency={{{queue!r}: {count!r}}}: expected a queue that is served, "
                    "and 1 or more"
                )
        if self.unknown not in ("leave", "fail"):
            raise ConfigurationError(f'unknown={self.unknown!r}: expected "leave" or "fail"')
        if self.processes is not None:
            check_whole(self, "processes")
        if self.memory is not None and not (self.memory > 0 and sys.platform == "linux"):
            raise ConfigurationError(
                f"memory={self.memory}: expected None or a number of bytes; Linux alone tells"
            )
        check_timeout(self.timeout)
        check_span(self, "lease", "poll")

    def idle_pause(self, chance: float, empty: int) -> float:
        """Return the seconds until the next look, after *empty* looks that found nothing."""
        return min(_SOON * _LATER ** min(empty, UNHURRIED), self.pause(chance))

    def pause(self, chance: float) -> float:
        """Return the seconds until the next look for work; *chance* is drawn from [0, 1)."""
        return self.poll.total_seconds() * (0.5 + chance)
