"""What a worker and its child process say to each other: pickles, each behind its length.

Both ends are the same program with the same rights, so pickle opens no door between them.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from holdfast.jobs.claim import Claimed
    from holdfast.jobs.history.job_log import LogLevel
    from holdfast.jobs.workers.handler import Outcome

HEADER = 8  # bytes of the length, the most significant first


@dataclass(frozen=True, slots=True)
class Assignment:
    """The child is to do the job of *claim* by *handler* (a pickle), within *memory* bytes.

    *main* is the path of the main module that the handler is of, None when it is of another one.
    """

    handler: bytes
    main: str | None
    claim: Claimed
    memory: int | None
    keeps_log: bool


@dataclass(frozen=True, slots=True)
class Told:
    """The handler is asked to stop, because its lease is lost or because somebody wants it."""

    lost: bool


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """The child has started, and waits for its first job."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The handler told how far it is."""

    fraction: float
    message: str | None


@dataclass(frozen=True, slots=True)
class Logged:
    """The handler wrote a line into its job's log."""

    text: str
    level: LogLevel


@dataclass(frozen=True, slots=True)
class Ended:
    """The handler has ended. A child that is not *fit* does no further job."""

    outcome: Outcome
    fit: bool


ToChild: TypeAlias = Assignment | Told
FromChild: TypeAlias = ChildStarted | Reported | Logged | Ended


def framed(message: ToChild | FromChild) -> bytes:
    """Return *message* as it goes over the pipe. Raises what its pickling raises."""
    data = pickle.dumps(message)
    return len(data).to_bytes(HEADER, "big") + data
