"""Workers that are woken: each would else sleep for longer than a test may take."""

import asyncio
import contextlib
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from cache.servers import RedisServer
from dynamodb_servers import store_url
from holdfast import open_store, sync
from holdfast.cache import open_notifier
from holdfast.cache import sync as sync_cache
from holdfast.errors import ConfigurationError, TransactionError
from holdfast.jobs import JOB_ENTITIES, EnqueueOptions, Jobs, JobStatus, Worker, WorkerOptions
from holdfast.jobs.ready_jobs import CHANNEL
from servers import database_on, empty_store, require

pytestmark = pytest.mark.anyio


class Drowsy(WorkerOptions):
    """Those of a worker that never looks by itself again, once it has looked."""

    def idle_pause(self, chance, empty):
        return 3600.0


class Done:
    """A handler that tells which jobs it was given."""

    def __init__(self):
        self.seen = asyncio.Queue()

    async def __call__(self, context):
        self.seen.put_nowait(context.payload.get("n"))

    async def next(self):
        async with asyncio.timeout(60):
            return await self.seen.get()


@asynccontextmanager
async def drowsy(jobs, handler, **options):
    """Run a worker that has looked, found nothing and sleeps; end it after the block."""
    looked, claim_ready = asyncio.Event(), jobs.claim_ready

    async def looking(*args, **kwargs):
        found = await claim_ready(*args, **kwargs)
        looked.set()
        return found

    jobs.claim_ready = looking
    worker = Worker(jobs, {"a": handler}, options=Drowsy(**options))
    running = asyncio.create_task(worker.run())
    await looked.wait()
    try:
        yield worker
    finally:
        worker.stop()
        await running


@pytest.fixture(scope="module")
def postgresql():
    with database_on("postgresql") as url:
        yield url


async def test_a_job_wakes_the_workers_of_its_queue_when_it_is_committed():
    async with open_store("memory://", JOB_ENTITIES) as store:
        await store.create_schema()
        mine, other = Done(), Done()
        own = EnqueueOptions(queue="own")
        async with drowsy(Jobs(store), mine, queues=("own",)), drowsy(Jobs(store), other):
            jobs = Jobs(store)
            with contextlib.suppress(ZeroDivisionError):
                async with store.transaction():
                    await jobs.enqueue("a", {"n": 1}, options=own)
                    raise ZeroDivisionError
            async with store.transaction():
                await jobs.enqueue("a", {"n": 2}, options=own)
                await jobs.enqueue("a", {"n": 3}, options=EnqueueOptions(queue="nobody"))
            assert await mine.next() == 2
            assert mine.seen.empty()
            assert other.seen.empty()


async def test_jobs_that_are_due_again_wake_workers_too():
    async def failing_first(context):
        if await context.step("count", lambda: 1) and not context.payload.get("n"):
            await context.wait_for("go")
        await done(context)

    done = Done()
    async with open_store("memory://", JOB_ENTITIES) as store:
        await store.create_schema()
        jobs = Jobs(store)
        cancelled = (await jobs.enqueue("a", {"n": 5})).job
        await jobs.cancel(cancelled.id)
        async with drowsy(Jobs(store), failing_first):
            waiting = (await jobs.enqueue("a")).job
            async with asyncio.timeout(60):
                while (await jobs.get_one(waiting.id)).status is not JobStatus.WAITING:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            await jobs.signal(waiting.id, "go")
            assert await done.next() is None
            await jobs.retry(cancelled.id)
            assert await done.next() == 5


async def test_a_job_from_another_process_wakes_workers_on_postgresql(postgresql):
    def enqueue():
        with sync.open_store(postgresql, JOB_ENTITIES) as blocking:
            blocking.run(Jobs(blocking.asynchronous).enqueue("a", {"n": 2}))

    async with (
        open_store(postgresql, JOB_ENTITIES) as store,
        open_store(postgresql, JOB_ENTITIES) as elsewhere,
    ):
        await store.create_schema()
        done = Done()
        async with drowsy(Jobs(store), done):
            await Jobs(elsewhere).enqueue("a", {"n": 1})
            assert await done.next() == 1  # told, or found when the worker began to listen
            await asyncio.to_thread(enqueue)
            assert await done.next() == 2


async def test_a_job_from_another_process_wakes_workers_on_sqlite(tmp_path):
    url = f"sqlite:///{tmp_path}/jobs.db"
    async with open_store(url, JOB_ENTITIES) as store:
        await store.create_schema()
        done = Done()
        async with drowsy(Jobs(store), done):
            for n in (1, 2):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", ENQUEUE_ALONE.format(url=url, n=n)
                )
                assert await process.wait() == 0
                assert await done.next() == n


ENQUEUE_ALONE = """
from holdfast import sync
from holdfast.jobs import JOB_ENTITIES, Jobs

with sync.open_store({url!r}, JOB_ENTITIES) as store:
    store.run(Jobs(store.asynchronous).enqueue("a", {{"n": {n}}}))
"""


async def test_what_a_store_on_sqlite_writes_itself_is_heard_by_others_alone(tmp_path):
    url = f"sqlite:///{tmp_path}/jobs.db"
    async with open_store(url, JOB_ENTITIES) as store, open_store(url, JOB_ENTITIES) as other:
        await store.create_schema()
        own, others = Told(), Told()
        async with store.listening(CHANNEL, own), other.listening(CHANNEL, others):
            await own.wait_for(None)
            await others.wait_for(None)
            await store.notify(CHANNEL, "here")  # no other store hears the text
            await Jobs(store).enqueue("a", {"n": 1})
            await others.wait_for(None)
            heard = [own.texts.get_nowait() for _ in range(own.texts.qsize())]
            assert heard == ["here", "default"]


