"""Which jobs a command means: by their ids, or by options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from holdfast.jobs import JobFilter


@dataclass(frozen=True, slots=True)
class JobChoice:
    """What options say of jobs."""

    statuses: tuple[str, ...] = ()
    queue: str | None = None
    task: str | None = None
    tag: str | None = None
    everything: bool = False


def chosen(ids: Sequence[UUID] | None, choice: JobChoice) -> Sequence[UUID] | JobChoice:
    """Return the ids that were given, or the options where none was.

    Raises ConfigurationError for both, and for neither.
    """
    if ids and choice != JobChoice():
        raise ConfigurationError("jobs are named by their ids or by options, not both")
    if not ids and choice == JobChoice():
        raise ConfigurationError("say which jobs: ids, --queue, --task, --tag, --status, or --all")
    return ids or choice


def filter_of(choice: JobChoice) -> JobFilter:
    """Return the filter that *choice* says. Raises ConfigurationError for an unknown status."""
    from holdfast.jobs import JobFilter, JobStatus

    unknown = [status for status in choice.statuses if status not in tuple(JobStatus)]
    if unknown:
        known = ", ".join(JobStatus)
        raise ConfigurationError(f"--status {unknown[0]!r}: expected one of {known}")
    return JobFilter(
        statuses=tuple(JobStatus(status) for status in choice.statuses),
        queue=choice.queue,
        task=choice.task,
        tag=choice.tag,
    )
