"""Uniqueness: while which job stands for some work, and for how long, no second one is made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import orjson

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.jobs.job import LIVE, JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

WAITING_STATES = frozenset({JobStatus.WAITING, JobStatus.QUEUED})
LIVE_STATES = frozenset(LIVE)
_DONE_OR_LIVE = LIVE_STATES | {JobStatus.SUCCEEDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniqueness:
    """When a job stands for later ones with its *key*, so that they are not made.

    It holds the key while its status is among *states*, and for *period* at the most, counted from
    when it was enqueued. Without a key, the task and the payload are the key. *states* are those in
    which a job lives; with a period also `SUCCEEDED`, so that work is done once in that time, and
    again when it failed. They include those in which it waits. Leave `RUNNING` out where a job
    that has begun may have missed what is new.
    Raises ConfigurationError for what can't be.
    """

    key: str | None = None
    period: timedelta | None = None
    states: frozenset[JobStatus] | None = None

    def __post_init__(self) -> None:
        if self.key == "":
            raise ConfigurationError("key='': expected None or some text")
        if self.period is not None and not (
            isinstance(self.period, timedelta) and self.period > timedelta(0)
        ):
            raise ConfigurationError(f"period={self.period!r}: expected a positive timedelta")
        if self.states is not None and not frozenset(self.states) >= WAITING_STATES:
            raise ConfigurationError("states: expected WAITING and QUEUED among them")

    @property
    def while_it_lives(self) -> bool:
        """Whether a job holds its key exactly while it lives, which the job's own row can say."""
        return self.period is None and self.states in (None, LIVE_STATES)

    @property
    def holding(self) -> frozenset[JobStatus]:
        """The states in which a job holds its key."""
        if self.states is not None:
            return frozenset(self.states)
        return LIVE_STATES if self.period is None else _DONE_OR_LIVE

    def key_of(self, task: str, payload: Mapping[str, object]) -> str:
        """Return the key of a job for *task* with *payload*. Raises InvalidValueError.

        Payloads that are equal as JSON have one key.
        """
        if self.key is not None:
            return self.key
        try:
            said = orjson.dumps([task, payload], option=orjson.OPT_SORT_KEYS)
        except TypeError as error:
            raise InvalidValueError("Job", "payload", f"is not JSON: {error}") from None
        return f"by payload: {hashlib.sha256(said).hexdigest()}"
