"""Random histories of jobs, steps, sleeps, signals and workflows, against a plain model.

    python tests/hunt/jobs.py --minutes 3
    python tests/hunt/jobs.py --seed 4711

Workers of two processes claim, one after another and at once, record steps, sleep, wait, end,
fail, vanish, and come back when their lease is over; limits of the queue and of a task, in all and
by key, are set, changed and removed; callers enqueue, signal, cancel, start workflows, add to them,
and go on where they failed; some of it in transactions that are undone. After each step the store
must show what `job_model.py` says. Each round is done on memory, SQLite, and PostgreSQL where it
runs.
"""

import asyncio
import copy
import random
import sys
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from tools.services.endpoints import endpoints

from clock import Clock
from holdfast import open_store
from holdfast.errors import (
    EventTimeoutError,
    IllegalTransitionError,
    LeaseLostError,
    StepsChangedError,
)
from holdfast.jobs import (
    JOB_ENTITIES,
    EnqueueOptions,
    Jobs,
    Limit,
    NewJob,
    OnFailure,
    Workflow,
    Workflows,
)
from holdfast.jobs.workflows.steps import Steps, Suspended
from hunt.job_model import JobModel, Link, Lost, ModelJob, ModelLimit
from hunt.rounds import hunt
from servers import database_on

STEPS = 120
EVENTS = ("go", "stop")
TASKS = ("work", "work", "scan")
KEYS = (None, "a", "b")


class UndoneError(Exception):
    """Ends a transaction that is to be undone."""


