"""A job that waits in another program's queue: what it asks for, or why it can't be taken over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.jobs import EnqueueOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTIONS = EnqueueOptions()


@dataclass(frozen=True, slots=True)
class ForeignJob:
    """A job of another queue as it can be enqueued here.

    *source* and *id* are what the other program calls itself and the job. *args* have no names
    there.
    """

    source: str
    id: str
    task: str
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = field(default_factory=dict)
    options: EnqueueOptions = _OPTIONS

    def refused(self, reason: str) -> RefusedJob:
        """Return it as a job that is not taken over."""
        return RefusedJob(self.source, self.id, self.task, reason)


@dataclass(frozen=True, slots=True)
class RefusedJob:
    """A job that is left where it is, for *reason*; *task* is empty where it can't be told."""

    source: str
    id: str
    task: str
    reason: str
