"""From a URL to a bucket, or to an error that says what was expected."""

import asyncio
import threading
from pathlib import Path

import pytest

from holdfast import objects
from holdfast.errors import ConfigurationError
from holdfast.objects import DiskOptions, PutOptions, S3Options, open_bucket, sync


@pytest.mark.parametrize("way", ["url", "localhost", "path", "query"])
async def test_a_folder_opens_by_url_and_by_path_and_is_made(tmp_path, way):
    folder = tmp_path / "some where" / "100%" / "é?#"
    url = folder.as_uri()
    place = {
        "url": url,
        "localhost": url.replace("file://", "file://localhost"),
        "path": folder,
        "query": f"{url}?lock_timeout=2.5&threads=1",
    }[way]
    async with open_bucket(place) as bucket:
        await bucket.put("k", b"x")
    with sync.open_bucket(folder) as bucket:
        assert bucket.get("k") == b"x"
    assert (folder / ".holdfast").is_dir()


def test_a_relative_path_is_relative_to_where_it_was_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opening = sync.open_bucket(Path("media"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with opening as bucket:
        bucket.put("k", b"x")
    assert (tmp_path / "media").is_dir()


async def test_an_opening_is_entered_once(tmp_path):
    opening, blocking = open_bucket(tmp_path), sync.open_bucket(tmp_path)
    async with opening as bucket:
        await bucket.put("k", b"x")
    with blocking as bucket:
        assert bucket.get("k") == b"x"
    with pytest.raises(RuntimeError, match="open_bucket again"):
        await opening.__aenter__()
    with pytest.raises(RuntimeError, match="open_bucket again"):
        blocking.__enter__()


async def test_every_memory_bucket_is_a_new_one():
    async with open_bucket("memory://") as first, open_bucket("memory://") as second:
        await first.put("k", b"x")
        assert not await second.exists("k")


@pytest.mark.parametrize("opener", [open_bucket, sync.open_bucket])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s4://x", r"unknown scheme s4:// in .s4://x.; known are file://, memory://, s3://"),
        ("/var/media", r"is not a URL; expected one that starts with file://, memory://, s3://"),
        ("", r"is not a URL"),
        ("file://media", r"expected file:///absolute/folder"),
        ("file:media", r"is not a URL; expected one that starts with file://"),
        ("file:///media%00", r"holds no NUL"),
        ("file:///media#1", r"write '#' as %23"),
        (
            "file:///m?thread=2",
            r"unknown parameter 'thread' in .*; known: lock_timeout, private, threads",
        ),
        ("file:///m?threads=", r"expected a number"),
        ("file:///m?threads=two", r"expected a number"),
        ("file:///m?threads=0", r"threads=0: expected a whole number, 1 to 64"),
        ("file:///m?threads=1&threads=2", r"'threads' is given twice"),
        ("file:///m?lock_timeout=nan", r"lock_timeout=.*: expected a number above 0"),
        ("file:///m?lock_timeout=-1", r"lock_timeout=.*: expected a number above 0"),
        ("memory://?threads=1", r"memory:// has no parameters"),
        ("s3://ab", r"'ab' is not the name of a bucket"),
        ("s3://bucket/key", r"expected s3://bucket and no path"),
        ("s3://key:secret@bucket", r"keys don't belong into an s3:// URL"),
        ("s3://bucket?access_key_id=x", r"keys don't belong into an s3:// URL"),
        ("s3://bucket?credentials=x", r"keys don't belong into an s3:// URL"),
        ("s3://bucket?endpoint_url=ftp://x", r"expected an endpoint like https://host:port"),
        ("s3://bucket?part=1", r"part=1: expected a whole number, 5242880 to"),
        ("s3://bucket?addressing=x", r"expected 'auto' or 'path' or 'virtual'"),
        ("memory://name", r"expected memory:// alone"),
    ],
)
def test_what_cannot_be_opened_is_refused_at_the_call(opener, url, reason):
    with pytest.raises(ConfigurationError, match=reason):
        opener(url)


async def test_the_url_wins_over_options_and_keeps_the_others(tmp_path):
    # One rule for stores, buckets and caches: who deploys writes the URL, who programs the options.
    url, options = f"{tmp_path.as_uri()}?threads=1", DiskOptions(threads=3, lock_timeout=0.5)
    before = set(threading.enumerate())
    async with open_bucket(url, options=options) as bucket:
        assert len(set(threading.enumerate()) - before) == 1
        assert bucket._driver.root._locks._timeout == 0.5
    async with open_bucket(tmp_path, options=options):
        assert len(set(threading.enumerate()) - before) == 3


def test_the_url_of_an_s3_bucket_wins_over_options():
    options = S3Options(endpoint_url="http://127.0.0.1:1", attempts=1, addressing="path")
    open_bucket("s3://bucket?attempts=2", options=options)
    with pytest.raises(ConfigurationError, match=r"addressing='x' in .*: expected 'auto'"):
        open_bucket("s3://bucket?addressing=x", options=options)
    with pytest.raises(ConfigurationError, match="expected an endpoint like"):
        open_bucket("s3://bucket?endpoint_url=ftp://x", options=options)


@pytest.mark.parametrize("opener", [open_bucket, sync.open_bucket])
def test_options_of_another_backend_are_refused(opener, tmp_path):
    with pytest.raises(ConfigurationError, match=r"file:// takes options=DiskOptions\(...\)"):
        opener("file:///m?threads=1", options=S3Options())
    with pytest.raises(ConfigurationError, match=r"a folder takes options=DiskOptions\(...\)"):
        opener(tmp_path, options=S3Options())
    with pytest.raises(ConfigurationError, match=r"s3:// takes options=S3Options\(...\)"):
        opener("s3://bucket", options=DiskOptions())
    with pytest.raises(ConfigurationError, match="memory:// takes no options"):
        opener("memory://", options=DiskOptions())


def test_a_closed_bucket_leaves_no_thread(tmp_path):
    before = set(threading.enumerate())

    async def use():
        async with open_bucket(tmp_path) as bucket:
            await bucket.put("k", b"x", options=PutOptions(if_absent=True))
            assert set(threading.enumerate()) > before

    asyncio.run(use())
    assert set(threading.enumerate()) == before


def test_public_names_are_sorted_and_there():
    for module in (objects, sync):
        assert module.__all__ == sorted(module.__all__)
        assert all(hasattr(module, name) for name in module.__all__)
    with sync.open_bucket("memory://") as bucket:
        assert isinstance(bucket, sync.Bucket)
