"""Uploads: streamed into the bucket, refused with a clear answer, gone when the request fails."""

import asyncio
from datetime import timedelta
from typing import Annotated
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

from holdfast.errors import ConfigurationError
from holdfast.fastapi.transfers.request_body import UploadLimits
from holdfast.fastapi.transfers.upload_request import receive_upload
from holdfast.records import open_store
from live_server import served, until

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
MARK = "9f2c"


class Details(BaseModel):
    title: Annotated[str, Field(min_length=1)]
    stars: int = 0


def application(bucket, *, fail=None, **limits):
    app = FastAPI()

    @app.post("/")
    async def add(request: Request):
        key = f"uploads/{uuid4()}"
        async with receive_upload(request, bucket, key, limits=UploadLimits(**limits)) as upload:
            if fail is not None:
                raise fail
            return {
                "key": upload.key,
                "size": upload.info.size,
                "type": upload.info.content_type,
                "filename": upload.filename,
                "fields": upload.fields,
            }

    @app.post("/details")
    async def with_details(request: Request) -> Details:
        async with receive_upload(request, bucket, "details") as upload:
            return upload.form(Details)

    return app


def client_of(app):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


def part(disposition, body=b"", *more):
    head = "".join(f"{line}\r\n" for line in (f"Content-Disposition: {disposition}", *more))
    return f"--{MARK}\r\n{head}\r\n".encode() + body + b"\r\n"


FILE = part('form-data; name="file"; filename="a.png"', PNG, "Content-Type: image/png")
END = f"--{MARK}--\r\n".encode()


async def post_form(client, *parts, path="/"):
    headers = {"Content-Type": f"multipart/form-data; boundary={MARK}"}
    return await client.post(path, content=b"".join(parts), headers=headers)


async def keys(bucket):
    return [info.key async for info in bucket.list()]


async def test_a_raw_body_is_stored_under_the_servers_key(bucket):
    body = bytes(range(256)) * 5000
    async with client_of(application(bucket)) as client:
        got = await client.post("/", content=body, headers={"Content-Type": "video/mp4"})
    found = got.json()
    assert found["key"].startswith("uploads/")
    assert (found["size"], found["type"], found["filename"]) == (len(body), "video/mp4", None)
    assert await bucket.get(found["key"]) == body


async def test_the_file_of_a_form_is_stored_and_its_fields_are_kept(bucket):
    body = bytes(range(256)) * 5000
    async with client_of(application(bucket)) as client:
        got = await post_form(
            client,
            part('form-data; name="title"', "Grüße".encode()),
            part('form-data; name="file"; filename="../a\u202e.mp4"', body),
            part('form-data; name="stars"', b"5"),
            END,
            b"what comes behind the form is nobody's",
        )
    found = got.json()
    assert got.status_code == 200, found
    assert found["fields"] == {"title": "Grüße", "stars": "5"}
    assert (found["filename"], found["size"]) == ("a.mp4", len(body))
    assert found["type"] == "application/octet-stream"
    assert await bucket.get(found["key"]) == body


@pytest.mark.parametrize("fail", [HTTPException(409), RuntimeError("mine"), KeyError("k")])
async def test_nothing_stays_when_the_request_fails(memory, fail):
    async with client_of(application(memory, fail=fail)) as client:
        for got in (await client.post("/", content=b"x"), await post_form(client, FILE, END)):
            assert got.status_code == getattr(fail, "status_code", 500)
    assert await keys(memory) == []


async def test_the_fields_of_a_form_are_validated_and_a_fault_leaves_nothing(memory):
    async with client_of(application(memory)) as client:
        title, stars = part('form-data; name="title"', b"A"), part('form-data; name="stars"', b"x")
        got = await post_form(client, title, FILE, END, path="/details")
        assert got.json() == {"title": "A", "stars": 0}
        await memory.delete("details")
        got = await post_form(client, title, stars, FILE, END, path="/details")
        assert got.status_code == 422
        assert got.json()["detail"][0]["loc"] == ["body", "stars"]
    assert await keys(memory) == []


async def test_an_object_that_is_there_is_never_replaced_nor_removed(memory):
    await memory.put("details", b"somebody's")
    async with client_of(application(memory)) as client:
        assert (await post_form(client, FILE, END, path="/details")).status_code == 500
    assert await memory.get("details") == b"somebody's"


