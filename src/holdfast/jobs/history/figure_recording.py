"""Writes figures of tasks down: tallies are added to rows, and old rows are summed up or dropped.

A row is changed by increments alone, each in a statement of its own, so any number of workers add
to it without a lock that outlasts the statement. A tally that was taken and whose process dies is
lost; of one whose answer is lost, nobody knows whether it was added, and it is added again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import (
    ConflictError,
    DuplicateError,
    HoldfastError,
    NotFoundError,
    SerializationError,
)
from holdfast.jobs.history.task_figures import (
    BUCKETS,
    COUNTERS,
    OTHER,
    FigureSpan,
    TaskFailure,
    TaskFigures,
    row_id,
)
from holdfast.jobs.history.task_tally import FigureKey, FigureSums, Tallied
from holdfast.jobs.side_tables import has_table
from holdfast.records import StoreCapability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from holdfast.jobs.history.task_tally import FailureSums, TaskTally
    from holdfast.records import Change, Entity, Field, Predicate, Repository, Store

    E = TypeVar("E", bound=Entity)

KEPT = {
    FigureSpan.MINUTE: timedelta(hours=3),
    FigureSpan.HOUR: timedelta(days=8),
    FigureSpan.DAY: timedelta(days=400),
    FigureSpan.TOTAL: timedelta(days=90),
}
"""How long rows are kept before they are added to longer ones, or dropped where there is none.

