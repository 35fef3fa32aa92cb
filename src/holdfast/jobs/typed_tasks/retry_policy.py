"""Retry policies: how often jobs of a task are tried, how long after, and after which errors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError, PermanentError, RetryLaterError
from holdfast.jobs.options import LONGEST_DELAY
from holdfast.option_checks import check_whole

if TYPE_CHECKING:
    from holdfast.jobs.options import Backoff
    from holdfast.jobs.workers.handler import Handler


_AT_ONCE = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How the jobs of a task are tried again.

    *attempts* in all, where the one who enqueues says nothing else; None: as for any job. *backoff*
    is how long they wait, None: as `Jobs` was given. Errors of the types *permanent* fail the job
    at once, as `PermanentError` does. A `RetryLaterError` says its own delay.
    Raises ConfigurationError for what can't be.
    """

    attempts: int | None = None
    backoff: Backoff | None = None
    permanent: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        if self.attempts is not None:
            check_whole(self, "attempts")
        for each in self.permanent:
            if not (isinstance(each, type) and issubclass(each, BaseException)):
                raise ConfigurationError(f"permanent: expected classes of errors, got {each!r}")

    def verdict(self, error: BaseException, attempts: int, chance: float) -> Verdict:
        """Return what becomes of a job that raised *error* in its attempt number *attempts*.

        *chance* is drawn from [0, 1) for the backoff's jitter.
        """
        if isinstance(error, RetryLaterError):
            return Verdict(retry=True, after=min(max(error.after, _AT_ONCE), LONGEST_DELAY))
        if isinstance(error, (PermanentError, *self.permanent)):
            return Verdict(retry=False)
        delay = None if self.backoff is None else self.backoff.delay(attempts, chance)
        return Verdict(retry=True, after=delay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a job is tried again, and after which delay; None: after that of `Jobs`."""

    retry: bool
    after: timedelta | None = None


_DEFAULTS = RetryPolicy()


def policy_of(handler: Handler | None) -> RetryPolicy:
    """Return what a handler's attribute `retry_policy` says, the defaults where there is none.

    Any callable may have that attribute. Raises ConfigurationError when it is something else.
    """
    policy = getattr(handler, "retry_policy", _DEFAULTS)
    if not isinstance(policy, RetryPolicy):
        raise ConfigurationError(f"{handler!r}.retry_policy: expected RetryPolicy")
    return policy