@pytest.mark.parametrize(
    ("status", "parts"),
    [
        (400, (FILE,)),  # no last boundary
        (400, (FILE[:-40],)),
        (400, (END,)),
        (400, (b"",)),
        (400, (b"--another\r\n\r\n", END)),
        (400, (b"\xff" * 5000,)),
        (400, (part('form-data; name="title"', b"A"), END)),  # no file
        (400, (FILE, FILE, END)),
        (400, (part('form-data; name="a"'), part('form-data; name="a"'), FILE, END)),
        (400, (part("form-data"), FILE, END)),
        (400, (part('attachment; name="a"'), FILE, END)),
        (400, (part('form-data; name="a"', b"\xff\xfe"), FILE, END)),
        (400, (FILE, b"--" + MARK.encode() + b"\r\nno colon\r\n\r\nx\r\n", END)),
        (400, (part('form-data; name="a"', b"x", "X: " + "y" * 9000), FILE, END)),
        (400, (part('form-data; name="a"', b"x", *["X: y"] * 50), FILE, END)),
        (413, (part('form-data; name="a"', b"x" * 70_000), FILE, END)),
        (413, (*(part(f'form-data; name="a{at}"') for at in range(101)), FILE, END)),
        (
            415,
            (
                part(
                    'form-data; name="f"; filename="f"',
                    b"eA==",
                    "Content-Transfer-Encoding: base64",
                ),
                END,
            ),
        ),
        (415, (part('form-data; name="f"; filename="f"', b"x", "Content-Type: a b c"), END)),
    ],
)
async def test_a_malformed_form_is_refused_and_leaves_nothing(memory, status, parts):
    async with client_of(application(memory)) as client:
        got = await post_form(client, *parts)
    assert got.status_code == status, got.text
    assert await keys(memory) == []


async def test_a_form_without_a_boundary_or_with_a_silly_one_is_refused(memory):
    async with client_of(application(memory)) as client:
        for boundary in ("", "; boundary=", "; boundary=" + "x" * 5000):
            headers = {"Content-Type": f"multipart/form-data{boundary}"}
            got = await client.post("/", content=FILE + END, headers=headers)
            assert got.status_code == 400
    assert await keys(memory) == []


async def test_an_encoded_body_is_refused(memory):
    async with client_of(application(memory)) as client:
        for coding in ("gzip", "br", "gzip, gzip", "x"):
            got = await client.post("/", content=b"x", headers={"Content-Encoding": coding})
            assert got.status_code == 415
    assert await keys(memory) == []


async def test_a_file_that_is_too_large_or_small_is_refused(bucket):
    async def chunks(count):
        for _ in range(count):
            yield bytes(1000)

    async with client_of(application(bucket, most=100_000, least=10)) as client:
        for content, status in (
            (bytes(100_001), 413),  # it says so itself
            (chunks(101), 413),
            (bytes(100_000), 200),
            (chunks(100), 200),
            (b"123456789", 400),
            (b"", 400),
        ):
            assert (await client.post("/", content=content)).status_code == status
        for size, status in ((100_001, 413), (100_000, 200), (9, 400), (5_000_000, 413)):
            got = await post_form(
                client, part('form-data; name="f"; filename="f"', bytes(size)), END
            )
            assert got.status_code == status
    assert len(await keys(bucket)) == 3


async def test_what_stands_around_the_file_is_bounded_too(memory):
    async with client_of(application(memory, most=1000)) as client:
        for parts in ((FILE, END, bytes(2_000_000)), (bytes(2_000_000), FILE, END)):
            assert (await post_form(client, *parts)).status_code in (400, 413)

        async def endless():
            yield FILE + END
            while True:
                yield bytes(100_000)

        headers = {"Content-Type": f"multipart/form-data; boundary={MARK}"}
        got = await client.post("/", content=endless(), headers=headers)
        assert got.status_code == 413
    assert await keys(memory) == []


