"""One queue each, as its users write it: put jobs in, and work on them.

A side is an async context manager that is given a URL and yields itself. `work` runs a worker whose
handler calls *handled* with what the job was enqueued with, until *enough* is set. Each keeps its
own defaults but for the number of jobs at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

QUEUE = f"bench_{uuid4().hex}"
"""The queue on Redis, which others use too: one for each run of this program."""


class Holdfast:
    """Holdfast on the store that the URL names."""

    name = "holdfast"

    async def __aenter__(self):
        from holdfast import open_store
        from holdfast.jobs import JOB_ENTITIES, Jobs

        self._opening = open_store(self.url, JOB_ENTITIES)
        store = await self._opening.__aenter__()
        await store.create_schema()
        self.jobs = Jobs(store)
        return self

    def __init__(self, url):
        self.url = url

    async def __aexit__(self, *error):
        await self._opening.__aexit__(*error)

    async def enqueue(self, at):
        await self.jobs.enqueue("noop", {"at": at})

    async def enqueue_many(self, ats):
        from holdfast.jobs import NewJob

        await self.jobs.enqueue_many([NewJob("noop", {"at": at}) for at in ats])

    async def work(self, concurrency, handled, enough):
        from holdfast.jobs import Worker, WorkerOptions

        async def noop(context):
            handled(context.payload["at"])

        worker = Worker(self.jobs, {"noop": noop}, options=WorkerOptions(concurrency=concurrency))
        running = asyncio.create_task(worker.run())
        await enough.wait()
        worker.stop()
        await running


@dataclass
class _At:
    at: float


class Awa:
    """awa-pg: a Rust core, which claims and ends jobs in batches."""

    name = "awa-pg"

    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        import awa

        self.client = awa.AsyncClient(self.url)
        await self.client.migrate()
        return self

    async def __aexit__(self, *error):
        await self.client.close()

    async def enqueue(self, at):
        await self.client.insert(_At(at), kind="noop")

    async def enqueue_many(self, ats):
        await self.client.insert_many_copy([_At(at) for at in ats], kind="noop")

    async def work(self, concurrency, handled, enough):
        @self.client.task(_At, kind="noop")
        async def noop(job):
            handled(job.args.at)

        await self.client.start([("default", concurrency)])
        await enough.wait()
        await self.client.shutdown()


class Procrastinate:
    """procrastinate on psycopg."""

    name = "procrastinate"

    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        import procrastinate

        self.app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=self.url))
        self.handled = None

        @self.app.task(name="noop")
        async def noop(at):
            self.handled(at)

        self.task = noop
        await self.app.open_async()
        if not await self.app.check_connection_async():  # the table is not there yet
            await self.app.schema_manager.apply_schema_async()
        return self

    async def __aexit__(self, *error):
        await self.app.close_async()

    async def enqueue(self, at):
        await self.task.defer_async(at=at)

    async def enqueue_many(self, ats):
        await self.task.batch_defer_async(*[{"at": at} for at in ats])

    async def work(self, concurrency, handled, enough):
        self.handled = handled
        running = asyncio.create_task(
            self.app.run_worker_async(concurrency=concurrency, install_signal_handlers=False)
        )
        await enough.wait()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


class PgQueuer:
    """pgqueuer on asyncpg."""

    name = "pgqueuer"

    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        import asyncpg
        from pgqueuer.db import AsyncpgPoolDriver
        from pgqueuer.queries import Queries

        self.pool = await asyncpg.create_pool(self.url, min_size=2, max_size=10)
        self.driver = AsyncpgPoolDriver(self.pool)
        self.queries = Queries(self.driver)
        if not await self.queries.schema_is_installed():
            await self.queries.install()
        return self

    async def __aexit__(self, *error):
        await self.pool.close()

    async def enqueue(self, at):
        await self.queries.enqueue("noop", str(at).encode())

    async def enqueue_many(self, ats):
        payloads = [str(at).encode() for at in ats]
        await self.queries.enqueue(["noop"] * len(ats), payloads, [0] * len(ats))

    async def work(self, concurrency, handled, enough):
        from pgqueuer import PgQueuer as Application

        application = Application(self.driver)

        @application.entrypoint("noop")
        async def noop(job):
            handled(float(job.payload))

        running = asyncio.create_task(
            application.run(
                batch_size=max(1, concurrency),
                max_concurrent_tasks=2 * concurrency,
                dequeue_timeout=timedelta(seconds=1),
            )
        )
        await enough.wait()
        application.shutdown.set()
        await running


class Saq:
    """SAQ on Redis."""

    name = "saq"

    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        from saq import Queue

        self.queue = Queue.from_url(self.url, name=QUEUE)
        await self.queue.connect()
        return self

    async def __aexit__(self, *error):
        await self.queue.disconnect()

    async def enqueue(self, at):
        await self.queue.enqueue("noop", at=at)

    async def enqueue_many(self, ats):
        for at in ats:
            await self.queue.enqueue("noop", at=at)

    async def work(self, concurrency, handled, enough):
        from saq import Worker

        async def noop(_context, *, at):
            handled(at)

        worker = Worker(self.queue, [("noop", noop)], concurrency=concurrency)
        worker.SIGNALS = []
        running = asyncio.create_task(worker.start())
        await enough.wait()
        await worker.stop()
        await asyncio.wait({running})


class Arq:
    """arq on Redis."""

    name = "arq"

    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        from arq import create_pool
        from arq.connections import RedisSettings

        self.redis = await create_pool(RedisSettings.from_dsn(self.url), default_queue_name=QUEUE)
        return self

    async def __aexit__(self, *error):
        await self.redis.aclose()

    async def enqueue(self, at):
        await self.redis.enqueue_job("noop", at)

    async def enqueue_many(self, ats):
        for at in ats:
            await self.redis.enqueue_job("noop", at)

    async def work(self, concurrency, handled, enough):
        from arq.worker import Worker, func

        async def noop(_context, at):
            handled(at)

        worker = Worker(
            functions=[func(noop, name="noop")],
            redis_pool=self.redis,
            queue_name=QUEUE,
            max_jobs=concurrency,
            handle_signals=False,
        )
        running = asyncio.create_task(worker.async_run())
        await enough.wait()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


SIDES = {
    "holdfast": (Holdfast, "postgresql", "holdfast"),
    "awa-pg": (Awa, "postgresql", "awa-pg"),
    "procrastinate": (Procrastinate, "postgresql", "procrastinate"),
    "pgqueuer": (PgQueuer, "postgresql", "pgqueuer"),
    "saq": (Saq, "redis", "saq"),
    "arq": (Arq, "redis", "arq"),
    "holdfast-sqlite": (Holdfast, "sqlite", "holdfast"),
}
"""By name: the side, what it runs on, and its distribution."""

APART = {"arq": "arq==0.28.0"}
"""By name: what an environment of its own is made with, for who can't share that of the others."""
