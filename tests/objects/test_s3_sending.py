"""What goes up to S3 beside the bytes: word of how far it is, and checksums."""

import asyncio

import pytest

from holdfast.objects import PutOptions, open_bucket, sync
from objects.faulty_s3 import BUCKET, FaultyS3

MIB = 1024 * 1024
LARGE = bytes(range(256)) * (12 * MIB // 256)
WINDOW = 256 * 1024
PART = 5 * MIB
UNSIGNED = "UNSIGNED-PAYLOAD"


@pytest.fixture
def server():
    with FaultyS3().running() as running:
        yield running


@pytest.fixture
def local(tmp_path):
    path = tmp_path / "local"
    path.write_bytes(LARGE)
    return path


@pytest.mark.parametrize("in_parts", [True, False], ids=["in parts", "one request"])
@pytest.mark.parametrize("kind", ["bytes", "file"])
async def test_progress_tells_what_was_sent_not_what_was_read(server, local, in_parts, kind):
    seen = []
    operation = "UploadPart" if in_parts else "PutObject"
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()
    told_by_then = []

    def before_the_first_is_done(_request, proceed):
        told_by_then.append(seen[-1])
        loop.call_soon_threadsafe(reached.set)
        return proceed()

    server.plant(operation, before_the_first_is_done)
    more = {"multipart": PART if in_parts else 64 * MIB, "part": PART, "parallel": 1}
    async with open_bucket(f"s3://{BUCKET}", options=server.options(**more)) as bucket:
        progress = PutOptions(progress=lambda *now: seen.append(now))
        await bucket.put("k", LARGE if kind == "bytes" else local, options=progress)
    assert reached.is_set()
    assert told_by_then == [(PART if in_parts else len(LARGE), len(LARGE))]
    done = [now for now, _ in seen]
    assert done == sorted(set(done))
    assert seen[-1] == (len(LARGE), len(LARGE))
    assert server.objects["k"].body == LARGE


async def test_progress_counts_no_byte_twice_when_a_request_is_repeated(server, local):
    server.plant("UploadPart", lambda _request, _proceed: None)
    server.plant("PutObject", lambda _request, _proceed: None)
    for multipart in (PART, 64 * MIB):
        seen = []
        options = server.options(multipart=multipart, part=PART)
        async with open_bucket(f"s3://{BUCKET}", options=options) as bucket:
            await bucket.upload(local, "k", progress=lambda done, _, seen=seen: seen.append(done))
        assert seen == [*range(WINDOW, len(LARGE), WINDOW), len(LARGE)]
        assert server.objects.pop("k").body == LARGE
    assert not server.faults["UploadPart"]
    assert not server.faults["PutObject"]


@pytest.mark.parametrize("multipart", [PART, 64 * MIB], ids=["in parts", "one request"])
@pytest.mark.parametrize("error", [TimeoutError("the bar broke"), KeyError("enough")])
def test_what_progress_raises_is_no_failure_of_the_network(server, local, multipart, error):
    def progress(done, _total):
        if done >= PART:
            raise error

    options = server.options(multipart=multipart, part=PART, parallel=1)
    with sync.open_bucket(f"s3://{BUCKET}", options=options) as bucket:
        with pytest.raises(type(error)) as caught:
            bucket.upload(local, "k", progress=progress)
        assert caught.value is error
        assert bucket.stats().counters["retries"] == 0
    assert server.objects == {}
    assert server.uploads == {}


@pytest.mark.parametrize(
    ("signing", "signed"), [("auto", True), ("always", True), ("never", False)]
)
@pytest.mark.parametrize("multipart", [PART, 64 * MIB], ids=["in parts", "one request"])
async def test_bodies_are_signed_over_plain_http_unless_one_says_never(
    server, local, multipart, signing, signed
):
    seen = set()
    operation = "UploadPart" if multipart == PART else "PutObject"

    def note(request, proceed):
        seen.add(request.headers["x-amz-content-sha256"] != UNSIGNED)
        assert request.headers["x-amz-checksum-crc32"]
        return proceed()

    server.plant(operation, *[note] * 4)
    options = server.options(multipart=multipart, part=PART, payload_signing=signing)
    async with open_bucket(f"s3://{BUCKET}", options=options) as bucket:
        await bucket.put("bytes", LARGE)
        await bucket.upload(local, "file")
        assert await bucket.get("file") == LARGE
    assert seen == {signed}
