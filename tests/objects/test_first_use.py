"""What people who tried it first ran into: odd words, odd answers, odd places."""

import asyncio
import os

import pytest

from holdfast.errors import (
    ConfigurationError,
    InvalidValueError,
    ObjectKeyError,
    ServiceError,
    StorageError,
)
from holdfast.objects import PutOptions, S3Options, Versioning, open_bucket, sync
from objects.faulty_s3 import BUCKET, Answer, FaultyS3
from objects.s3_servers import SERVERS, new_name, options_of, remove

PAGE = Answer(body=b"<html><body>Please sign in</body></html>")


@pytest.fixture
def server():
    with FaultyS3().running() as running:
        yield running


@pytest.fixture(params=["memory", "disk", *SERVERS])
async def bucket(request, tmp_path):
    if request.param in SERVERS:
        url, options = new_name(), options_of(request.param)
        async with open_bucket(url, options=options) as opened:
            yield opened
        await asyncio.to_thread(remove, url, options)
        return
    place = "memory://" if request.param == "memory" else tmp_path / "bucket"
    async with open_bucket(place) as opened:
        yield opened


async def test_a_page_of_html_is_no_empty_listing(server, tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_bytes(b"kept")
    server.plant("ListObjectsV2", *[lambda *_: PAGE] * 3)  # which is any question to the bucket
    async with open_bucket(f"s3://{BUCKET}", options=server.options()) as bucket:
        with pytest.raises(ServiceError, match="expected <ListBucketResult>, got <html>"):
            await bucket.sync_down("", tmp_path, delete=True)
        with pytest.raises(ServiceError, match="expected <ListVersionsResult>, got <html>"):
            [version async for version in bucket.versions()]
        with pytest.raises(ServiceError, match="expected <ListMultipartUploadsResult>, got <html>"):
            [upload async for upload in bucket.admin.uploads()]
    assert precious.read_bytes() == b"kept"


async def test_a_word_that_names_no_version_is_refused_and_removes_nothing(bucket):
    await bucket.put("k", b"kept")
    for word in ("", 5, "\ud800", "a\nb", "\0"):
        for call in (bucket.delete, bucket.get, bucket.head):
            with pytest.raises(InvalidValueError, match="version"):
                await call("k", version=word)
        with pytest.raises(InvalidValueError, match="version"):
            await bucket.restore("k", word)
    assert await bucket.get("k") == b"kept"


async def test_an_etag_that_no_object_has_is_refused_everywhere(bucket):
    await bucket.put("k", b"kept")
    for etag in ("", '"x"', "é", "a\r\nb"):
        with pytest.raises(InvalidValueError, match="etag"):
            await bucket.put("k", b"lost", options=PutOptions(if_match=etag))
    assert await bucket.get("k") == b"kept"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("payload_signing", "Always"),
        ("payload_signing", None),
        ("addressing", "Path"),
        ("create", "no"),
        ("part", "5"),
        ("region", 5),
        ("read_timeout", "5"),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused_by_name(name, value):
    with pytest.raises(ConfigurationError, match=name):
        S3Options(**{name: value})


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_folder_behind_a_link_to_nothing_is_named(tmp_path, below):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "not mounted")
    with pytest.raises(StorageError, match="link"), sync.open_bucket(link / below):
        raise AssertionError("it opened")


def test_a_folder_that_nobody_can_make_is_named():
    with (
        pytest.raises(StorageError, match="/proc/nothing"),
        sync.open_bucket("file:///proc/nothing"),
    ):
        raise AssertionError("it opened")


async def test_a_download_goes_on_from_the_start_when_a_smaller_object_took_the_place(
    bucket, tmp_path
):
    def stop(done, _total):
        if done >= 2_000_000:
            raise KeyError("enough")

    await bucket.put("k", os.urandom(4_000_000))
    with pytest.raises(KeyError, match="enough"):
        await bucket.download("k", tmp_path / "file", resume=True, progress=stop)
    for size in (1_000_000, 0):
        body = os.urandom(size)
        await bucket.put("k", body)
        await bucket.download("k", tmp_path / "file", resume=True)
        assert (tmp_path / "file").read_bytes() == body


async def test_hidden_files_can_be_listed(bucket):
    keys = [".top", "a/.x", "a/.y/z", "a/b"]
    for key in keys:
        await bucket.put(key, b"")

    async def listed(prefix, **more):
        return [
            getattr(each, "key", None) or each.prefix async for each in bucket.list(prefix, **more)
        ]

    assert await listed(".") == [".top"]
    assert await listed("a/.") == ["a/.x", "a/.y/z"]
    assert await listed("a/.", delimiter="/") == ["a/.x", "a/.y/"]
    assert await listed("", start_after=".") == keys
    for prefix in ("..", "./", "a//", "a/../"):
        assert await listed(prefix) == []


async def test_a_key_that_a_server_can_not_keep_is_not_there(bucket):
    try:
        await bucket.put("s/../x", b"")
    except ObjectKeyError:
        assert await bucket.exists("s/../x") is False
        assert await bucket.delete("s/../x") is False
        assert await bucket.delete_many(["s/../x", "s//x"]) == 0


async def test_a_name_that_is_no_utf8_is_skipped_on_the_way_up(bucket, tmp_path):
    folder = tmp_path / "up"
    folder.mkdir()
    (folder / "good").write_bytes(b"1")
    (folder / os.fsdecode(b"bad\xff")).write_bytes(b"2")
    report = await bucket.sync_up(folder, "p/")
    assert report.transferred == ("p/good",)
    assert [os.fsencode(name) for name in report.skipped] == [b"bad\xff"]


async def test_the_null_version_is_called_so(bucket):
    await bucket.put("k", b"1")
    await bucket.admin.set(Versioning(enabled=True))
    await bucket.put("k", b"2")
    found = [(each.version == "null", each.latest) async for each in bucket.versions("k")]
    assert found == [(False, True), (True, False)]
