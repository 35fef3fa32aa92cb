"""Presigned transfers against a real S3 server, and their refusal where there is none."""

from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI, HTTPException

from holdfast.errors import ObjectNotFoundError, UnsupportedError
from holdfast.fastapi.transfers.presigned_transfer import (
    UploadForm,
    confirm_upload,
    presigned_redirect,
    upload_form,
)
from holdfast.fastapi.transfers.request_body import UploadLimits
from holdfast.objects import open_bucket
from objects import s3_servers

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
LIMITS = UploadLimits(least=1, most=1000, types=("image/png", "text/html"))


@pytest.fixture
async def bucket():
    url, options = s3_servers.new_name(), s3_servers.options_of("minio")
    async with open_bucket(url, options=options) as opened:
        yield opened
    s3_servers.remove(url, options)


async def send(form, body, **changed):
    async with httpx.AsyncClient() as client:
        return await client.post(
            form.url, data={**form.fields, **changed}, files={"file": ("x", body)}
        )


async def test_a_form_takes_one_file_of_its_key_type_and_size(bucket):
    form = await upload_form(bucket, "up/1", content_type="image/png", limits=LIMITS)
    with pytest.raises(HTTPException) as early:
        await confirm_upload(bucket, "up/1", limits=LIMITS)
    assert early.value.status_code == 404
    assert (await send(form, bytes(1001))).status_code >= 400
    assert (await send(form, PNG, **{"Content-Type": "text/html"})).status_code >= 400
    assert (await send(form, PNG, key="up/2")).status_code >= 400
    assert await bucket.head("up/1") is None
    assert (await send(form, PNG)).status_code < 300
    info = await confirm_upload(bucket, "up/1", limits=LIMITS)
    assert (info.size, info.content_type) == (len(PNG), "image/png")


async def test_what_was_sent_and_is_not_what_it_says_is_removed(bucket):
    form = await upload_form(bucket, "up/1", content_type="image/png", limits=LIMITS)
    assert (await send(form, b"<html>")).status_code < 300
    with pytest.raises(HTTPException) as refused:
        await confirm_upload(bucket, "up/1", limits=LIMITS)
    assert refused.value.status_code == 415
    await bucket.put("up/2", bytes(2000), content_type="image/png")
    with pytest.raises(HTTPException) as refused:
        await confirm_upload(bucket, "up/2", limits=LIMITS)
    assert refused.value.status_code == 413
    assert [info.key async for info in bucket.list()] == []
    with pytest.raises(HTTPException) as refused:
        await upload_form(bucket, "k", content_type="video/mp4", limits=LIMITS)
    assert refused.value.status_code == 415


async def test_a_redirect_leads_to_the_object_and_is_not_kept(bucket):
    await bucket.put("page.html", b"<script>", content_type="text/html")
    app = FastAPI()

    @app.get("/form")
    async def form() -> UploadForm:
        return await upload_form(bucket, "k", content_type="image/png")

    @app.get("/")
    async def get(name: str | None = None):
        return await presigned_redirect(
            bucket, "page.html", download_as=name, expires=timedelta(minutes=1)
        )

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/form")).json()["fields"]["key"] == "k"
        for name, said in ((None, "page.html"), ('x"\r\nA: b', "x_A_ b")):
            got = await client.get("/", params={} if name is None else {"name": name})
            assert (got.status_code, got.headers["cache-control"]) == (307, "no-store")
            async with httpx.AsyncClient() as direct:
                found = await direct.get(got.headers["location"])
            assert found.content == b"<script>"
            assert found.headers["content-disposition"].startswith("attachment;")
            assert said in found.headers["content-disposition"]
    with pytest.raises(ObjectNotFoundError):
        await presigned_redirect(bucket, "missing")


async def test_a_bucket_without_a_server_refuses(tmp_path):
    async with open_bucket(f"file://{tmp_path}/b") as bucket:
        await bucket.put("k", b"x")
        with pytest.raises(UnsupportedError):
            await presigned_redirect(bucket, "k")
        with pytest.raises(UnsupportedError):
            await upload_form(bucket, "k", content_type="image/png")
