"""What the platform has when all is over: read by a process of its own, and printed as JSON.

It opens the platform as its programs did, lets it do its upkeep, and then reads everything.
"""

import asyncio
import dataclasses
import hashlib
import json
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from chaos.checker import Found
from chaos.clients import ACCOUNTS, OPENING
from chaos.ledger import (
    MODEL,
    TICK,
    Ledger,
    LedgerCounter,
    LedgerEffect,
    LedgerOrder,
    LedgerPrice,
    LedgerRow,
)
from holdfast.audit import AuditEntry
from holdfast.audit.log_keeper import LogKeeper
from holdfast.cache import CacheInvalidation
from holdfast.jobs import Job, JobStatus
from holdfast.models import ModelRegistry
from holdfast.models.model_entities import ModelVersion
from holdfast.objects import BucketCapability
from holdfast.platform import open_platform
from holdfast.records import everything
from holdfast.settings import read_settings


async def unfinished():
    """Return how many orders' jobs are not at their end."""
    async with open_platform(read_settings()) as platform:
        return await platform.store.repository(Job).count(
            Job.task == "ledger.work", Job.status.in_([JobStatus.QUEUED, JobStatus.RUNNING])
        )


async def observed():
    """Return what there is as `Found`."""
    found = Found(opening=ACCOUNTS * OPENING, every=int(TICK.total_seconds()))
    async with open_platform(read_settings()) as platform:
        ledger = platform.service(Ledger)
        await ledger.outbox.drain()
        await platform.service(LogKeeper).sequence()
        await _read_rows(platform.store, found)
        for price in await platform.store.repository(LedgerPrice).find():
            cached = await ledger.prices.get(price.id)
            found.prices[price.id] = price.value
            found.cached[price.id] = None if cached is None else cached.value
        await _read_jobs(platform.store, found)
        await _read_objects(platform.bucket, found)
        verified = await platform.service(LogKeeper).verify()
        found.log = [f"{each.kind}: {each.detail}" for each in verified.findings]
        found.waiting = verified.waiting
        registry = platform.service(ModelRegistry)
        async for version in platform.store.repository(ModelVersion).stream(everything()):
            found.models.append(str(version.tags["token"]))
        found.damages = [f"{MODEL} {each.path}: {each.reason}" for each in await registry.verify()]
        await _read_left(platform, registry, found)
    return found


async def _read_rows(store, found):
    async for row in store.repository(LedgerRow).stream(everything()):
        found.rows[row.id] = row.value
    entries = defaultdict(list)
    async for entry in store.repository(AuditEntry).stream(
        AuditEntry.entity == "LedgerRow", order_by=AuditEntry.id.asc()
    ):
        entries[entry.key].append(entry.verb)
    found.entries = dict(entries)
    async for row in store.repository(LedgerCounter).stream(everything()):
        found.counters[row.id] = row.value


async def _read_jobs(store, found):
    jobs, effects = defaultdict(list), defaultdict(int)
    async for job in store.repository(Job).stream(everything()):
        if job.task == "ledger.work":
            jobs[str(job.payload["order"])].append(job.status.value)
        elif job.schedule == "ledger-tick":
            found.ticks.append(int(job.tick.timestamp()))
        # One that ran out is nobody's, and its job is the next worker's: a worker that is stopped
        # on a starved machine can't put its job back in time.
        if job.status is JobStatus.RUNNING and job.leased_until > datetime.now(UTC):
            found.left.setdefault("lease", []).append(f"{job.task} {job.id}")
    async for effect in store.repository(LedgerEffect).stream(everything()):
        effects[effect.order] += 1
    async for each in store.repository(LedgerOrder).stream(everything()):
        found.orders.add(each.id)
    found.jobs, found.effects = dict(jobs), dict(effects)
    left = await store.repository(CacheInvalidation).count()
    if left:
        found.left["recorded invalidation"] = [f"{left} of them"]


async def _read_objects(bucket, found):
    async for info in bucket.list("chaos/"):
        found.objects[info.key] = hashlib.sha256(await bucket.get(info.key)).hexdigest()


async def _read_left(platform, registry, found):
    """Let the platform remove what was left behind, and say what is still there."""
    await platform.upkeep()
    await registry.gc(grace=timedelta(0))
    if BucketCapability.UPLOADS in platform.bucket.capabilities:
        left = [upload.key async for upload in platform.bucket.admin.uploads()]
        found.left["upload in parts"] = left
    folder = platform.settings.work_folder
    if folder.exists():
        files = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
        found.left["file in the folder of work"] = files


def main():
    """Print what was asked for: `unfinished`, or everything."""
    if sys.argv[1:] == ["unfinished"]:
        print(asyncio.run(unfinished()))
        return
    found = dataclasses.asdict(asyncio.run(observed()))
    print(json.dumps({**found, "orders": sorted(found["orders"])}))


if __name__ == "__main__":
    main()
