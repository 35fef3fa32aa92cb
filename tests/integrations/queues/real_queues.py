"""Fills the queues of procrastinate, Celery and arq, by themselves; run where they are installed.

    python real_queues.py POSTGRESQL_URL REDIS_URL

What is put in is what `takeover_trip.py` expects to come out.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

import msgpack
import procrastinate
from arq import create_pool
from arq.connections import RedisSettings
from celery import Celery, chain

WHEN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def fill_procrastinate(url):
    app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=url))

    @app.task(name="resize", queue="video")
    def resize(video, width):
        pass

    with app.open():
        app.schema_manager.apply_schema()
        later = resize.configure(priority=5, lock="camera-7", schedule_at=WHEN)
        later.defer(video=1, width=640)
        resize.defer(video=2, width=[1.5, None, {"a": True}])
        resize.configure(queueing_lock="once").defer(video=3, width=1)


def fill_celery(url):
    app = Celery(broker=url, set_as_current=False)
    app.conf.broker_transport_options = {"queue_order_strategy": "priority"}

    def send(task, *args, **options):
        return app.signature(task, args=args, **options)

    send("resize", 1, kwargs={"width": 640}).apply_async(
        queue="video", eta=WHEN, expires=WHEN + timedelta(hours=1)
    )
    send("resize", 2, kwargs={"width": 320}).apply_async(queue="video", priority=6)
    send("tick").apply_async(queue="video")
    send("pickled", 1).apply_async(queue="video", serializer="pickle")
    chain(send("first", 1), send("second")).apply_async(queue="video")


async def fill_arq(url):
    settings = RedisSettings.from_dsn(url)
    plain = {"job_serializer": msgpack.packb, "job_deserializer": msgpack.unpackb}
    redis = await create_pool(settings, **plain)
    await redis.enqueue_job("resize", 1, width=640, _job_id="arq-1", _defer_until=WHEN)
    await redis.enqueue_job("tick", _job_id="arq-2", _queue_name="arq:video")
    await redis.aclose()
    pickling = await create_pool(settings)
    await pickling.enqueue_job("resize", 2, _job_id="arq-3")
    await pickling.aclose()


if __name__ == "__main__":
    fill_procrastinate(sys.argv[1])
    fill_celery(sys.argv[2])
    asyncio.run(fill_arq(sys.argv[2]))
