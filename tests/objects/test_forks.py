"""A bucket in the child of a fork: it never reads what its parent was answered."""

import pytest

from forking import forked
from objects.faulty_s3 import FaultyS3

_OPEN = """
from holdfast.objects import Credentials, S3Options, sync, open_bucket
options = S3Options(endpoint_url=arguments[0], credentials=Credentials("key", "secret"))
"""


@pytest.fixture
def url():
    with FaultyS3().running() as server:
        yield f"http://127.0.0.1:{server.port}"


def test_parent_and_child_read_their_own_answers(url):
    forked(
        _OPEN
        + """
with sync.open_bucket("s3://faulty", options=options) as bucket:
    for name in "abcdef":
        bucket.put(name, name.encode() * 1000)

    def read(names):
        return [bucket.get(name) == name.encode() * 1000 for name in names * 50]

    wait = in_child(lambda: read("abc"))
    assert all(read("def"))
    assert all(wait())
    assert all(read("abcdef"))
""",
        url,
    )


def test_a_stream_that_was_open_goes_on_in_both(url):
    forked(
        _OPEN
        + """
import hashlib
body = bytes(range(256)) * 40_000
with sync.open_bucket("s3://faulty", options=options) as bucket:
    bucket.put("k", body)
    with bucket.open("k") as reader:
        first = reader.read(100_000)
        wait = in_child(lambda: hashlib.sha256(first + reader.read()).hexdigest())
        assert first + reader.read() == body
        assert wait() == hashlib.sha256(body).hexdigest()
""",
        url,
    )


def test_an_async_bucket_goes_on_in_a_loop_of_the_childs_own(url):
    forked(
        _OPEN
        + """
import asyncio

async def main():
    async with open_bucket("s3://faulty", options=options) as bucket:
        for name in "abcdef":
            await bucket.put(name, name.encode() * 1000)

        async def read(names):
            found = [await bucket.get(name) for name in names * 30]
            found += await asyncio.gather(*[bucket.get(name) for name in names * 30])
            return all(body == name.encode() * 1000 for body, name in zip(found, names * 60))

        async def large():
            await bucket.put("large", b"x" * 1_000_000)  # hashed on a thread
            return len(await bucket.get("large"))

        # asyncio.run refuses to run inside of the parent's loop, which the child does not have
        wait = in_child(lambda: [asyncio.run(read("abc")), asyncio.run(large())])
        assert await read("def")
        assert await asyncio.to_thread(wait) == [True, 1_000_000]
        assert await read("abcdef")

asyncio.run(main())
""",
        url,
    )


def test_a_fork_while_a_thread_holds_every_lock_leaves_none_held(url):
    forked(
        _OPEN
        + """
import threading
with sync.open_bucket("s3://faulty", options=options) as bucket:
    bucket.put("k", b"v")
    driver = bucket.asynchronous._driver
    service = driver._service
    held = [
        service._budget._lock,
        service._credentials._lock,
        bucket.asynchronous._recorder._lock,
        bucket.asynchronous._instrumentation._lock,
    ]
    ready, done = threading.Event(), threading.Event()

    def hold():
        for lock in held:
            lock.acquire()
        ready.set()
        done.wait()
        for lock in held:
            lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    wait = in_child(lambda: [bucket.get("k").decode(), bucket.stats().operations["get"].count])
    assert wait() == ["v", 1]
    done.set()
    thread.join()
""",
        url,
    )


def test_a_child_does_not_remove_what_its_parent_is_writing(tmp_path):
    forked(
        """
import os
from pathlib import Path
from holdfast.objects import sync
with sync.open_bucket(Path(arguments[0])) as bucket:
    bucket.put("k", b"lent")

    def body():
        yield b"x" * 300_000
        child = os.fork()
        if not child:
            raise SystemExit  # unwinds the parent's put and as_file, in the child
        os.waitpid(child, 0)
        yield b"y"

    with bucket.as_file("k") as path:
        main = os.getpid()
        try:
            bucket.put("new", body())
        except SystemExit:
            assert os.getpid() != main
            raise
        finally:
            if os.getpid() == main:
                assert path.read_bytes() == b"lent"
    assert bucket.get("new") == b"x" * 300_000 + b"y"
""",
        str(tmp_path / "bucket"),
    )


def test_a_lock_on_disk_does_not_outlive_the_parents_hold_in_a_child(tmp_path):
    forked(
        """
import os, signal
from pathlib import Path
from holdfast.objects import DiskOptions, sync
with sync.open_bucket(Path(arguments[0]), options=DiskOptions(lock_timeout=5)) as bucket:
    root = bucket.asynchronous._driver.root
    with root._locked("k"):
        child = os.fork()
        if not child:
            signal.pause()
    bucket.put("k", b"written while the child still has the descriptor")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
""",
        str(tmp_path / "bucket"),
    )


def test_an_async_bucket_on_disk_and_in_memory_works_in_a_child(tmp_path):
    forked(
        """
import asyncio
from pathlib import Path
from holdfast.objects import open_bucket

async def main(place):
    async with open_bucket(place) as bucket:
        await bucket.put("k", b"before")

        async def use():
            before = await bucket.get("k")
            await bucket.put("l", b"child")
            return [before.decode(), (await bucket.get("l")).decode()]

        wait = in_child(lambda: asyncio.run(use()))
        assert await asyncio.to_thread(wait) == ["before", "child"]
        assert await bucket.get("k") == b"before"
        assert await bucket.exists("l") is isinstance(place, Path)

asyncio.run(main(Path(arguments[0])))
asyncio.run(main("memory://"))
""",
        str(tmp_path / "bucket"),
    )
