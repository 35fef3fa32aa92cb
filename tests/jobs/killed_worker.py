"""A worker that ends, or stops, itself: `main(url, signal, moment)`.

It runs a workflow's jobs until none is due. Before and after each write and each commit is a
moment; at the one that it is told it sends itself the signal. Moments at which a transaction or a
write is open, in whichever task, are left out where it is to stop, as nobody gets past its locks.
It prints "at" then, and the number of moments at its end.
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from functools import wraps
from uuid import UUID

from holdfast import Entity, Field, generated_key, open_store
from holdfast.jobs import JOB_ENTITIES, Jobs, Worker, Workflow, Workflows
from holdfast.records import Repository, Transaction

WRITES = ("add", "add_many", "patch", "update_where", "take")


class Mark(Entity, table="marks"):
    id: Field[int] = generated_key()
    by: Field[str]


ENTITIES = (Mark, *JOB_ENTITIES)


def handlers(jobs):
    """The handlers of the workflow: a step that writes, a sleep, a wait, a signal, a later job."""
    store = jobs.store
    marks = store.repository(Mark)

    async def mark():
        await marks.add(Mark(by="first"))
        return "marked"

    async def first(context):
        async with store.transaction():
            marked = await context.step("mark", mark)
        await context.sleep(timedelta(0))
        return [marked, await context.wait_for("go")]

    async def tell(context):
        await jobs.signal(UUID(context.payload["first"]), "go", 1)

    async def last(context):
        return await context.result_of("first")

    return {"first": first, "tell": tell, "last": last}


async def start(jobs):
    """Start the workflow and return its run."""
    flow = Workflow("killed")
    first = flow.job("first")
    flow.job("tell", {"first": str(first.id)})
    flow.job("last", after=[first])
    return await Workflows(jobs).start(flow)


class Moments:
    """Counts what could be the last thing that the process does."""

    def __init__(self, number, target):
        self.count = 0
        self._signal = number
        self._target = target
        self._open = 0  # transactions and writes, of all tasks

    def pass_by(self):
        if self._open and self._signal == signal.SIGSTOP:
            return
        self.count += 1
        if self.count == self._target:
            os.write(1, b"at\n")
            os.kill(os.getpid(), self._signal)

    def around(self, call, *, opens=1, closes=1):
        """Return *call* between two moments; it *opens* and *closes* so many."""

        @wraps(call)
        async def called(self_, *args, **options):
            self.pass_by()
            self._open += opens
            try:
                found = await call(self_, *args, **options)
            finally:
                self._open -= closes
            self.pass_by()
            return found

        return called

    def install(self):
        for name in WRITES:
            setattr(Repository, name, self.around(getattr(Repository, name)))
        Transaction.__aenter__ = self.around(Transaction.__aenter__, closes=0)
        Transaction.__aexit__ = self.around(Transaction.__aexit__, opens=0)


async def run(url, number, target):
    async with open_store(url, ENTITIES) as store:
        jobs = Jobs(store)
        moments = Moments(number, target)
        moments.install()
        await Worker(jobs, handlers(jobs)).run(until="idle")
        print(moments.count, flush=True)


def main(url, number, target):
    asyncio.run(run(url, int(number), int(target)))


if __name__ == "__main__":
    main(*sys.argv[1:])
