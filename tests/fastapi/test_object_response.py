"""Objects over HTTP: ranges, conditions, names, and clients that leave."""

import asyncio
import email
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from fastapi import FastAPI, Request

from holdfast.errors import ObjectNotFoundError
from holdfast.fastapi.transfers.object_response import DownloadOptions, object_response
from holdfast.objects import PutOptions, open_bucket
from live_server import served, until

pytestmark = pytest.mark.anyio

BODY = bytes(range(256)) * 40  # 10,240 bytes


def application(bucket, **options):
    app = FastAPI()

    @app.api_route("/{key:path}", methods=["GET", "HEAD"])
    async def content(request: Request, key: str, name: str | None = None):
        return await object_response(
            request, bucket, key, download_as=name, options=DownloadOptions(**options)
        )

    return app


def client_of(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.fixture
async def bucket(bucket):
    await bucket.put("a.mp4", BODY)
    return bucket


@pytest.fixture
async def client_of_each(bucket):
    """A client of an application on each backend."""
    async with client_of(application(bucket, most_ranges=4)) as found:
        yield found


@pytest.fixture
async def memory(memory):
    await memory.put("a.mp4", BODY)
    return memory


@pytest.fixture
async def client(memory):
    async with client_of(application(memory, most_ranges=4)) as found:
        yield found


async def test_get_and_head_describe_the_object_alike(client_of_each, bucket):
    got, head = await client_of_each.get("/a.mp4"), await client_of_each.head("/a.mp4")
    assert (got.status_code, got.content) == (200, BODY)
    assert (head.status_code, head.content) == (200, b"")
    assert {**got.headers} == {**head.headers}
    info = await bucket.head("a.mp4")
    assert got.headers["etag"] == f'"{info.etag}"'
    assert got.headers["content-length"] == str(len(BODY))
    assert got.headers["accept-ranges"] == "bytes"
    assert got.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=10000-", 10_000, 10_240),
        ("bytes=-1", 10_239, 10_240),
        ("bytes=-999999999999", 0, 10_240),
        ("bytes=5-999999999999999999", 5, 10_240),
        ("BYTES= 7-8 ", 7, 9),
        ("bytes=0-4,5-9", 0, 10),  # they touch
        ("bytes=50-80,0-60", 0, 81),  # they overlap
        ("bytes=0-1,99999-", 0, 2),  # one lies outside
    ],
)
async def test_one_range_is_sent_alone(client, asked, start, end):
    got = await client.get("/a.mp4", headers={"Range": asked})
    assert (got.status_code, got.content) == (206, BODY[start:end])
    assert got.headers["content-range"] == f"bytes {start}-{end - 1}/10240"
    assert got.headers["content-length"] == str(end - start)
    assert got.headers["content-type"] == "video/mp4"


async def test_several_ranges_are_parts_of_one_message(client_of_each):
    got = await client_of_each.get("/a.mp4", headers={"Range": "bytes=9000-9009, 0-9,-5"})
    assert got.status_code == 206
    assert len(got.content) == int(got.headers["content-length"])
    head = f"Content-Type: {got.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + got.content)
    parts = [
        (part["content-range"], part["content-type"], part.get_payload(decode=True))
        for part in message.get_payload()
    ]
    assert parts == [
        ("bytes 9000-9009/10240", "video/mp4", BODY[9000:9010]),
        ("bytes 0-9/10240", "video/mp4", BODY[:10]),
        ("bytes 10235-10239/10240", "video/mp4", BODY[-5:]),
    ]


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=10240-",
        "bytes=-0",
        "bytes=9-8",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=0x1-2",
        "bytes=1-2-3",
        "bytes=\u0661-\u0662".encode(),
        "bytes=0-99999999999999999999",
        "bytes=" + "9" * 5000 + "-",
        "bytes=" + ",".join(f"{at}-{at}" for at in range(0, 5000, 500)),
        "bytes=" + "0-," * 3000,
        "bytes=0-0,,,,,,,,,1000-1000",
    ],
)
async def test_ranges_that_can_not_be_sent_are_416(client, asked):
    got = await client.get("/a.mp4", headers={"Range": asked})
    assert got.status_code == 416
    assert got.headers["content-range"] == "bytes */10240"


