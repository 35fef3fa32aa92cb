"""A worker of plain claims that ends, or stops, itself: `main(url, signal, moment)`.

It claims jobs two at a time, renews their leases, tells their progress and ends them, alone and
together, one of them by a failure. Before and after each write is a moment, as in `killed_worker`.
"""

import asyncio
from datetime import timedelta

from holdfast import open_store
from holdfast.errors import HoldfastError
from holdfast.jobs import JOB_ENTITIES, EnqueueOptions, Jobs, NewJob
from jobs.killed_worker import Moments

COUNT = 6
LEASE = timedelta(minutes=1)


async def start(jobs):
    """Put the jobs in, and return their ids."""
    made = await jobs.enqueue_many([NewJob("t", options=EnqueueOptions(max_attempts=5))] * COUNT)
    return [each.job.id for each in made]


async def work(jobs, name):
    """Do all there is; return how many writes were refused to a worker whose lease was over."""
    refused = 0
    while claims := await jobs.claim_many(name, 2, lease=LEASE):
        try:
            for claim in claims:
                await jobs.heartbeat(claim)
                await jobs.progress(claim, 0.5)
            await jobs.complete(claims[0], name)
        except HoldfastError:
            refused += 1
        outcomes = await jobs.complete_many([(claim, None) for claim in claims])
        refused += sum(isinstance(each, HoldfastError) for each in outcomes[1:])
    return refused


async def run(url, number, target):
    async with open_store(url, JOB_ENTITIES) as store:
        moments = Moments(number, target)
        moments.install()
        refused = await work(Jobs(store), "killed")
        print(moments.count, refused, flush=True)


def main(url, number, target):
    asyncio.run(run(url, int(number), int(target)))
