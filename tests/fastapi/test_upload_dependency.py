"""An upload and the record of it: both are there, or neither is."""

import asyncio
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, HTTPException

import holdfast.fastapi as hf
from holdfast import Entity, Field, field, generated_key, uuid7
from holdfast.fastapi.transfers.request_body import UploadLimits
from holdfast.fastapi.transfers.upload_dependency import upload_to
from holdfast.fastapi.transfers.upload_request import ReceivedUpload
from http_serving import client_of
from live_server import served, until

pytestmark = pytest.mark.anyio


class Clip(Entity, table="clips"):
    id: Field[int] = generated_key()
    key: Field[str] = field(max_length=200)
    title: Field[str] = field(max_length=20, unique=True)


Upload = Annotated[
    ReceivedUpload,
    upload_to(lambda _: f"clips/{uuid7()}", limits=UploadLimits(most=5_000_000)),
]


@pytest.fixture
def app(tmp_path):
    app = FastAPI()
    hf.Holdfast(
        app,
        store=f"sqlite:///{tmp_path}/app.db",
        bucket=f"file://{tmp_path}/bucket",
        entities=[Clip],
        options=hf.HTTPOptions(create_schema=True),
    )

    @app.post("/clips/{title}", status_code=201)
    async def add(
        title: str, clips: hf.Repo[Clip], tx: hf.Writing, upload: Upload, fail: str = ""
    ) -> dict[str, str]:
        await clips.add(Clip(key=upload.key, title=title))
        if fail == "route":
            raise HTTPException(418)
        if fail == "commit":

            async def lose() -> None:
                raise RuntimeError("the commit fails")

            tx.work.commit = lose
        return {"key": upload.key}

    async def nobody() -> None:
        raise HTTPException(401)

    @app.post("/closed", dependencies=[Depends(nobody)])
    async def closed(upload: Upload, tx: hf.Writing) -> None: ...

    @app.post("/small")
    async def small(title: str) -> None: ...

    return app


async def keys(app):
    return [info.key async for info in app.state.holdfast.bucket.list()]


async def titles(app):
    return [clip.title for clip in await app.state.holdfast.store.repository(Clip).find()]


async def test_the_object_stays_with_its_record_and_goes_without(app):
    async with client_of(app) as client:
        got = await client.post("/clips/one", content=bytes(3_000_000))  # beyond the usual limit
        assert got.status_code == 201
        assert await keys(app) == [got.json()["key"]]
        for path, status in (
            ("/clips/one", 409),  # the title is taken
            ("/clips/" + "x" * 30, 422),
            ("/clips/two?fail=route", 418),
            ("/clips/two?fail=commit", 500),
        ):
            refused = await client.post(path, content=b"x")
            assert refused.status_code == status
            assert refused.headers["content-type"] == "application/problem+json"
            assert await keys(app) == [got.json()["key"]]
        assert await titles(app) == ["one"]
        assert (await client.post("/clips/two", content=bytes(5_000_001))).status_code == 413
        assert (await client.post("/small", content=bytes(3_000_000))).status_code in (413, 422)


async def test_no_transaction_is_open_while_a_client_sends(app):
    async with served(app) as live, live.connected() as (reader, writer):
        writer.write(b"POST /clips/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        await until(lambda: live.tasks == 1)
        # On SQLite a transaction that writes would keep this one waiting.
        clips = app.state.holdfast.store.repository(Clip)
        async with asyncio.timeout(60):
            await clips.add(Clip(key="k", title="quick"))
        writer.write(b"cde")
        assert b" 201 " in await reader.readline()
        assert await titles(app) == ["quick", "slow"]


async def test_who_may_not_upload_is_told_before_anything_is_received(app):
    async with served(app) as live, live.connected() as (reader, writer):
        writer.write(b"POST /closed HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        async with asyncio.timeout(60):
            assert b" 401 " in await reader.readline()


async def test_a_client_that_leaves_leaves_neither_object_nor_record(app):
    async with served(app) as live:
        async with live.connected() as (_, writer):
            writer.write(b"POST /clips/x HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
            writer.write(bytes(400_000))
            await until(lambda: live.tasks == 1)
            await writer.drain()
        await until(lambda: live.tasks == 0)
        assert await keys(app) == []
        assert await titles(app) == []