async def test_what_is_not_about_bytes_of_this_object_is_answered_with_all(client, memory):
    await memory.put("empty", b"")
    for path, headers, body in (
        ("/a.mp4", {"Range": "frames=1-2"}, BODY),
        ("/a.mp4", {"Range": "bytes=0-9", "If-Range": '"another"'}, BODY),
        ("/a.mp4", {"Range": "bytes=0-9", "If-Range": "yesterday"}, BODY),
        ("/empty", {"Range": "bytes=0-9"}, b""),
        ("/empty", {"Range": "bytes=-5"}, b""),
    ):
        got = await client.get(path, headers=headers)
        assert (got.status_code, got.content) == (200, body)
    assert (await client.head("/a.mp4", headers={"Range": "bytes=0-9"})).status_code == 200


async def test_if_range_holds_for_the_same_object_alone(client_of_each, bucket):
    etag = (await client_of_each.head("/a.mp4")).headers["etag"]
    headers = {"Range": "bytes=1-2", "If-Range": etag}
    assert (await client_of_each.get("/a.mp4", headers=headers)).status_code == 206
    headers["If-Range"] = f"W/{etag}"  # weak: not for bytes
    assert (await client_of_each.get("/a.mp4", headers=headers)).status_code == 200
    await bucket.put("a.mp4", b"other")
    headers["If-Range"] = etag
    got = await client_of_each.get("/a.mp4", headers=headers)
    assert (got.status_code, got.content) == (200, b"other")


