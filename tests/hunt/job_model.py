"""What jobs, steps, signals and workflows must come to, told as plainly as it can be.

No lease table, no counters, no index: dictionaries, gone through from end to end. `jobs.py` does
the same to this and to a store, and compares.
"""

from dataclasses import dataclass, field
from datetime import timedelta

OVER = ("succeeded", "failed", "cancelled")
LEASE = timedelta(seconds=60)
MOST_PASSED_OVER = 5
"""Jobs of other keys that a process claims before it comes to a key that could have its turn."""


@dataclass
class Link:
    """A job waits for *on*: "open" until told of its end, then "told", or "held" on."""

    on: object
    policy: str
    state: str = "open"


@dataclass
class ModelJob:
    id: object
    priority: int
    run_at: object
    max_attempts: int
    workflow: object = None
    status: str = "queued"
    attempts: int = 0
    lost: int = 0
    event: str | None = None
    until: object = None  # of a lease, or of a wait
    holder: object = None
    cancel: bool = False
    result: object = None
    untold: bool = False
    wait_until: object = None
    task: str = "work"
    key: str | None = None
    placed: bool = False  # it was looked for when its time had come: then claims find it
    links: list = field(default_factory=list)
    steps: list = field(default_factory=list)  # of (name, result, signal, timed out)
    signals: list = field(default_factory=list)

    @property
    def waits_for(self):
        """The event of the wait that it has begun and not ended."""
        return (
            self.steps[-1][0][len("wait for ") :]
            if self.steps and self.steps[-1][3] is None
            else None
        )

    def seen(self):
        """What the store must show of it."""
        return (
            self.status, self.attempts, self.lost, self.event, self.cancel, self.result,
            len(self.steps), len(self.signals),
            self.run_at if self.status == "queued" else None,
        )  # fmt: skip


@dataclass
class ModelLimit:
    """A limit of "queue" or of a task, and the starts that its rates have not given back."""

    scope: str
    concurrency: int | None
    key_concurrency: int | None
    rate: int | None
    key_rate: int | None
    period: timedelta
    weights: dict
    used: float = 0.0
    counted_at: object = None
    keys: dict = field(default_factory=dict)  # key: (used, counted_at)

    def is_of(self, job):
        return self.scope in ("queue", job.task)

    @property
    def by_key(self):
        return self.key_concurrency is not None or self.key_rate is not None

    def used_now(self, now):
        if self.rate is None or self.counted_at is None:
            return 0.0
        return max(0.0, self.used - self.rate * ((now - self.counted_at) / self.period))

    def key_used_now(self, key, now):
        used, counted_at = self.keys.get(key, (0.0, now))
        return max(0.0, used - self.key_rate * ((now - counted_at) / self.period))

    def allows(self, job, running, now):
        """Tell whether one more like *job* may start beside *running*."""
        mine = [each for each in running if self.is_of(each)]
        same = [each for each in mine if each.key == job.key]
        return (
            (self.concurrency is None or len(mine) < self.concurrency)
            and (self.rate is None or self.used_now(now) + 1 <= self.rate + 1e-6)
            and (
                job.key is None
                or (
                    (self.key_concurrency is None or len(same) < self.key_concurrency)
                    and (
                        self.key_rate is None
                        or self.key_used_now(job.key, now) + 1 <= self.key_rate + 1e-6
                    )
                )
            )
        )

    def started(self, job, now):
        self.used, self.counted_at = self.used_now(now) + 1, now
        if self.key_rate is not None and job.key is not None:
            self.keys[job.key] = (self.key_used_now(job.key, now) + 1, now)


class Lost(Exception):  # noqa: N818 - what the store says by LeaseLostError
    """The lease is over."""


