"""What an operation on objects costs as their number grows, on disk and on S3: see scale.py."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
import uuid
from contextlib import asynccontextmanager
from pathlib import Path

from objects_sides import REGION, Place
from timing import cost, peak_memory

from holdfast import open_bucket
from holdfast.objects import Credentials, S3Options

BODY = b"seen from the north" * 10
LISTED = 1_000
AT_ONCE = 32
HEAD = ["objects", "added", "put", "get", "head", "list of 1,000", "delete", "MiB", "disk MiB"]


def key_of(number):
    """Return the key of object *number*: 1,000 of them share a folder."""
    return f"frames/{number // 1_000:07}/{number % 1_000:03}.txt"


class GrowingBucket:
    """The objects of one bucket, as many as *size*."""

    def __init__(self, bucket):
        self.bucket = bucket
        self.size = 0
        self.dice = random.Random(7)
        self.more = []

    async def grow(self, size):
        """Put objects up to *size*, 32 at once; return the CPU us and the wall us of one."""
        numbers = iter(range(self.size, size))
        wall, cpu = time.perf_counter(), time.process_time()

        async def put():
            for number in numbers:
                await self.bucket.put(key_of(number), BODY)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(put())
        spent = time.process_time() - cpu, time.perf_counter() - wall
        added, self.size = size - self.size, size
        return tuple(each / added * 1e6 for each in spent)

    def any(self):
        return key_of(self.dice.randrange(self.size))

    async def put(self):
        key = f"more/{uuid.uuid4().hex}"
        await self.bucket.put(key, BODY)
        self.more.append(key)

    async def get(self):
        assert await self.bucket.get(self.any()) == BODY

    async def head(self):
        assert (await self.bucket.head(self.any())).size == len(BODY)

    async def list(self):
        first, found = key_of(self.dice.randrange(self.size - LISTED + 1)), 0
        async for _ in self.bucket.list("frames/", start_after=first.removesuffix(".txt")):
            found += 1
            if found == LISTED:
                break
        assert found == LISTED, f"{found} objects from {first} on"

    async def delete(self):
        assert await self.bucket.delete(self.more.pop())


async def measure(bucket, sizes, disk):
    """Yield the row of the table at each of *sizes*."""
    growing = GrowingBucket(bucket)
    for size in sizes:
        figures = [await growing.grow(size)]
        for call, times in [
            (growing.put, 200), (growing.get, 200), (growing.head, 200), (growing.list, 20),
            (growing.delete, 200),
        ]:  # fmt: skip
            figures.append(await cost(call, times))
        yield [f"{size:,}", *(f"{cpu:,.0f} ({wall:,.0f})" for cpu, wall in figures),
               f"{peak_memory():.0f}", f"{disk() >> 20}"]  # fmt: skip


def used(folder):
    """Return the bytes that *folder* has on its disk, its folders included."""
    return sum(each.lstat().st_blocks * 512 for each in Path(folder).rglob("*"))


@asynccontextmanager
async def on_disk():
    with tempfile.TemporaryDirectory() as folder:
        async with open_bucket(f"file://{folder}/bucket") as bucket:
            yield bucket, lambda: used(folder)


@asynccontextmanager
async def on_minio(url, data):
    """Yield a new bucket of the MinIO at *url*, which has its files in *data*; then remove it."""
    place = Place.of(url, f"scale-{uuid.uuid4().hex}")
    folder = data / place.bucket
    options = S3Options(
        endpoint_url=place.endpoint, region=REGION, create=True,
        credentials=Credentials(place.key, place.secret),
    )  # fmt: skip
    try:
        async with open_bucket(f"s3://{place.bucket}", options=options) as bucket:
            yield bucket, lambda: used(folder)
    finally:
        shutil.rmtree(folder)  # a million deletions take longer than all of the rest
