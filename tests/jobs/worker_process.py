"""A worker in a process of its own: `worker_process.py URL LEASE_SECONDS UNTIL`.

The task "record" writes into a table that takes one row a job. The task "hang" goes on until its
lease is lost. What happens is told on standard output, a line each.
"""

import asyncio
import os
import sys
import threading
from datetime import timedelta
from uuid import UUID

from holdfast import Entity, Field, field, key, open_store, uuid7
from holdfast.jobs import Job, Jobs, Worker, WorkerOptions


class Execution(Entity, table="executions"):
    id: Field[UUID] = key(default_factory=uuid7)
    job_id: Field[UUID] = field(unique=True)
    process: Field[int]


async def main(url, lease, mode):
    async with open_store(url, [Job, Execution]) as store:
        executions = store.repository(Execution)
        jobs = Jobs(store, quarantine_after=1000)

        async def record(context):
            own = os.getpid()
            await executions.add(Execution(job_id=context.job.id, process=own))
            while not await executions.exists(Execution.process != own):  # noqa: ASYNC110
                await asyncio.sleep(0.005)  # both processes take part, however fast one is

        def hang(context):
            context.progress(0.5, "hanging")
            while not context.lease_lost:
                threading.Event().wait(0.01)
            print("told", flush=True)

        options = WorkerOptions(lease=lease, poll=timedelta(milliseconds=20), concurrency=4)
        worker = Worker(jobs, {"record": record, "hang": hang}, options=options)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print(await worker.run(until=mode), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], timedelta(seconds=float(sys.argv[2])), sys.argv[3]))
