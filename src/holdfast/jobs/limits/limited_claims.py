"""Claims of jobs that have a limit: one claim at a time, counted by what is leased.

Whoever claims holds the rows of the limits, so no two count the same free places. What runs is
counted by its leases: those of workers that died free their places by running out.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, cast

from holdfast.errors import LockTimeoutError, SerializationError
from holdfast.jobs.claim import leased, ready
from holdfast.jobs.claim_batch import CLAIM_ORDER
from holdfast.jobs.job import Job
from holdfast.jobs.limits.held_limit import ANY_NUMBER, HeldLimit
from holdfast.jobs.limits.job_limit import JobLimit, JobLimitKey, limit_name
from holdfast.jobs.limits.key_turns import KeyRing, KeyTurns
from holdfast.records import Savepoint, StoreCapability, coalesce, count

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from holdfast.jobs.claim_batch import ClaimBatch
    from holdfast.jobs.claim_floors import ClaimFloors
    from holdfast.jobs.limits.job_limits import JobLimits, LimitedNames
    from holdfast.records import Predicate

Search: TypeAlias = Callable[[int], Awaitable[list[Job]]]
"""Claims up to so many jobs, and returns them."""

_log = logging.getLogger("holdfast.jobs")
# So PostgreSQL counts along the index of leases, where what ended stands behind the time that is
# asked for, and is not read. By status and queue it reads all that it can't remove yet.
_BY_LEASE = (Job.leased_until, Job.awaited)
_MOST_IN_SMALL_WRITES = 25  # jobs: DynamoDB takes 100 items, those of limits and keys among them


class LimitedClaims:
    """Claims jobs as *limits* allow."""

    def __init__(self, limits: JobLimits) -> None:
        self._limits = limits
        self._rings: dict[str, KeyRing] = {}

    async def take(
        self,
        batch: ClaimBatch,
        queue: str,
        tasks: Collection[str] | None,
        *,
        most: int,
        limits: LimitedNames,
        floors: ClaimFloors | None = None,
    ) -> None:
        """Let *batch* claim up to *most* jobs of *queue*, of *tasks* alone where they are named.

        *limits* are those that are known; without one it is a single statement. Under a limit it is
        a transaction, which is done again after a clash. Where others are in the way time and
        again, nothing is claimed now. With *floors*, searches begin there where neither keys nor
        limits of tasks count.
        """
        where = ready(queue, tasks)
        limited = limits.tasks if tasks is None else limits.tasks & frozenset(tasks)
        own = queue in limits.queues
        search: Search = partial(batch.take, where)
        if floors is not None and not limited:
            search = partial(floors.take, queue, where, batch=batch)
        if not own and limited:
            # Jobs of other tasks are no matter of these limits; so few look at their rows.
            head = await batch.jobs.select(Job.task, where=where, order_by=CLAIM_ORDER, limit=most)
            if not any(task in limited for (task,) in head):
                await batch.take(where & Job.task.not_in(limited), most)
                return
        if not own and not limited:
            await search(most)
            return
        names = [limit_name(queue=None, task=task) for task in limited]
        names += [limit_name(queue=queue, task=None)] if own else []

        async def work() -> None:
            if batch.claims and floors is not None:
                floors.forget(queue)  # of what is undone they know that it was taken
            batch.claims.clear()
            held = await self._held(sorted(names))
            await self._take(_Claim(self._limits, batch, where, held, search), queue, most)

        store = self._limits.store
        if isinstance(store.transaction(), Savepoint):
            await work()
            return
        try:
            await store.retrying(work)
        except BaseException as error:
            batch.claims.clear()
            if floors is not None:
                floors.forget(queue)
            if not isinstance(error, (SerializationError, LockTimeoutError)):
                raise
            _log.info("no job of %s is claimed now, as others claim: %s", queue, error)

    async def _held(self, names: Sequence[str]) -> list[HeldLimit]:
        """Return the limits of *names* that are there, their rows held until the end."""
        store, rows = self._limits.store, self._limits.rows()
        if StoreCapability.ROW_LOCKS not in store.capabilities:
            found = [row for row in await rows.get_many(names) if row is not None]
        elif len(names) == 1:
            row = await rows.get(names[0], lock="update")
            found = [] if row is None else [row]
        else:  # along one order, so that claims wait for one another, and never for each other
            found = await rows.find(
                JobLimit.name.in_(names), order_by=JobLimit.name.asc(), lock="update"
            )
        now = self._limits.now()
        held = [HeldLimit(row, now) for row in found]
        await self._count(held, now)
        return held

    async def _count(self, held: Sequence[HeldLimit], now: datetime) -> None:
        """Tell each limit of concurrency what runs of it."""
        jobs = self._limits.store.repository(Job)
        by_task: dict[str, HeldLimit] = {}
        for each in held:
            if not each.counts_running:
                continue
            if each.row.task is not None:
                by_task[each.row.task] = each
                continue
            runs = self._leased_of(each.row.queue, now)
            if each.row.key_concurrency is None:
                alike = await jobs.aggregate(count(), where=runs, by=_BY_LEASE)
                numbers = cast("list[tuple[object, object, int]]", alike)
                each.running[None] = sum(number for _, _, number in numbers)
                continue
            keyed = await jobs.aggregate(count(), where=runs, by=(*_BY_LEASE, Job.limit_key))
            for _, _, key, number in cast("list[tuple[object, object, str | None, int]]", keyed):
                each.running[key] += number
        if by_task:
            runs = leased(now) & Job.task.in_(by_task)
            by = (*_BY_LEASE, Job.task, Job.limit_key)
            counted = await jobs.aggregate(count(), where=runs, by=by)
            for _, _, task, key, number in cast(
                "list[tuple[object, object, str, str | None, int]]", counted
            ):
                by_task[task].running[key] += number

    def _leased_of(self, queue: str | None, now: datetime) -> Predicate:
        """Return the condition that a job of *queue* runs, as `_BY_LEASE` counts such."""
        if queue is None or StoreCapability.ROW_LOCKS not in self._limits.store.capabilities:
            return leased(now, queue=queue)
        # Written so that no index begins with it: by status and queue a server would read each
        # job of the queue that ran since it was last vacuumed.
        return leased(now) & (coalesce(Job.queue, "") == queue)

    async def _take(self, claim: _Claim, queue: str, most: int) -> None:
        if StoreCapability.LARGE_WRITES not in self._limits.store.capabilities:
            most = min(most, _MOST_IN_SMALL_WRITES)
        allowed = min(most, claim.room)
        if allowed < 1:
            return
        holder = claim.turns_of
        if holder is None:
            await claim.take({None: allowed}, by_key=False)
        else:
            ring = self._rings.setdefault(queue, KeyRing(self._limits.store, queue))
            ring.begin(holder, self._limits.now())
            await KeyTurns(claim, holder, ring).take(allowed)
            ring.end(holder)
        await claim.write_use()


class _Claim:
    """What one claim does under the limits that it holds: see `TurnTaker`.

    *search* claims the next jobs, whatever their key.
    """

    def __init__(
        self,
        limits: JobLimits,
        batch: ClaimBatch,
        where: Predicate,
        held: Sequence[HeldLimit],
        search: Search,
    ) -> None:
        self._limits = limits
        self._batch = batch
        self._where = where
        self._held = held
        self._search = search
        self._by_task = {each.row.task: each for each in held if each.row.task is not None}
        self._of_queue = [each for each in held if each.row.task is None]

    @property
    def room(self) -> int:
        """How many jobs the limit of the queue allows."""
        return min((each.room for each in self._of_queue), default=ANY_NUMBER)

    @property
    def turns_of(self) -> HeldLimit | None:
        """The limit that knows whose turn it is; None where keys take no turns."""
        if not any(each.row.limit.by_key for each in self._held):
            return None
        return self._of_queue[0] if self._of_queue else self._held[0]

    def key_room(self, key: str | None) -> int:
        """Return how many jobs with *key* the limit of the queue allows."""
        return min((each.key_room(key) for each in self._of_queue), default=ANY_NUMBER)

    async def load_use(self, key: str | None, ahead: Iterable[str | None]) -> None:
        """Have at hand what *key* has used of rates by key; see `TurnTaker`."""
        rated = [each for each in self._held if each.row.key_rate is not None]
        if key is None or all(key in each.key_used for each in rated):
            return
        wanted = [
            (each, each_key)
            for each in rated
            for each_key in dict.fromkeys([key, *ahead])
            if each_key is not None and each_key not in each.key_used
        ]
        names = [(each.row.name, each_key) for each, each_key in wanted]
        found = await self._limits.key_rows().get_many(names)
        for (each, each_key), row in zip(wanted, found, strict=True):
            each.count_key(each_key, row)

    async def take(
        self, parts: dict[str | None, int], *, by_key: bool = True
    ) -> Counter[str | None]:
        """Claim as many jobs of each key as *parts* say, and tell how many there were of each.

        Unless *by_key*, the one number is of jobs with whatever key.
        """
        taken: Counter[str | None] = Counter()
        if self._by_task:
            for key, most in parts.items():
                where = self._where & _of(key) if by_key else self._where
                for job in await self._take_of_tasks(where, most, key):
                    taken[job.limit_key] += 1
            return taken
        if by_key:
            # Those without a key last: so the statement has fewer forms, each of which is compiled.
            named = sorted(parts.items(), key=lambda part: part[0] is None)
            limit = [(_of(key), most) for key, most in named]
            found = await self._batch.take(self._where, limit)
        else:
            found = await self._search(parts[None])
        for job in found:
            self._took(job)
            taken[job.limit_key] += 1
        return taken

    async def _take_of_tasks(self, where: Predicate, most: int, key: str | None) -> list[Job]:
        """Claim up to *most* jobs, of each task as many as its limit allows.

        They are looked at in the order of claims, past those of tasks that are at their limit.
        """
        taken: list[Job] = []
        while len(taken) < most:
            full = [
                task
                for task, each in self._by_task.items()
                if min(each.room, each.key_room(key)) < 1
            ]
            head = await self._batch.jobs.select(
                Job.id,
                Job.task,
                where=where & Job.task.not_in(full) if full else where,
                order_by=CLAIM_ORDER,
                limit=most - len(taken),
            )
            chosen = self._chosen(head, key)
            if not chosen:
                break
            found = await self._batch.take(where & Job.id.in_(chosen), len(chosen))
            for job in found:
                self._took(job)
            taken += found
            if not found or len(chosen) == len(head):
                break
        return taken

    def _chosen(self, head: Sequence[tuple[UUID, str]], key: str | None) -> list[UUID]:
        """Return those of *head*, ids and tasks of jobs, that their tasks' limits allow."""
        left = {task: min(each.room, each.key_room(key)) for task, each in self._by_task.items()}
        chosen: list[UUID] = []
        for job_id, task in head:
            if left.get(task, 1) < 1:
                continue
            if task in left:
                left[task] -= 1
            chosen.append(job_id)
        return chosen

    def _took(self, job: Job) -> None:
        for each in self._of_queue:
            each.took(job.limit_key)
        if job.task in self._by_task:
            self._by_task[job.task].took(job.limit_key)

    async def write_use(self) -> None:
        """Write down what the claim has used, and who has the next turn."""
        alone = StoreCapability.LARGE_WRITES in self._limits.store.capabilities
        rows = self._limits.rows()
        keys: list[JobLimitKey] = []
        for each in self._held:
            changes = each.changes()
            # On DynamoDB two claims clash by what they write, so each writes something.
            if changes or (not alone and each.started):
                await rows.patch(
                    each.row.name, *(changes or [JobLimit.turn_left.to(each.row.turn_left)])
                )
            keys += each.changed_keys()
        if keys:
            await self._limits.key_rows().upsert_many(keys)


def _of(key: str | None) -> Predicate:
    return Job.limit_key.is_null() if key is None else Job.limit_key == key
