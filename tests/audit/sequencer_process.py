"""A process that sequences, and is killed at a step that its parent chose.

python sequencer_process.py URL KEY BUCKET STEP

A step is a statement of the sequencer's transaction, its commit, or a put into the bucket, counted
over the whole run; at it the process kills itself, as `kill -9` does, before the step is done. With
STEP 0 it goes on to its end, and prints how many steps there were.
"""

import asyncio
import os
import signal
import sys

from audited_entities import Project, Task
from holdfast import open_bucket, open_store
from holdfast.audit import AuditHook, Sequencer, SignerKey
from holdfast.audit.checkpoint_export import CheckpointExport
from holdfast.domain import RoleBucket

WATCHED = (
    "values", "find", "get", "insert", "replace", "patch", "update", "upsert", "commit", "put",
)  # fmt: skip


class Steps:
    def __init__(self, last):
        self.last = last
        self.count = 0

    def step(self):
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


class Counted:
    """Stands before a session, a transaction or a bucket, and counts each step before it."""

    def __init__(self, real, steps):
        self._real = real
        self._steps = steps

    def __getattr__(self, name):
        found = getattr(self._real, name)
        if name not in WATCHED:
            return found

        async def counted(*arguments, **named):
            self._steps.step()
            return await found(*arguments, **named)

        return counted


class CountedDriver:
    def __init__(self, real, steps):
        self._real = real
        self._steps = steps

    def __getattr__(self, name):
        return getattr(self._real, name)

    def session(self):
        return Counted(self._real.session(), self._steps)

    async def begin(self, options):
        return Counted(await self._real.begin(options), self._steps)


async def main(url, key, folder, last):
    steps = Steps(last)
    signer = SignerKey.read(key)
    async with open_store(url, [Project, Task], hooks=[AuditHook()]) as store:
        async with open_bucket(f"file://{folder}") as bucket:
            store.driver = CountedDriver(store.driver, steps)
            await Sequencer(store, signer, origin="test.example/audit").run(batch=5)
            await CheckpointExport(RoleBucket(Counted(bucket, steps))).run(store)
    print(steps.count)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))