class Round:
    """One history on *store*, drawn from *seed*."""

    def __init__(self, store, clock, seed):
        self.random = random.Random(seed)
        self.clock = clock
        self.store = store
        self.jobs = Jobs(store, chance=lambda: 0.0)
        self.others = Jobs(store, chance=lambda: 0.0)  # of another process
        self.flows = Workflows(self.jobs)
        self.model = JobModel(clock)
        self.claims = []  # also those whose lease is over: zombies
        self.runs = []
        self.cancelled = set()
        self.done = []

    async def run(self, steps):
        acts = [
            self.enqueue, self.start, self.add, self.claim, self.claim, self.claim, self.step,
            self.end, self.end, self.sleep, self.wait, self.wait, self.signal, self.signal,
            self.pass_time, self.cancel, self.cancel_run, self.retry_run, self.release,
            self.limit, self.claim_now, self.claim_at_once,
        ]  # fmt: skip
        undone = (self.enqueue, self.start, self.add, self.step, self.end, self.signal)
        for _ in range(steps):
            act = self.random.choice(acts)
            self.done.append(act.__name__)
            if act in undone and self.random.random() < 0.15:
                self.done.append("undone")
                await self.undo(act)
            else:
                await act()
            await self.compare()

    async def undo(self, act):
        kept = copy.deepcopy(self.model.jobs), list(self.runs), list(self.claims)
        try:
            async with self.store.transaction():
                await act()
                raise UndoneError  # noqa: TRY301 - what ends the transaction
        except UndoneError:
            self.model.jobs, self.runs, self.claims = kept

    async def compare(self):
        wanted = {job.id: job.seen() for job in self.model.jobs.values()}
        stored = {
            job.id: (
                job.status.value, job.attempts, job.lost_leases, job.event, job.cancel_requested,
                job.result, job.steps, job.signals,
                job.run_at if job.status.value == "queued" else None,
            )
            for job in await self.jobs._jobs.find()
        }  # fmt: skip
        for job_id in wanted | stored:
            assert stored.get(job_id) == wanted.get(job_id), (job_id, self.done)

    # --- callers ------------------------------------------------------------------------------

    def _new(self):
        options = EnqueueOptions(
            priority=self.random.choice((0, 0, 1)),
            delay=timedelta(seconds=self.random.choice((0, 0, 0, 30))),
            max_attempts=self.random.choice((1, 2, 3)),
            limit_key=self.random.choice(KEYS),
        )
        return NewJob(self.random.choice(TASKS), options=options)

    def _known(self, job_id, new, **more):
        options = new.options
        run_at = self.clock() + options.delay
        job = ModelJob(job_id, options.priority, run_at, options.max_attempts, **more)
        job.task, job.key = new.task, options.limit_key
        self.model.jobs[job_id] = job
        return job

    async def enqueue(self):
        new = self._new()
        (made,) = await self.jobs.enqueue_many([new])
        self._known(made.job.id, new)

    async def start(self):
        flow = Workflow("w")
        for _ in range(self.random.randrange(2, 6)):
            before = list(flow.jobs.values())
            after = self.random.sample(before, min(len(before), self.random.randrange(3)))
            policy = self.random.choice(list(OnFailure))
            flow.add(self._new(), after=after, if_failed=policy)
        await self._start(flow)
        self.runs.append(flow.id)

    async def add(self):
        """Add a job behind and before some of a workflow's."""
        if not self.runs:
            return
        run = self.random.choice(self.runs)
        there = [job for job in self.model.jobs.values() if job.workflow == run]
        ends = [job for job in there if job.links and job.status == "waiting" and not job.event]
        flow = Workflow("more", part_of=run)
        after = self.random.sample(there, min(len(there), self.random.randrange(3)))
        before = self.random.sample(ends, min(len(ends), self.random.randrange(2)))
        policy = self.random.choice(list(OnFailure))
        if any(self._above(job, end) for job in after for end in before):
            return  # a circle, which the store refuses
        flow.add(
            self._new(),
            after=[job.id for job in after],
            before=[job.id for job in before],
            if_failed=policy,
        )
        bad = any(job.status in ("failed", "cancelled") for job in after)
        stuck = any(not any(link.state != "told" for link in end.links) for end in before)
        try:
            await self._start(flow)
        except IllegalTransitionError:
            assert stuck or run in self.cancelled or (bad and policy is OnFailure.CANCEL), self.done
        else:
            assert not stuck, self.done
            assert run not in self.cancelled, self.done

    def _above(self, job, end):
        """Whether *job* is *end*, or waits for it."""
        return job is end or any(self._above(self.model.jobs[li.on], end) for li in job.links)

    async def _start(self, flow):
        await self.flows.start(flow)
        for job_id, each in flow.jobs.items():
            self._known(job_id, each.new, workflow=flow.id)
        for link in flow.links():
            job, on = self.model.jobs[link.job_id], self.model.jobs[link.on_id]
            state = "open"
            if on.status in ("succeeded", "failed", "cancelled"):
                held = on.status != "succeeded" and link.on_failure is OnFailure.WAIT
                state = "held" if held else "told"
            job.links.append(Link(on.id, link.on_failure.value, state))
            if state != "told":
                job.status = "waiting"

    async def signal(self):
        if job := self._any():
            event, data = self.random.choice(EVENTS), self.random.randrange(9)
            await self.jobs.signal(job.id, event, data)
            self.model.signal(job.id, event, data)

    async def cancel(self):
        if (job := self._any()) and self.random.random() < 0.5:
            await self.jobs.cancel(job.id)
            self.model.cancel(job.id)

    async def cancel_run(self):
        if self.runs and self.random.random() < 0.3:
            run = self.random.choice(self.runs)
            await self.flows.cancel(run)
            self.cancelled.add(run)
            self.model.cancel_workflow(run)

    async def retry_run(self):
        if self.runs:
            run = self.random.choice(self.runs)
            assert await self.flows.retry(run) == self.model.retry_workflow(run), self.done
            self.cancelled.discard(run)

    async def release(self):
        """Two tell of the ends at once."""
        await asyncio.gather(self.jobs.release_waiting(), Jobs(self.store).release_waiting())
        self.model.release()

    async def pass_time(self):
        self.clock.forward(seconds=self.random.choice((1, 5, 20, 61)))
        self.model.time_passed()

    async def limit(self):
        """Set, change or remove the limit of the queue or of a task."""
        scope = self.random.choice(("queue", "queue", "scan"))
        of = {"queue": "default"} if scope == "queue" else {"task": scope}
        if self.random.random() < 0.3:
            assert await self.jobs.limits.remove(**of) == self.model.unlimit(scope), self.done
        else:
            numbers = {
                name: self.random.choice((None, None, 1, 2, 3))
                for name in ("concurrency", "key_concurrency", "rate", "key_rate")
            }
            if not any(numbers.values()):
                numbers["concurrency"] = 2
            period = timedelta(seconds=self.random.choice((10, 60)))
            by_key = numbers["key_concurrency"] or numbers["key_rate"]
            weights = {"a": 2} if scope == "queue" and by_key else {}
            await self.jobs.limits.set(Limit(**of, **numbers, period=period, weights=weights))
            self.model.limit(ModelLimit(scope, **numbers, period=period, weights=weights))
        self.clock.forward(seconds=1)  # the others know it too
        self.model.time_passed()

    def _any(self):
        return self.random.choice(list(self.model.jobs.values())) if self.model.jobs else None

    # --- workers ------------------------------------------------------------------------------

    async def claim(self):
        await self.jobs.make_ready()
        self.model.make_ready()
        await self._claim(self.jobs, self.random.choice((1, 1, 4)))

    async def claim_now(self):
        """Claim without a look for leases that ran out: those hold no place any more."""
        if self.random.random() < 0.3:
            self.clock.forward(seconds=61)
            self.model.time_passed()
        await self._claim(self.others, self.random.choice((1, 4)))

    async def _claim(self, jobs, most):
        claims = await jobs.claim_ready("w", most)
        known = [await self._claimed(claim) for claim in claims]
        if claims:
            self.model.check_order(known)
            self.model.pass_over(0 if jobs is self.jobs else 1, known)
        # Where keys take turns, one that is new may be overlooked for a second if others had jobs.
        full = len(claims) == most or (claims and self.model.keys_take_turns)
        left = [] if full else self.model.claimable()
        assert not left, (len(claims), most, left, self.done)

    async def claim_at_once(self):
        await self.jobs.make_ready()
        self.model.make_ready()
        found = await asyncio.gather(
            *(jobs.claim_ready("w", 2) for jobs in (self.jobs, self.others))
        )
        known = [[await self._claimed(claim) for claim in claims] for claims in found]
        for process, claimed in enumerate(known):
            self.model.pass_over(process, claimed)

    async def _claimed(self, claim):
        try:
            known = self.model.claim(claim.job.id, claim.token)
        except AssertionError as error:
            raise AssertionError(error, claim.job, self.model.limits, self.done) from None
        steps = Steps(self.jobs, claim)
        await steps.load()
        steps.enter()
        for name, *_, over in known.steps:  # as a handler that is run again comes past them
            if over is not None:
                steps.done(steps.begin(name), None, None)
        self.claims.append((claim, steps))
        return known

    async def _with_claim(self, act, told, *, event=None, goes_on=True):
        """Let a worker act; one whose lease is over is refused, and the model says when."""
        if not self.claims:
            return None
        claim, steps = self.random.choice(self.claims[-4:])
        job = self.model.jobs[claim.job.id]
        if job.holder == claim.token and job.waits_for not in (None, event) and goes_on:
            return None  # a handler that is run again comes to its wait first
        try:
            told(claim.job.id, claim.token)
            lost = False
        except Lost:
            lost = True
        try:
            found = await act(claim, steps)
        except (LeaseLostError, StepsChangedError):  # the latter of a zombie past its wait
            assert lost, self.done
            self.claims.remove((claim, steps))
            return None
        assert not lost, self.done
        return found

    async def step(self):
        name, result = self.random.choice("ab"), self.random.randrange(9)

        async def act(claim, steps):
            return await steps.step(name, lambda: _value(result))

        await self._with_claim(act, lambda *held: self.model.step(*held, name, result))

    async def end(self):
        kind = self.random.choice(("complete", "complete", "fail", "fail", "give up"))
        result = self.random.randrange(9)

        async def act(claim, _):
            if kind == "complete":
                await self.jobs.complete(claim, result)
            else:
                await self.jobs.fail(claim, "bad", retry=kind == "fail")

        def told(*held):
            if kind == "complete":
                self.model.complete(*held, result)
            else:
                self.model.fail(*held, retry=kind == "fail")

        await self._with_claim(act, told, goes_on=False)

    async def _aside(self, claim, steps):
        aside, steps.suspension = steps.suspension, None  # it goes on, as a zombie
        await self.jobs.put_aside(claim, aside.step, recorded=aside.recorded, event=aside.event)

    async def sleep(self):
        span = timedelta(seconds=self.random.choice((1, 30, 90)))

        async def act(claim, steps):
            try:
                await steps.sleep("sleep", span)
            except Suspended:
                await self._aside(claim, steps)

        until = self.clock() + span
        await self._with_claim(act, lambda *held: self.model.sleep(*held, until))

    async def wait(self):
        event = self.random.choice(EVENTS)
        limit = self.random.choice((None, timedelta(seconds=30)))
        told = []

        async def act(claim, steps):
            try:
                found = [False, await steps.wait_for(event, limit)]
            except EventTimeoutError:
                found = [True, None]
            except Suspended:
                await self._aside(claim, steps)
                found = None
            if told:
                assert found == (told[0] and [told[0][3], told[0][1]]), self.done

        until = None if limit is None else self.clock() + limit
        await self._with_claim(
            act, lambda *held: told.append(self.model.wait(*held, event, until)), event=event
        )


async def _value(value):
    return value


async def play(url, seed, steps=STEPS):
    """Play the history of *seed* on the store at *url*, which has no jobs."""
    clock = Clock()
    async with open_store(url, JOB_ENTITIES, clock=clock) as store:
        await store.create_schema()
        try:
            await Round(store, clock, seed).run(steps)
        finally:
            await store.clear()


def main():
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        urls = ["memory://", f"sqlite:///{folder}/hunt.db?synchronous=normal"]
        if "postgresql" in endpoints():
            urls.append(stack.enter_context(database_on("postgresql")))

        def run_round(seed):
            for url in urls:
                try:
                    asyncio.run(play(url, seed))
                except BaseException:
                    print(f"--seed {seed}, on {url.partition(':')[0]}")
                    raise

        hunt(__doc__, run_round, STEPS)


if __name__ == "__main__":
    main()
