"""A process that registers, promotes, deletes and collects, and is killed before a chosen step.

A step is a call of the store or the bucket, or a piece of a file on its way; before it the process
kills itself, as `kill -9` does. With step 0 it goes on to its end, and prints how many there were.
"""

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

from holdfast import open_bucket, open_store
from holdfast.domain import RoleBucket
from holdfast.jobs import Job
from holdfast.models import MODEL_ENTITIES, ModelRegistry
from models.dying import CALLS, Dying, DyingDriver

SIZE = 9 << 20
"""Of a model's own file: several pieces, and several parts on S3."""


class Steps:
    """Counts steps, and kills the process before the one with the number *last*."""

    def __init__(self, last):
        self.last = last
        self.count = 0

    def step(self, *_):
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    async def pass_on(self, call):
        self.step()
        return await call()


async def work(records, bucket, folder, name, last):
    folder, steps = Path(folder), Steps(int(last))
    async with (
        open_store(records, [*MODEL_ENTITIES, Job]) as store,
        open_bucket(bucket) as objects,
    ):
        store.driver = DyingDriver(store.driver, steps)
        place = RoleBucket(Dying(objects, steps, CALLS), "models/")
        registry = ModelRegistry(store, place, folder / "cache")
        for number in range(2):
            (folder / "model" / "own.bin").write_bytes(os.urandom(SIZE if number else 10))
            made = await registry.register(name, folder / "model", progress=steps.step)
            await registry.promote(made.version, "prod")
        await registry.delete(await registry.resolve(f"{name}:1"))
        await registry.gc(grace=timedelta(0))
    print(steps.count)


def main(*arguments):
    asyncio.run(work(*arguments))
