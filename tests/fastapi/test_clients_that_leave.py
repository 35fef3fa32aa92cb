"""A client that goes away in the middle leaves no connection, half object or task on servers."""

import asyncio
from dataclasses import replace
from typing import Annotated

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response

import holdfast.fastapi as hf
from holdfast import Entity, Field, key, open_bucket
from holdfast.jobs import Job, Jobs
from live_server import served, until
from objects import s3_servers
from servers import database_on, execute

KEY = "uploads/film"
MIB = 1 << 20
BIG = bytes(32 * MIB)


class Film(Entity, table="films"):
    key: Field[str] = key(max_length=100)


def application(url, bucket):
    app = FastAPI()
    hf.Holdfast(
        app,
        store=url,
        bucket=bucket,
        entities=[Film, Job],
        options=hf.HTTPOptions(create_schema=True),
    )
    Upload = Annotated[hf.ReceivedUpload, hf.upload_to(lambda _: KEY)]  # noqa: N806 - a type

    @app.post("/films")
    async def upload(upload: Upload, films: hf.Repo[Film], tx: hf.Writing) -> None:
        await films.add(Film(key=upload.key))

    @app.get("/films/{name}")
    async def content(name: str, request: Request, bucket: hf.Bucket, tx: hf.Reading) -> Response:
        return await hf.object_response(request, bucket, name)

    @app.get("/jobs/{id}/events")
    async def events(job: hf.FromPath[Job], request: Request, store: hf.Store) -> Response:
        return await hf.job_event_stream(request, Jobs(store), job.id)

    return app


async def begin_upload(_app, live, _bucket):
    async with live.connected() as (_, writer):
        head = f"POST /films HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BIG)}\r\n"
        writer.write(f"{head}Content-Type: video/mp4\r\n\r\n".encode() + BIG[: 20 * MIB])
        await writer.drain()  # all but what sockets hold was taken
        assert live.tasks == 1


async def begin_download(_app, live, bucket):
    await bucket.put("big", BIG)
    async with live.connected() as (reader, writer):
        writer.write(b"GET /films/big HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readexactly(MIB)
    await bucket.delete("big")


async def begin_events(app, live, _bucket):
    job = (await Jobs(app.state.holdfast.store).enqueue("render")).job
    async with live.connected() as (reader, writer):
        writer.write(f"GET /jobs/{job.id}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"queued")


@pytest.fixture(scope="module")
def database():
    with database_on("postgresql") as url:
        yield url


@pytest.mark.parametrize("begin", [begin_upload, begin_download, begin_events])
async def test_nothing_is_left_of_a_client_that_goes_away(database, begin):
    name = s3_servers.new_name()
    options = replace(s3_servers.options_of("minio"), multipart=5 * MIB)
    async with open_bucket(name, options=options) as bucket:
        app = application(database, open_bucket(name, options=options))
        async with served(app) as live:
            store = app.state.holdfast.store
            before = len(asyncio.all_tasks())
            await begin(app, live, bucket)
            await until(lambda: live.tasks == 0 and live.connections == 0)
            await until(lambda: len(asyncio.all_tasks()) <= before)

            def idle():
                gauges = store.stats().gauges
                return gauges["connections_open"] == gauges["connections_idle"]

            await until(idle)
            busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            assert execute(database, f"{busy} AND state LIKE 'idle in transaction%'") == [(0,)]
            assert await store.repository(Film).count() == 0
        assert [info.key async for info in bucket.list()] == []
        assert [each async for each in bucket.admin.uploads(KEY)] == []
    s3_servers.remove(name, options)
