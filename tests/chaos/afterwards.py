"""Faults that are planted when the load is over, into what lies in the store and the bucket."""

import asyncio
import sys

from chaos.ledger import LedgerOrder
from holdfast.jobs import Job
from holdfast.objects import BucketCapability
from holdfast.platform import open_platform
from holdfast.settings import read_settings


async def _dropped_object(platform):
    """An object that was acknowledged is gone."""
    async for info in platform.bucket.list("chaos/"):
        await platform.bucket.delete(info.key)
        return


async def _left_upload(platform):
    """A program began an upload, and died; on a folder it left a file."""
    if BucketCapability.UPLOADS in platform.bucket.capabilities:
        await platform.bucket.admin.begin_upload("chaos/never")
    else:
        await asyncio.to_thread(_leave_file, platform.settings.work_folder)


def _leave_file(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "never").write_bytes(b"left")


async def _dropped_job(platform):
    """The job of an order is gone."""
    jobs = platform.store.repository(Job)
    order = await platform.store.repository(LedgerOrder).first()
    await jobs.delete_where(Job.payload["order"] == order.id)


async def _doubled_tick(platform):
    """A tick made two jobs."""
    jobs = platform.store.repository(Job)
    job = await jobs.first(Job.schedule == "ledger-tick")
    await jobs.add(
        Job(
            task=job.task, schedule=job.schedule, tick=job.tick, status=job.status,
            queue=job.queue, max_attempts=job.max_attempts, run_at=job.run_at,
        )
    )  # fmt: skip


_PLANTS = {
    "dropped-object": _dropped_object,
    "left-upload": _left_upload,
    "dropped-job": _dropped_job,
    "doubled-tick": _doubled_tick,
}


async def plant(name):
    async with open_platform(read_settings()) as platform:
        await _PLANTS[name](platform)


if __name__ == "__main__":
    asyncio.run(plant(sys.argv[1]))