Totals are dropped when nothing was added to them for so long.
"""
FAILURES_KEPT = timedelta(days=8)
MOST_REASONS = 20
"""Reasons that one task has in one queue and hour; what is beyond is counted as OTHER."""

_log = logging.getLogger("holdfast.jobs")
_AT_ONCE = 1_000  # rows that one statement deletes
_AT_ONCE_ON_DYNAMODB = 90  # which takes 100 items in a transaction
_GROUP = 60


async def write_tally(store: Store, tally: TaskTally) -> None:
    """Add what *tally* holds to the rows; what can't be written goes back into it.

    Raises what the store raises. In a store without the tables the tally is emptied.
    """
    since = tally.since
    if since is None:
        return
    taken = tally.take()
    if not has_table(store, TaskFigures) or not has_table(store, TaskFailure):
        return
    left = Tallied(dict(taken.figures), dict(taken.failures))
    try:
        for key, sums in sorted(taken.figures.items(), key=lambda item: item[0]):
            await _add(store, key, sums)
            del left.figures[key]
        for key, failure in taken.failures.items():
            await _add_failure(store, key, failure)
            del left.failures[key]
    except HoldfastError:
        tally.put_back(left, since)
        raise


@asynccontextmanager
async def writing_regularly(
    write: Callable[[], Awaitable[None]], *, every: timedelta
) -> AsyncIterator[None]:
    """Await *write* beside the block, *every* so often, and once at its end.

    What it can't do now is logged, and tried again.
    """

    async def tried() -> None:
        try:
            await write()
        except HoldfastError as refused:
            _log.warning("the statistics of jobs can't be written now: %s", refused)

    async def repeat() -> None:
        while True:
            await asyncio.sleep(every.total_seconds())
            await tried()

    task = asyncio.create_task(repeat(), name="holdfast-job-figures")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        await tried()
    if not task.cancelled():
        task.result()  # raises what is a bug


async def roll_up(store: Store) -> None:
    """Add rows of figures that are old enough to longer ones, and drop what is too old.

    Each group in a transaction of its own; of several that do this at once, one does each.
    """
    now = store.now()
    for span, into in (
        (FigureSpan.MINUTE, FigureSpan.HOUR),
        (FigureSpan.HOUR, FigureSpan.DAY),
    ):
        await _roll_up(store, span, into, before=into.start_of(now - KEPT[span]))
    days, totals = TaskFigures.span == FigureSpan.DAY, TaskFigures.span == FigureSpan.TOTAL
    for too_old in (
        days & (TaskFigures.start < now - KEPT[FigureSpan.DAY]),
        totals & (TaskFigures.updated_at < now - KEPT[FigureSpan.TOTAL]),
    ):
        await delete_in_pieces(store, TaskFigures, TaskFigures.id, too_old)
    old = (TaskFailure.span == FigureSpan.HOUR) & (TaskFailure.start < now - FAILURES_KEPT)
    await delete_in_pieces(store, TaskFailure, TaskFailure.id, old)


async def delete_in_pieces(
    store: Store, entity: type[E], key: Field[UUID], where: Predicate[E]
) -> int:
    """Delete the rows that fit, some at a time, each piece by itself; return how many there were.

    So no statement holds many rows.
    """
    repository, count = store.repository(entity), 0
    large = StoreCapability.LARGE_WRITES in store.capabilities
    limit = _AT_ONCE if large else _AT_ONCE_ON_DYNAMODB
    while True:
        keys = [found for (found,) in await repository.select(key, where=where, limit=limit)]
        if not keys:
            return count
        count += await repository.delete_many(keys)


async def _add(store: Store, key: FigureKey, sums: FigureSums) -> None:
    """Add *sums* to their row, which is made when it is not there."""
    figures = store.repository(TaskFigures)
    identity = row_id(key.span, key.start, key.queue, key.task)
    changes = _increments(sums)
    try:
        await figures.patch(identity, *changes)
    except NotFoundError:
        row = TaskFigures(
            id=identity,
            span=key.span,
            start=key.start,
            queue=key.queue,
            task=key.task,
            duration=sums.duration,
            **sums.counts,
        )
        try:
            await figures.add(row)
        except DuplicateError:
            await figures.patch(identity, *changes)


def _increments(sums: FigureSums) -> Sequence[Change]:
    counts = [getattr(TaskFigures, name).increment(count) for name, count in sums.counts.items()]
    return [*counts, TaskFigures.duration.increment(sums.duration)]


async def _add_failure(store: Store, key: FigureKey, sums: FailureSums) -> None:
    failures = store.repository(TaskFailure)
    latest = (TaskFailure.example.to(sums.example), TaskFailure.job_id.to(sums.job_id))
    changes = (TaskFailure.count.increment(sums.count), *latest)
    reason = key.reason
    while True:
        identity = row_id(key.span, key.start, key.queue, key.task, reason)
        try:
            await failures.patch(identity, *changes)
        except NotFoundError:
            if reason != OTHER and await _has_many_reasons(failures, key):
                reason = OTHER
                continue
        else:
            return
        row = TaskFailure(
            id=identity,
            span=key.span,
            start=key.start,
            queue=key.queue,
            task=key.task,
            reason=reason,
            count=sums.count,
            example=sums.example,
            job_id=sums.job_id,
        )
        try:
            await failures.add(row)
        except DuplicateError:
            continue  # somebody else made it: it is there now
        return


async def _has_many_reasons(failures: Repository[TaskFailure], key: FigureKey) -> bool:
    there = (TaskFailure.span == key.span) & (TaskFailure.start == key.start)
    of_task = (TaskFailure.queue == key.queue) & (TaskFailure.task == key.task)
    return await failures.count(there, of_task) >= MOST_REASONS


async def _roll_up(store: Store, span: FigureSpan, into: FigureSpan, *, before: datetime) -> None:
    figures = store.repository(TaskFigures)
    groups: dict[FigureKey, list[TaskFigures]] = defaultdict(list)
    old = (TaskFigures.span == span) & (TaskFigures.start < before)
    async for row in figures.stream(old, order_by=TaskFigures.start.asc()):
        groups[FigureKey(into, into.start_of(row.start), row.queue, row.task)].append(row)
    for key, rows in groups.items():
        for first in range(0, len(rows), _GROUP):
            try:
                async with store.transaction():
                    await _move(store, key, rows[first : first + _GROUP])
            except (ConflictError, SerializationError) as error:
                _log.info("figures of %s are summed up another time: %s", key.task, error)


async def _move(store: Store, key: FigureKey, rows: Sequence[TaskFigures]) -> None:
    figures = store.repository(TaskFigures)
    sums = FigureSums()
    for row in rows:
        # Only as it was read, and by one of those who try: nothing is lost, nothing counted twice.
        if await figures.delete(row.id, version=row.version):
            sums.add(counts_of(row), row.duration)
    if sums.counts:
        await _add(store, key, sums)


def counts_of(row: TaskFigures) -> dict[str, int]:
    """Return the counts in *row*, by the names of its fields, without those that are 0."""
    values = vars(row)
    return {name: values[name] for name in (*COUNTERS, *BUCKETS) if values[name]}
