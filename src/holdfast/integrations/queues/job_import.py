"""Takes jobs of other queues over: each is enqueued once, however often that is begun again."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from holdfast.errors import InvalidValueError
from holdfast.integrations.queues.foreign_job import ForeignJob, RefusedJob
from holdfast.jobs import EnqueueOptions, JobStatus, NewJob, Uniqueness
from holdfast.records import StoreCapability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from holdfast.jobs import Jobs

_PIECE, _SMALL_PIECE = 500, 25  # the small one where a write concerns 100 items at the most
_LONGEST_ID = 200
_ONCE = frozenset(JobStatus)
_NOTHING: Mapping[str, Sequence[str]] = {}
_Pair: TypeAlias = tuple[ForeignJob, NewJob]


@dataclass(slots=True)
class ImportReport:
    """What became of the jobs: *imported* now, *known* from an earlier time, or *refused*.

    *tasks* are how many were imported, by task.
    """

    imported: int = 0
    known: int = 0
    refused: list[RefusedJob] = field(default_factory=list)
    tasks: Counter[str] = field(default_factory=Counter)


async def import_jobs(
    jobs: Jobs,
    found: AsyncIterator[ForeignJob | RefusedJob],
    *,
    parameters: Mapping[str, Sequence[str]] = _NOTHING,
    dry_run: bool = False,
) -> ImportReport:
    """Enqueue the jobs *found* in *jobs*, some hundreds at a time, and return what became of them.

    A payload here has names: *parameters* are, by task, those of its positional arguments; a job
    whose arguments have none is refused. A job is known by its source and id while its row is kept
    here, so an import that broke off is simply begun again. Of two with one id, in one import too,
    the second counts as known: give an id that is a job's alone, of all parts of a composite key.
    With *dry_run* nothing is enqueued, and what would be is counted as imported.
    """
    report = ImportReport()
    large = StoreCapability.LARGE_WRITES in jobs.store.capabilities
    piece: list[_Pair] = []
    async for each in found:
        new = _new(each, parameters) if isinstance(each, ForeignJob) else each
        if isinstance(new, RefusedJob):
            report.refused.append(new)
        elif dry_run:
            report.imported += 1
            report.tasks[new[1].task] += 1
        else:
            piece.append(new)
        if len(piece) == (_PIECE if large else _SMALL_PIECE):
            await _take(jobs, piece, report)
            piece = []
    await _take(jobs, piece, report)
    return report


async def _take(jobs: Jobs, piece: Sequence[_Pair], report: ImportReport) -> None:
    """Enqueue *piece*; where a value in it can't be stored, one by one."""
    try:
        made = await jobs.enqueue_many(new for _, new in piece)
    except InvalidValueError as error:
        if len(piece) == 1:
            report.refused.append(piece[0][0].refused(str(error)))
            return
        for each in piece:
            await _take(jobs, [each], report)
        return
    for outcome in made:
        if outcome.created:
            report.imported += 1
            report.tasks[outcome.job.task] += 1
        else:
            report.known += 1


def _new(job: ForeignJob, parameters: Mapping[str, Sequence[str]]) -> _Pair | RefusedJob:
    if not job.id:
        return job.refused("has no id by which it would be known")
    if job.options.unique is not None or job.options.unique_key is not None:
        return job.refused("has a unique key of its own; an import keeps each unique by its id")
    names = parameters.get(job.task, ())
    if len(job.args) > len(names):
        return job.refused(
            f"has {len(job.args)} arguments without a name, and {len(names)} names are said for "
            f"its task: --parameters {job.task}=NAME,..."
        )
    named = dict(zip(names, job.args, strict=False))
    twice = sorted(named.keys() & job.kwargs.keys())
    if twice:
        return job.refused(f"has two values for {', '.join(twice)}")
    once = EnqueueOptions(unique=Uniqueness(key=_key(job), states=_ONCE))
    return job, NewJob(job.task, {**named, **job.kwargs}, once.over(job.options))


def _key(job: ForeignJob) -> str:
    fits = len(job.id) <= _LONGEST_ID and job.id.isprintable()
    known = job.id if fits else hashlib.sha256(job.id.encode()).hexdigest()
    return f"import:{job.source}:{known}"