@pytest.mark.parametrize(
    ("declared", "body", "taken"),
    [
        ("image/png", PNG, True),
        ("image/png; x=y", PNG, True),
        ("IMAGE/PNG", PNG, True),
        ("image/png", b"<svg onload=alert(1)>", False),
        ("image/png", b"GIF89a", False),
        ("image/png", b"", False),
        ("image/jpeg", PNG, False),
        ("video/mp4", b"\0\0\0\x18ftypisom" + bytes(50), True),
        ("video/quicktime", b"\0\0\0\x14ftypqt  " + bytes(50), True),
        ("video/webm", b"\x1aE\xdf\xa3\x9fB\x82\x84webm" + bytes(50), True),
        ("video/mp4", b"<html><script>", False),
        ("text/csv", b"a,b\n1,2\n", True),
        ("text/csv", b" <!DOCTYPE html><p>", False),
        ("text/csv", PNG, False),
        ("text/html", b"<html>", False),  # not among those that are taken
        ("", PNG, False),
    ],
)
async def test_with_types_a_file_has_to_be_what_it_says(memory, declared, body, taken):
    limits = {"types": ("image/png", "image/jpeg", "video/*", "text/csv")}
    async with client_of(application(memory, **limits)) as client:
        got = await client.post("/", content=body, headers={"Content-Type": declared})
    assert got.status_code == (200 if taken else 415)
    assert len(await keys(memory)) == taken


async def test_an_upload_inside_a_transaction_is_refused(memory):
    async with open_store("memory://", []) as store, client_of(application(memory)) as client:
        async with store.transaction():
            with pytest.raises(ConfigurationError, match="before `Writing`"):
                async with receive_upload(Request({"type": "http"}), memory, "k"):
                    pass
        assert (await client.post("/", content=b"x")).status_code == 200


def test_limits_that_can_not_be_are_refused():
    for wrong in (
        {"most": 1, "least": 2},
        {"types": "image/png"},
        {"types": ("png",)},
        {"least_rate": 0},
        {"deadline": timedelta(0)},
    ):
        with pytest.raises(ConfigurationError):
            UploadLimits(**wrong)


START = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
FORM_TYPE = f"Content-Type: multipart/form-data; boundary={MARK}\r\n\r\n".encode()


async def answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    return int(head.split()[1]), head.lower()


@pytest.mark.parametrize("slow", ["silent", "a byte at a time", "past the deadline"])
async def test_a_client_that_is_too_slow_is_answered_and_dropped(memory, slow):
    limits = {"grace": timedelta(seconds=0.3), "least_rate": 1_000_000}
    if slow == "past the deadline":
        limits = {"grace": timedelta(seconds=60), "deadline": timedelta(seconds=0.3)}
    async with served(application(memory, **limits)) as live, live.connected() as connection:
        reader, writer = connection
        writer.write(START + bytes(1000))
        dripping = asyncio.create_task(drip(writer if slow == "a byte at a time" else None))
        status, head = await answer(reader)
        dripping.cancel()
        assert status == 408
        assert b"connection: close" in head
        await until(lambda: live.connections == 0)
    assert await keys(memory) == []


async def drip(writer):
    while writer is not None:
        writer.write(b"x")
        await asyncio.sleep(0.01)


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(bucket):
    async with served(application(bucket)) as live:
        before = len(asyncio.all_tasks())
        for start in (
            START + bytes(500_000),
            START.replace(
                b"\r\n\r\n",
                f"\r\nContent-Type: multipart/form-data; boundary={MARK}\r\n\r\n".encode(),
            )
            + FILE[:-10]
            + bytes(400_000),
        ):
            async with live.connected() as (_, writer):
                writer.write(start)
                await until(lambda: live.tasks == 1)
                await writer.drain()
        await until(lambda: live.tasks == 0 and live.connections == 0)
        await until(lambda: len(asyncio.all_tasks()) <= before)
    assert await keys(bucket) == []


async def test_a_length_that_lies_is_found_out(memory):
    async with served(application(memory)) as live:
        async with live.connected() as (reader, writer):
            writer.write(START.replace(b"1000000", b"10") + b"0123456789GET / HTTP/1.1\r\nHost: x")
            assert (await answer(reader))[0] == 200
        async with live.connected() as (reader, writer):
            writer.write(START.replace(b"1000000", b"-1"))
            assert (await answer(reader))[0] == 400
        await until(lambda: live.tasks == 0)
    (key,) = await keys(memory)
    assert await memory.get(key) == b"0123456789"
