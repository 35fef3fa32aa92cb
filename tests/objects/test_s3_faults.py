"""Every row of the table of faults, against a server that commits it."""

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from holdfast.errors import (
    IntegrityError,
    PreconditionFailedError,
    ServiceError,
    UnavailableError,
    UnsupportedError,
)
from holdfast.objects import PutOptions, open_bucket, sync
from objects.faulty_s3 import BUCKET, Answer, FaultyS3, Stored, refusal

MIB = 1024 * 1024
LARGE = bytes(range(256)) * (12 * MIB // 256)
IN_PARTS = {"multipart": 5 * MIB, "part": 5 * MIB}
ONLY_NEW = PutOptions(if_absent=True)


@pytest.fixture
def server():
    with FaultyS3().running() as running:
        yield running


@asynccontextmanager
async def opened(server, **more):
    async with open_bucket(f"s3://{BUCKET}", options=server.options(**more)) as bucket:
        yield bucket


def lost(_request, proceed):
    """Do it, and cut the connection before the answer."""
    proceed()


def cut(_request, _proceed):
    """Cut the connection without doing anything."""


def answering(*planted):
    return lambda _request, _proceed: planted[0]


async def test_a_completion_that_fails_behind_its_200_is_an_error_and_aborted(server):
    server.plant(
        "CompleteMultipartUpload",
        *[answering(refusal(200, "InvalidPart"))] * 4,
    )
    async with opened(server, **IN_PARTS) as bucket:
        with pytest.raises(ServiceError, match="InvalidPart"):
            await bucket.put("k", LARGE)
    assert server.objects == {}
    assert server.uploads == {}
    assert server.aborted == ["upload0"]


async def test_a_completion_whose_200_says_internal_error_is_repeated(server):
    server.plant("CompleteMultipartUpload", answering(refusal(200, "InternalError")))
    async with opened(server, **IN_PARTS) as bucket:
        await bucket.put("k", LARGE)
        assert await bucket.get("k") == LARGE
    assert server.aborted == []


async def test_a_cancelled_upload_is_aborted(server):
    reached = threading.Event()
    go_on = threading.Event()

    def stop_here(_request, proceed):
        reached.set()
        go_on.wait(120)
        return proceed()

    server.plant("UploadPart", stop_here)
    async with opened(server, **IN_PARTS) as bucket:
        task = asyncio.create_task(bucket.put("k", LARGE))
        await asyncio.to_thread(reached.wait, 120)
        task.cancel()
        task.cancel()  # impatience changes nothing
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.uploads == {}
        assert server.aborted == ["upload0"]
        go_on.set()
        await bucket.put("after", b"the connections are clean")
        assert await bucket.get("after") == b"the connections are clean"
    assert "k" not in server.objects


@pytest.mark.parametrize("way", ["async", "blocking"])
async def test_a_refused_part_aborts_the_upload(server, way):
    server.plant("UploadPart", answering(refusal(403, "AccessDenied")))
    if way == "async":
        async with opened(server, **IN_PARTS) as bucket:
            with pytest.raises(ServiceError, match="AccessDenied") as caught:
                await bucket.put("k", LARGE)
    else:
        options = server.options(**IN_PARTS)
        with sync.open_bucket(f"s3://{BUCKET}", options=options) as bucket:
            with pytest.raises(ServiceError, match="AccessDenied") as caught:
                bucket.put("k", LARGE)
    assert (caught.value.status, caught.value.code) == (403, "AccessDenied")
    assert server.uploads == {}
    assert server.objects == {}


async def test_an_exception_in_a_streaming_body_publishes_nothing(server):
    def body():
        yield LARGE
        raise KeyError("the camera is gone")

    async with opened(server, **IN_PARTS) as bucket:
        with pytest.raises(KeyError, match="camera"):
            await bucket.put("k", body())
    assert server.objects == {}
    assert server.uploads == {}


@pytest.mark.parametrize("body", [b"small", LARGE], ids=["one request", "in parts"])
async def test_a_create_whose_answer_was_lost_is_recognised_as_ones_own(server, body):
    last = "PutObject" if len(body) < 100 else "CompleteMultipartUpload"
    server.plant(last, lost)
    async with opened(server, **IN_PARTS) as bucket:
        info = await bucket.put("k", body, options=ONLY_NEW)
        head = await bucket.head("k")
        assert (info.size, replace(info, modified=head.modified)) == (len(body), head)
        assert server.count(last) == 2
        with pytest.raises(PreconditionFailedError):
            await bucket.put("k", body, options=ONLY_NEW)  # and not what another call wrote


async def test_a_replacement_whose_answer_was_lost_is_recognised_as_ones_own(server):
    async with opened(server) as bucket:
        first = await bucket.put("k", b"1")
        server.plant("PutObject", lost)
        second = await bucket.put("k", b"2", options=PutOptions(if_match=first.etag))
        assert second.etag != first.etag
        with pytest.raises(PreconditionFailedError):
            await bucket.put("k", b"3", options=PutOptions(if_match=first.etag))
    assert server.objects["k"].body == b"2"


async def test_a_conflict_among_conditional_creates_is_tried_again(server):
    server.plant("PutObject", answering(refusal(409, "ConditionalRequestConflict")))
    async with opened(server) as bucket:
        await bucket.put("k", b"1", options=ONLY_NEW)
    assert server.objects["k"].body == b"1"


def ignoring_range(request, proceed):
    del request.headers["range"]
    return proceed()


async def test_a_range_that_the_server_ignores_is_sliced(server, tmp_path):
    async with opened(server) as bucket:
        await bucket.put("k", LARGE)
        server.plant("GetObject", ignoring_range)
        assert await bucket.get("k", start=5_000_000, end=5_000_007) == LARGE[5_000_000:5_000_007]
        server.plant("GetObject", lambda _r, proceed: shorter(proceed()), ignoring_range)
        await bucket.download("k", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == LARGE


def shorter(answer):
    """The same head, half the body, and the end."""
    return Answer(
        answer.status,
        {**answer.headers, "Content-Length": str(len(answer.body)), "Connection": "close"},
        answer.body[: len(answer.body) // 2],
    )


async def test_a_download_that_breaks_off_goes_on_where_it_was(server):
    async with opened(server) as bucket:
        await bucket.put("k", LARGE)
        server.plant("GetObject", *[lambda _r, proceed: shorter(proceed())] * 3)
        assert await bucket.get("k") == LARGE
    assert server.count("GetObject") == 4


async def test_an_object_replaced_in_mid_download_is_never_mixed(server, tmp_path):
    async with opened(server) as bucket:
        await bucket.put("k", LARGE)

        def replaced(_request, proceed):
            answer = shorter(proceed())
            server.objects["k"].body = LARGE[::-1]
            return answer

        server.plant("GetObject", replaced)
        with pytest.raises(IntegrityError, match="replaced or deleted"):
            await bucket.download("k", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


async def test_a_server_that_ignores_if_match_cannot_mix_objects_either(server):
    async with opened(server) as bucket:
        await bucket.put("k", LARGE)

        def replaced(_request, proceed):
            answer = shorter(proceed())
            server.objects["k"].body = LARGE[::-1]
            return answer

        def ignoring_if_match(request, proceed):
            del request.headers["if-match"]
            return proceed()

        server.plant("GetObject", replaced, ignoring_if_match)
        with pytest.raises(IntegrityError, match="replaced or deleted"):
            await bucket.get("k")


@pytest.mark.parametrize("foreign", [False, True])
async def test_a_flipped_bit_on_the_way_down_is_noticed(server, foreign):
    async with opened(server) as bucket:
        await bucket.put("k", LARGE)
        if foreign:  # of another program: only the service's own checksum is there
            del server.objects["k"].headers["x-amz-meta-holdfast-sha256"]
        body = bytearray(LARGE)
        body[7_000_000] ^= 1

        def flipped(_request, proceed):
            answer = proceed()
            return Answer(answer.status, answer.headers, bytes(body))

        server.plant("GetObject", flipped)
        with pytest.raises(IntegrityError, match=r"SHA-256|CRC-32"):
            await bucket.get("k")
        assert await bucket.get("k") == LARGE


async def test_a_flipped_bit_on_the_way_up_is_sent_again(server):
    def flipped(request, proceed):
        request.body = b"x" + request.body[1:]
        return proceed()

    server.plant("PutObject", flipped)
    async with opened(server) as bucket:
        await bucket.put("k", b"bytes")
        assert server.objects["k"].body == b"bytes"
        server.plant("PutObject", *[flipped] * 4)
        with pytest.raises(IntegrityError):
            await bucket.put("k", b"other")
    assert server.objects["k"].body == b"bytes"


async def test_too_many_requests_waits_as_long_as_asked(server):
    server.plant("PutObject", answering(refusal(429, "TooManyRequests", Retry_After="1")))
    async with opened(server) as bucket:
        before = asyncio.get_running_loop().time()
        await bucket.put("k", b"1")
        assert asyncio.get_running_loop().time() - before >= 1
    assert server.count("PutObject") == 2


async def test_asked_to_wait_longer_than_there_is_time_it_gives_up_at_once(server):
    server.plant("PutObject", *[answering(refusal(503, "SlowDown", Retry_After="3600"))] * 9)
    async with opened(server) as bucket:
        with pytest.raises(UnavailableError, match="SlowDown"):
            await bucket.put("k", b"1")
    assert server.count("PutObject") == 1


async def test_repetitions_are_bounded_by_attempts_and_by_a_budget(server):
    server.plant("PutObject", *[cut] * 1000)
    async with opened(server, attempts=3) as bucket:
        with pytest.raises(UnavailableError, match="after 3 attempts"):
            await bucket.put("k", b"1")
        assert server.count("PutObject") == 4  # a kept connection that dies is no attempt
        for _ in range(30):
            with pytest.raises(UnavailableError):
                await bucket.put("k", b"1")
    # 100 tokens, one or so earned, five for each repetition: 20 repetitions for all of them.
    assert server.count("PutObject") <= 32 + 21


async def test_encryption_that_the_server_ignores_is_an_error_and_removed(server):
    async with opened(server, encryption="AES256") as bucket:
        await bucket.put("k", b"secret")

        def ignoring(_request, proceed):
            answer = proceed()
            answer.headers.pop("x-amz-server-side-encryption")
            return answer

        server.plant("PutObject", ignoring)
        with pytest.raises(UnsupportedError, match="AES256"):
            await bucket.put("plain", b"secret")
    assert list(server.objects) == ["k"]


async def test_a_refusal_before_the_body_was_taken_is_heard(server):
    def early(request, _proceed):
        return refusal(403, "AccessDenied")

    server.plant("PutObject", early)
    async with opened(server) as bucket:
        with pytest.raises(ServiceError, match="AccessDenied"):
            await bucket.put("k", LARGE)


async def test_a_server_that_says_nothing_is_unavailable_in_time(server):
    silent = threading.Event()

    def hang(_request, _proceed):
        silent.wait(120)

    server.plant("GetObject", *[hang] * 9)
    async with opened(server, read_timeout=0.2, attempts=2) as bucket:
        with pytest.raises(UnavailableError, match="TimeoutError"):
            await bucket.get("k")
    silent.set()


async def test_a_cancelled_request_leaves_no_connection_that_answers_another(server):
    reached = threading.Event()
    go_on = threading.Event()

    def slow(_request, proceed):
        reached.set()
        go_on.wait(120)
        return proceed()

    async with opened(server) as bucket:
        await bucket.put("a", b"of a")
        await bucket.put("b", b"of b")
        server.plant("GetObject", slow)
        task = asyncio.create_task(bucket.get("a"))
        await asyncio.to_thread(reached.wait, 120)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert [await bucket.get("b") for _ in range(3)] == [b"of b"] * 3


async def test_connections_are_kept_and_bounded(server):
    async with opened(server, connections=3) as bucket:
        for number in range(20):
            await bucket.put(f"{number}", b"x")
        assert server.connections == 1
        await asyncio.gather(*(bucket.get(f"{number}") for number in range(20)))
        assert server.connections <= 3


@pytest.mark.parametrize(
    "planted",
    [
        Answer(body=b"<ListBucketResult><Contents><Key>k</Key>"),
        Answer(body=b"<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>"),
        Answer(body=b'<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult/>'),
        Answer(body=b"no xml"),
        Answer(body=b""),
    ],
)
async def test_a_listing_that_is_none_is_no_empty_listing(server, planted):
    server.plant("ListObjectsV2", *[answering(planted)] * 9)
    async with opened(server, attempts=2) as bucket:
        with pytest.raises(ServiceError, match="Unreadable"):
            [info async for info in bucket.list()]


@pytest.mark.parametrize("way", ["async", "blocking"])
async def test_a_large_download_comes_in_pinned_pieces(server, tmp_path, way):
    seen = []
    content = LARGE * 3

    def progress(done, total):
        seen.append((done, total))

    async with opened(server, part=5 * MIB) as bucket:
        await bucket.put("k", content)
        server.plant("GetObject", lambda _r, proceed: shorter(proceed()), cut)
        if way == "async":
            await bucket.download("k", tmp_path / "file", progress=progress)
        else:
            options = server.options(part=5 * MIB)
            with sync.open_bucket(f"s3://{BUCKET}", options=options) as blocking:
                blocking.download("k", tmp_path / "file", progress=progress)
    assert (tmp_path / "file").read_bytes() == content
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (len(content), len(content))
    assert server.count("GetObject") >= 8


async def test_an_object_replaced_between_two_pieces_is_never_mixed(server, tmp_path):
    async with opened(server, part=5 * MIB) as bucket:
        await bucket.put("k", LARGE * 3)

        def replaced(_request, proceed):
            server.objects["k"].body = LARGE[::-1] * 3
            return proceed()

        server.plant("GetObject", lambda _r, proceed: proceed(), replaced)
        with pytest.raises(IntegrityError, match="replaced or deleted"):
            await bucket.download("k", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


async def test_a_source_replaced_before_its_copy_is_copied_as_it_is_then(server):
    async with opened(server) as bucket:
        await bucket.put("from", b"old", metadata={"of": "old"})

        def replaced(_request, proceed):
            headers = {**server.objects["from"].headers, "x-amz-meta-of": "new"}
            server.objects["from"] = Stored(b"newer", headers)
            return proceed()

        server.plant("CopyObject", replaced)
        info = await bucket.copy("from", "to")
    assert (info.size, info.metadata) == (5, {"of": "new"})
    assert server.objects["to"].body == b"newer"
