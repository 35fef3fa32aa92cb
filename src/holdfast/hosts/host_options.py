"""What tunes a pool of hosts: how long, how often, how many at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from holdfast.jobs import Backoff
from holdfast.option_checks import check_span, check_whole

_BACKOFF = Backoff(first=timedelta(seconds=1), limit=timedelta(seconds=30))


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPoolOptions:
    """How a pool works on its requests.

    A launch that could not be answered is tried up to *attempts* times, after pauses of *backoff*,
    each try for *launch_time* at most; then the machine is given up. A request is given up when
    more than *failures* machines failed for each one that it asked for. A machine that is to end
    has *grace* to do so by itself. One that runs but is not shown by its provider is taken for
    gone when its status is older than *unseen*. *concurrency* launches are under way at a time, and
    a request has *window* machines on their way at most, so that one which asks for thousands
    neither holds up its caller nor fills a provider's queue. Raises ConfigurationError.
    """

    attempts: int = 5
    backoff: Backoff = _BACKOFF
    launch_time: timedelta = timedelta(seconds=60)
    failures: int = 2
    grace: timedelta = timedelta(minutes=5)
    unseen: timedelta = timedelta(seconds=30)
    concurrency: int = 8
    window: int = 50

    def __post_init__(self) -> None:
        check_whole(self, "attempts", "concurrency", "window")
        check_whole(self, "failures", least=0)
        check_span(self, "launch_time", "grace", "unseen", least=timedelta(0))