async def test_a_job_that_nobody_is_told_of_is_found_all_the_same(postgresql):
    silent = f"{postgresql}?notify=false"
    async with (
        open_store(postgresql, JOB_ENTITIES) as store,
        open_store(silent, JOB_ENTITIES) as elsewhere,
    ):
        await store.create_schema()
        done, jobs = Done(), Jobs(store)
        options = WorkerOptions(poll=timedelta(milliseconds=20))
        worker = Worker(jobs, {"a": done}, options=options)
        running = asyncio.create_task(worker.run())
        await Jobs(elsewhere).enqueue("a", {"n": 1})
        assert await done.next() == 1
        worker.stop()
        await running


class Told:
    """What listens told, until something that fits was among it."""

    def __init__(self):
        self.texts = asyncio.Queue()

    def __call__(self, text):
        self.texts.put_nowait(text)

    async def wait_for(self, wanted):
        async with asyncio.timeout(60):
            while await self.texts.get() != wanted:
                pass


@pytest.fixture
def redis(tmp_path):
    require("redis-server")
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture(params=["sqlite", "mariadb", "mysql", "dynamodb"])
def mute(request, tmp_path):
    """A store whose server tells other processes nothing."""
    if request.param == "dynamodb":
        yield store_url("dynoxide", f"wake{uuid4().hex[:8]}", scan=False)
    else:
        with empty_store(request.param, tmp_path) as url:
            yield url


@asynccontextmanager
async def notified(url, redis):
    """A store at *url* that tells and hears through *redis*."""
    async with open_notifier(redis.url) as notifier, open_store(url, JOB_ENTITIES) as store:
        store.notify_by(notifier)
        yield store


async def test_a_job_from_another_process_wakes_workers_through_redis(mute, redis):
    async with notified(mute, redis) as store:
        await store.create_schema()
        done, told = Done(), Told()
        async with store.listening(CHANNEL, told), drowsy(Jobs(store), done):
            await told.wait_for(None)  # it listens
            for n in (1, 2):
                script = ENQUEUE.format(url=mute, redis=redis.url, n=n)
                process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
                assert await process.wait() == 0
                assert await done.next() == n


ENQUEUE = """
import asyncio
from holdfast import open_store
from holdfast.cache import open_notifier
from holdfast.jobs import JOB_ENTITIES, Jobs

async def main():
    async with open_notifier({redis!r}) as notifier, open_store({url!r}, JOB_ENTITIES) as store:
        store.notify_by(notifier)
        await Jobs(store).enqueue("a", {{"n": {n}}})

asyncio.run(main())
"""


async def test_a_blocking_store_tells_through_redis_and_a_rollback_tells_nobody(tmp_path, redis):
    url = f"sqlite:///{tmp_path}/jobs.db"

    def enqueue():
        with (
            sync_cache.open_notifier(redis.url) as notifier,
            sync.open_store(url, JOB_ENTITIES) as blocking,
        ):
            blocking.notify_by(notifier)
            jobs = Jobs(blocking.asynchronous)
            with contextlib.suppress(ZeroDivisionError), blocking.transaction():
                blocking.run(jobs.enqueue("a", {"n": 1}, options=EnqueueOptions(queue="undone")))
                raise ZeroDivisionError
            blocking.run(jobs.enqueue("a", {"n": 2}))

    async with notified(url, redis) as store:
        await store.create_schema()
        told = Told()
        async with store.listening(CHANNEL, told):
            await told.wait_for(None)
            await asyncio.to_thread(enqueue)
            async with asyncio.timeout(60):
                assert await told.texts.get() == "default"


async def test_workers_are_woken_again_after_redis_has_restarted(tmp_path, redis):
    url = f"sqlite:///{tmp_path}/jobs.db"
    async with notified(url, redis) as store, notified(url, redis) as elsewhere:
        await store.create_schema()
        done, told = Done(), Told()
        async with store.listening(CHANNEL, told), drowsy(Jobs(store), done):
            await told.wait_for(None)
            jobs = Jobs(elsewhere)
            await jobs.enqueue("a", {"n": 1})
            assert await done.next() == 1
            await told.wait_for("default")
            redis.kill()
            unheard = (await jobs.enqueue("a", {"n": 2})).job  # which is stored all the same
            assert await jobs.get(unheard.id) is not None
            assert told.texts.empty(), "nobody is told"
            redis.start()
            await told.wait_for(None)  # and who listens again looks
            assert await done.next() == 2
            await jobs.enqueue("a", {"n": 3})
            assert await done.next() == 3


async def test_postgresql_tells_by_itself_whatever_redis_is_there(postgresql, redis):
    async with notified(postgresql, redis) as store, open_store(postgresql, JOB_ENTITIES) as other:
        await store.create_schema()
        told = Told()
        async with store.listening(CHANNEL, told):
            await told.wait_for(None)
            await other.notify(CHANNEL, "default")
            await told.wait_for("default")
            with pytest.raises(TransactionError, match="before"):
                store.notify_by(object())


def test_a_cache_in_memory_passes_nothing_on():
    with pytest.raises(ConfigurationError, match="Redis"):
        open_notifier("memory://")
