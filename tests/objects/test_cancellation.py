"""A task that is cancelled leaves the object as it was or as it was to be, and nothing else."""

import asyncio
from pathlib import Path

import pytest

from holdfast.objects import open_bucket
from objects.disk_state import files_below, strays

OLD = b"old" * 200_000
NEW = b"new" * 300_000


def open_descriptors():
    entries = Path("/proc/self/fd").iterdir()
    return sorted(str(entry.readlink()) for entry in entries if entry.exists())


async def test_a_put_cancelled_while_its_body_waits_leaves_nothing(tmp_path):
    waiting = asyncio.Event()

    async def body():
        yield NEW
        waiting.set()
        await asyncio.Event().wait()

    async with open_bucket(tmp_path) as bucket:
        task = asyncio.create_task(bucket.put("k", body()))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert strays(tmp_path) == set()
        assert [info async for info in bucket.list()] == []


async def put(bucket, _local):
    await bucket.put("k", NEW)


async def upload(bucket, local):
    await bucket.upload(local / "new", "k")


async def copy(bucket, _local):
    await bucket.copy("new", "k")


async def download(bucket, local):
    await bucket.download("new", local / "down")


async def borrow(bucket, _local):
    async with bucket.as_file("new") as path:
        assert path.read_bytes() == NEW


async def stream(bucket, _local):
    async with bucket.open("new") as reader:
        assert b"".join([chunk async for chunk in reader]) == NEW


@pytest.mark.parametrize("verb", [put, upload, copy, download, borrow, stream])
async def test_cancelled_after_any_number_of_turns_nothing_is_half_there(tmp_path, verb):
    local = tmp_path / "local"
    local.mkdir()
    (local / "new").write_bytes(NEW)
    root = tmp_path / "root"
    ended = 0
    turns = 0
    while ended < 3:
        before = open_descriptors()
        async with open_bucket(root) as bucket:
            await bucket.put("new", NEW)
            await bucket.put("k", OLD)
            task = asyncio.create_task(verb(bucket, local))
            for _ in range(turns):
                await asyncio.sleep(0)
            ended += task.done()
            task.cancel()
            await asyncio.wait([task])
            assert await bucket.get("k") in (OLD, NEW)
        del bucket, task
        assert strays(root) == set(), turns  # the bucket is closed: its threads have ended
        assert files_below(local) <= {local / "new", local / "down"}, turns
        if (local / "down").exists():
            assert (local / "down").read_bytes() == NEW
            (local / "down").unlink()
        assert open_descriptors() == before, turns
        turns = turns * 3 // 2 + 1