async def test_conditions_are_judged_before_ranges(client, memory):
    info = await memory.head("a.mp4")
    etag = f'"{info.etag}"'
    past = format_datetime(info.modified - timedelta(days=1), usegmt=True)
    future = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    for headers, status in (
        ({"If-None-Match": etag}, 304),
        ({"If-None-Match": f'"x", W/{etag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": future}, 200),
        ({"If-Modified-Since": future}, 304),
        ({"If-Modified-Since": past}, 200),
        ({"If-Modified-Since": "Thu, 99 Foo 2026"}, 200),
        ({"If-Match": etag}, 200),
        ({"If-Match": f"W/{etag}"}, 412),
        ({"If-Match": '"x"'}, 412),
        ({"If-Unmodified-Since": past}, 412),
        ({"If-Unmodified-Since": future}, 200),
        ({"If-None-Match": etag, "Range": "bytes=99999-"}, 304),
    ):
        for method in ("GET", "HEAD"):
            got = await client.request(method, "/a.mp4", headers=headers)
            assert got.status_code == status, headers
            if status == 304:
                assert got.headers["etag"] == etag
                assert got.content == b""


async def test_a_compressed_object_is_sent_as_its_content(client_of_each, bucket):
    lines = b"".join(b"line %d of a text that shrinks\n" % at for at in range(30_000))
    stored = await bucket.put("log.txt", lines, options=PutOptions(compression="zstd"))
    assert stored.encoding == "zstd"
    got = await client_of_each.get("/log.txt")
    assert got.content == lines
    assert "content-encoding" not in got.headers
    got = await client_of_each.get("/log.txt", headers={"Range": "bytes=700000-700010"})
    assert (got.status_code, got.content) == (206, lines[700_000:700_011])
    got = await client_of_each.get("/log.txt", headers={"Range": "bytes=-10,0-9"})
    assert lines[-10:] in got.content
    assert lines[:10] in got.content


async def test_what_is_missing_is_an_error_before_anything_is_sent(memory):
    async with client_of(application(memory)) as client:
        with pytest.raises(ObjectNotFoundError):
            await client.get("/missing")


@pytest.mark.parametrize(
    ("key", "kind", "shown"),
    [
        ("a.png", "image/png", True),
        ("a.webm", "video/webm", True),
        ("a.txt", "text/plain", True),
        ("a.html", "text/html", False),
        ("a.svg", "image/svg+xml", False),
        ("a.js", "text/javascript", False),
        ("a.xml", "application/xml", False),
        ("a.xhtml", "application/xhtml+xml", False),
        ("a.pdf", "application/pdf", False),
        ("odd", "image/png+xml", False),
        ("a.any", "TEXT/HTML; charset=utf-8", False),
    ],
)
async def test_nothing_that_could_run_is_shown(memory, key, kind, shown):
    await memory.put(key, b"x", content_type=kind)
    async with client_of(application(memory)) as client:
        got = await client.get(f"/{key}")
        named = (await client.get(f"/{key}?name=x")).headers["content-disposition"]
    disposition = got.headers["content-disposition"]
    assert disposition.partition(";")[0] == ("inline" if shown else "attachment")
    assert named.startswith("attachment;")
    assert "sandbox" in got.headers["content-security-policy"]
    assert got.headers["x-content-type-options"] == "nosniff"


async def test_a_file_name_says_nothing_but_itself(memory):
    await memory.put("k", b"x")
    async with client_of(application(memory)) as client:
        for name, said in {
            "film.mp4": 'attachment; filename="film.mp4"',
            'a"; filename="b.exe': 'attachment; filename="a__ filename=_b.exe"; '
            "filename*=UTF-8''a_%3B%20filename%3D_b.exe",
            "a\r\nSet-Cookie: x=1": 'attachment; filename="aSet-Cookie_ x=1"',
            "../../etc/passwd": 'attachment; filename="passwd"',
            "C:\\windows\\cmd.exe": 'attachment; filename="cmd.exe"',
            "\u202egpj.exe": 'attachment; filename="gpj.exe"',
            "": 'attachment; filename="download"',
            "...": 'attachment; filename="download"',
            "Grüße.txt": "attachment; filename=\"Gru_e.txt\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.txt",
            "日本.mp4": "attachment; filename=\"__.mp4\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.mp4",
            "a%41;.txt": "attachment; filename=\"a_41_.txt\"; filename*=UTF-8''a%2541%3B.txt",
        }.items():
            got = await client.get("/k", params={"name": name})
            assert got.headers["content-disposition"] == said, name
        long = (await client.get("/k", params={"name": "é" * 5000 + ".mp4"})).headers
        assert len(long["content-disposition"]) < 1000
        assert long["content-disposition"].endswith(".mp4")


async def test_an_object_replaced_between_looking_and_sending_is_sent_as_it_is_now(memory):
    await memory.put("k", b"first")
    app = FastAPI()

    @app.get("/")
    async def content(request: Request, gone: bool = False):
        response = await object_response(request, memory, "k")
        response.headers["X-Mine"] = "kept"
        await (memory.delete("k") if gone else memory.put("k", b"the second"))
        return response

    async with client_of(app) as client:
        got = await client.get("/", headers={"Range": "bytes=0-3"})
        assert (got.status_code, got.content, got.headers["x-mine"]) == (206, b"the ", "kept")
        assert got.headers["content-range"] == "bytes 0-3/10"
        with pytest.raises(ObjectNotFoundError):
            await client.get("/?gone=true")


class Counting:
    """A bucket that tells how many of its objects are open."""

    def __init__(self, bucket):
        self._bucket = bucket
        self.open_now = 0
        self.windows = 0

    def head(self, key):
        return self._bucket.head(key)

    def open(self, key, **asked):
        return _Counted(self, self._bucket.open(key, **asked))


class _Counted:
    def __init__(self, counting, manager):
        self._counting, self._manager = counting, manager

    async def __aenter__(self):
        reader = await self._manager.__aenter__()
        self._counting.open_now += 1
        read = reader.read

        async def counted(size=-1):
            self._counting.windows += 1
            return await read(size)

        reader.read = counted
        return reader

    async def __aexit__(self, *error):
        self._counting.open_now -= 1
        return await self._manager.__aexit__(*error)


@pytest.mark.parametrize("left", ["leaves", "takes nothing"])
async def test_a_client_that_leaves_or_takes_nothing_leaves_nothing_behind(tmp_path, left):
    async with open_bucket(f"file://{tmp_path}/bucket") as bucket:
        await bucket.put("big", bytes(64 * 1024 * 1024))
        counting = Counting(bucket)
        stall = timedelta(seconds=60 if left == "leaves" else 0.2)
        async with served(application(counting, stall=stall)) as live:
            before = len(asyncio.all_tasks())
            async with live.connected() as (reader, writer):
                writer.write(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
                await reader.readuntil(b"\r\n\r\n")
                await until(lambda: counting.open_now == 1)
                if left == "takes nothing":
                    await until(lambda: counting.open_now == 0)
                    assert counting.windows < 100  # of 256: it went no faster than it was taken
            await until(lambda: counting.open_now == 0)
            await until(lambda: live.tasks == 0 and live.connections == 0)
            await until(lambda: len(asyncio.all_tasks()) <= before)