class JobModel:
    def __init__(self, clock):
        self.clock = clock
        self.jobs = {}
        self.limits = {}
        # By process and key: how many jobs of others that claimed since the key could be.
        self.passed_over = {}

    @property
    def now(self):
        return self.clock()

    # --- what time and others bring -----------------------------------------------------------

    def make_ready(self):
        for job in self.jobs.values():
            if job.until is None or job.until > self.now:
                continue
            if job.status == "waiting":
                self._queue(job)
            elif job.status == "running":
                job.lost += 1
                if job.cancel:
                    self._end(job, "cancelled")
                elif job.lost >= 3 or job.attempts >= job.max_attempts:
                    self._end(job, "failed")
                else:
                    self._queue(job, job.run_at)
        self.release()
        for job in self.jobs.values():
            if job.status == "queued" and job.run_at <= self.now:
                job.placed = True

    def release(self):
        """Tell those that wait of every end, until nobody is to be told."""
        while ends := [job for job in self.jobs.values() if job.untold]:
            for job in ends:
                job.untold = False
            doomed = set()
            for child in self.jobs.values():
                for link in child.links:
                    if link.state == "open" and self.jobs[link.on] in ends:
                        good = self.jobs[link.on].status == "succeeded"
                        link.state = "held" if not good and link.policy == "wait" else "told"
                        if not good and link.policy == "cancel":
                            doomed.add(child.id)
            for child in self.jobs.values():
                if child.status != "waiting" or child.event is not None:
                    continue
                if child.id in doomed:
                    self._end(child, "cancelled")
                elif all(link.state == "told" for link in child.links):
                    self._queue(child, max(child.run_at, self.now))

    # --- limits and claims ----------------------------------------------------------------------

    def limit(self, new):
        """Set *new* in place of what limits the same."""
        before = self.limits.get(new.scope)
        if before is not None:
            new.used, new.counted_at = before.used_now(self.now), self.now
            if (before.key_rate, before.period) == (new.key_rate, new.period):
                new.keys = before.keys
        self.limits[new.scope] = new
        self.passed_over.clear()

    def unlimit(self, scope):
        self.passed_over.clear()
        return self.limits.pop(scope, None) is not None

    @property
    def keys_take_turns(self):
        return any(limit.by_key for limit in self.limits.values())

    def running(self):
        return [
            job for job in self.jobs.values() if job.status == "running" and job.until > self.now
        ]

    def allowed(self, job):
        limits = [limit for limit in self.limits.values() if limit.is_of(job)]
        running = self.running() if limits else []
        return all(limit.allows(job, running, self.now) for limit in limits)

    def claimable(self):
        """Jobs that a claim must find: placed, and allowed by every limit."""
        return [
            job
            for job in self.jobs.values()
            if job.status == "queued" and job.placed and self.allowed(job)
        ]

    def claim(self, job_id, holder):
        """Claim what the store has claimed; AssertionError where it must not."""
        job = self.jobs[job_id]
        assert job.status == "queued", "is not to be claimed"
        assert job.run_at <= self.now, "its time has not come"
        assert self.allowed(job), "is beyond a limit"
        for limit in self.limits.values():
            if limit.is_of(job):
                limit.started(job, self.now)
        job.status, job.holder, job.until = "running", holder, self.now + LEASE
        job.attempts += 1
        job.placed = False
        return job

    def check_order(self, claimed):
        """Find no job that could be claimed still, and goes before one of *claimed*."""
        turns = self.keys_take_turns

        def place(job):
            return -job.priority, job.run_at, job.id

        for left in self.claimable():
            behind = [
                job
                for job in claimed
                if place(left) < place(job) and (not turns or left.key == job.key)
            ]
            assert not behind, (left, "goes before", behind)

    def pass_over(self, process, claimed):
        """Take note of the keys that *process* came past; none may be passed over for long."""
        if not self.keys_take_turns:
            return
        there = {job.key for job in self.claimable()}
        served = {job.key for job in claimed}
        for who, key in list(self.passed_over):
            if key not in there:
                del self.passed_over[who, key]
            elif who == process and key in served:
                self.passed_over[who, key] = 0
            elif who == process:
                self.passed_over[who, key] += len(claimed)
                assert self.passed_over[who, key] <= MOST_PASSED_OVER, f"{key} starves"

    def time_passed(self):
        """From now on keys with jobs to be claimed are known everywhere, and have their turns."""
        if self.keys_take_turns:
            for job in self.claimable():
                for who in range(2):
                    self.passed_over.setdefault((who, job.key), 0)

    # --- what its worker does -------------------------------------------------------------------

    def held(self, job_id, holder):
        job = self.jobs[job_id]
        if job.status != "running" or job.holder != holder or job.until <= self.now:
            raise Lost
        return job

    def step(self, job_id, holder, name, result):
        job = self.held(job_id, holder)
        job.steps.append([name, result, None, False])
        job.until = self.now + LEASE

    def complete(self, job_id, holder, result):
        job = self.held(job_id, holder)
        job.result = result
        self._end(job, "succeeded")

    def fail(self, job_id, holder, *, retry):
        job = self.held(job_id, holder)
        if not retry or job.attempts >= job.max_attempts:
            self._end(job, "failed")
        elif job.cancel:
            self._end(job, "cancelled")
        else:
            self._queue(job, self.now + timedelta(seconds=5 * 2 ** (job.attempts - 1)))

    def sleep(self, job_id, holder, until):
        job = self.held(job_id, holder)
        if job.cancel:
            self._end(job, "cancelled")
            return
        job.steps.append(["sleep", None, None, False])
        job.attempts, job.lost = job.attempts - 1, 0
        self._queue(job, until)

    def wait(self, job_id, holder, event, until):
        """Do as `wait_for` does; return what it returns where it needs not wait."""
        job = self.held(job_id, holder)
        name = f"wait for {event}"
        used = {step[2] for step in job.steps}
        pending = job.waits_for is not None
        came = [n for n, (what, _) in enumerate(job.signals) if what == event and n not in used]
        if came:
            over = [name, job.signals[came[0]][1], came[0], False]
        elif pending and job.wait_until is not None and job.wait_until <= self.now:
            over = [name, None, None, True]
        else:
            if job.cancel:
                self._end(job, "cancelled")
                return None
            if not pending:
                job.steps.append([name, None, None, None])
                job.wait_until = until
            job.attempts, job.lost = job.attempts - 1, 0
            job.status, job.event, job.until, job.holder = "waiting", event, job.wait_until, None
            return None
        if pending:
            job.steps.pop()
        job.steps.append(over)
        job.until = self.now + LEASE
        return over

    # --- what callers do ------------------------------------------------------------------------

    def signal(self, job_id, event, data):
        job = self.jobs[job_id]
        job.signals.append((event, data))
        if job.status == "waiting" and job.event == event:
            self._queue(job)

    def cancel(self, job_id):
        job = self.jobs[job_id]
        if job.status in OVER:
            return
        job.cancel = True
        if job.status != "running" or job.until <= self.now:
            self._end(job, "cancelled")

    def cancel_workflow(self, workflow):
        for job in list(self.jobs.values()):
            if job.workflow == workflow:
                self.cancel(job.id)

    def retry_workflow(self, workflow):
        self.release()
        bad = {
            job.id: job
            for job in self.jobs.values()
            if job.workflow == workflow and job.status in ("failed", "cancelled")
        }
        for job in self.jobs.values():
            for link in job.links:
                if link.on in bad and (job.id in bad or link.policy == "wait"):
                    link.state = "open"
        for job in bad.values():
            job.attempts = job.lost = 0
            job.cancel = job.untold = False
            job.event = None
            waits = any(link.state != "told" for link in job.links)
            job.status, job.run_at = "waiting" if waits else "queued", self.now
            job.placed = False
        return len(bad)

    def _queue(self, job, run_at=None):
        job.status, job.run_at = "queued", self.now if run_at is None else run_at
        job.event = job.until = job.holder = None
        job.placed = False

    def _end(self, job, status):
        job.status, job.until, job.holder = status, None, None
        job.untold, job.placed = True, False
