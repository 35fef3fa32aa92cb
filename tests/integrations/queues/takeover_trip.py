"""Real procrastinate, Celery and arq fill their queues, and Holdfast takes the jobs over.

    python tests/integrations/queues/takeover_trip.py

They come from the package index into an environment of their own, `.queues` here, pinned by
`real_queues.lock`. The exit code is 1 when something is not taken over, or refused, as it should.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cache.servers import RedisServer
from holdfast import open_store
from holdfast.integrations.queues import (
    arq_jobs,
    celery_jobs,
    import_jobs,
    procrastinate_jobs,
    redis_source,
)
from holdfast.jobs import JOB_ENTITIES, Jobs
from own_environment import environment_of
from servers import database_on

HERE = Path(__file__).parent
WHEN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def filled(postgresql, redis):
    """Have the programs fill their queues."""
    python = environment_of(".queues", HERE / "real_queues.lock") / "python"
    subprocess.run([python, HERE / "real_queues.py", postgresql, redis], check=True)


def said(job):
    return (job.task, job.queue, job.payload, job.priority, job.limit_key, job.deadline)


async def taken(jobs, found, **options):
    """Take *found* over; return the jobs, which are due later, and the tasks refused."""
    before = {job.id for job in await jobs.list(size=500)}
    report = await import_jobs(jobs, found, **options)
    made = [job for job in await jobs.list(size=500) if job.id not in before]
    assert len(made) == report.imported
    later = [job.task for job in made if job.run_at == WHEN]
    return sorted(map(said, made), key=repr), later, sorted(each.task for each in report.refused)


async def trip(postgresql, redis):
    names = {"resize": ["video"]}
    async with open_store("memory://", JOB_ENTITIES) as store:
        await store.create_schema()
        jobs = Jobs(store)
        assert await taken(jobs, procrastinate_jobs(postgresql)) == (
            [
                ("resize", "video", {"video": 1, "width": 640}, 5, "camera-7", None),
                ("resize", "video", {"video": 2, "width": [1.5, None, {"a": True}]}, 0, None, None),
                ("resize", "video", {"video": 3, "width": 1}, 0, None, None),
            ],
            ["resize"],
            [],
        )
        async with redis_source(redis) as source:
            celery = await taken(jobs, celery_jobs(source, ["video"]), parameters=names)
            assert celery == (
                [
                    ("resize", "video", {"video": 1, "width": 640}, 0, None, WHEN + HOUR),
                    ("resize", "video", {"video": 2, "width": 320}, -6, None, None),
                    ("tick", "video", {}, 0, None, None),
                ],
                ["resize"],
                ["first", "pickled"],
            ), celery
            again = await taken(jobs, celery_jobs(source, ["video"]), parameters=names)
            assert again == ([], [], ["first", "pickled"]), again
            arq = await taken(jobs, arq_jobs(source, ["arq:queue", "arq:video"]), parameters=names)
            assert arq == (
                [
                    ("resize", "default", {"video": 1, "width": 640}, 0, None, None),
                    ("tick", "video", {}, 0, None, None),
                ],
                ["resize"],
                [""],
            ), arq


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        database_on("postgresql") as postgresql,
        RedisServer(Path(folder)) as redis,
    ):
        filled(postgresql, redis.url)
        asyncio.run(trip(postgresql, redis.url))
    print("all jobs were taken over as they should")


if __name__ == "__main__":
    main()
