"""What real servers do with locks, policies, encryption, uploads under way and copies in parts."""

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from holdfast.errors import ObjectLockedError, ObjectNotFoundError, UnsupportedError
from holdfast.objects import (
    BucketPolicy,
    DefaultEncryption,
    DefaultRetention,
    ObjectLock,
    PutOptions,
    Retention,
    Versioning,
    open_bucket,
    sync,
)
from holdfast.objects.drivers.s3 import multipart
from holdfast.objects.drivers.s3.service import S3Request
from objects.s3_servers import SERVERS, new_name, options_of, remove

MIB = 1024 * 1024


@pytest.fixture(params=SERVERS)
def place(request):
    options = options_of(request.param, multipart=5 * MIB, part=5 * MIB, most_copied=5 * MIB)
    url = new_name()
    yield url, options
    remove(url, options)


@pytest.fixture(params=SERVERS)
def locking(request):
    """A bucket whose versions can be locked. What a lock still holds at the end stays."""
    options = options_of(request.param, object_lock=True)
    url = new_name()
    yield url, options
    with sync.open_bucket(url, options=options) as bucket:
        bucket.admin.unset(DefaultRetention)


async def test_a_legal_hold_keeps_a_version_until_it_is_released(locking):
    url, options = locking
    async with open_bucket(url, options=options) as bucket:
        assert await bucket.admin.get(Versioning) == Versioning(enabled=True)
        info = await bucket.put("k", b"1")
        assert await bucket.admin.lock_of("k") == ObjectLock()
        await bucket.admin.hold("k", version=info.version)
        assert await bucket.admin.lock_of("k") == ObjectLock(held=True)
        with pytest.raises(ObjectLockedError) as caught:
            await bucket.delete("k", version=info.version)
        assert (caught.value.key, caught.value.version) == ("k", info.version)
        assert await bucket.delete("k") is True  # a marker, which a lock doesn't mind
        assert await bucket.get("k", version=info.version) == b"1"
        erased = await bucket.erase("k")
        assert [each.version for each in erased.held] == [info.version]
        await bucket.admin.release("k", version=info.version)
        assert await bucket.delete("k", version=info.version) is True
        with pytest.raises(ObjectNotFoundError):
            await bucket.admin.lock_of("k", version=info.version)


def test_a_retention_keeps_a_version_and_can_be_made_longer_alone(locking):
    url, options = locking
    with sync.open_bucket(url, options=options) as bucket:
        info = bucket.put("k", b"1")
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
        kept = Retention("COMPLIANCE", until + timedelta(seconds=1))
        bucket.admin.retain("k", Retention("COMPLIANCE", until))
        bucket.admin.retain("k", kept)
        assert bucket.admin.lock_of("k", version=info.version) == ObjectLock(kept)
        with pytest.raises(ObjectLockedError):
            bucket.admin.retain("k", Retention("COMPLIANCE", until))
        with pytest.raises(ObjectLockedError):
            bucket.delete("k", version=info.version)
        assert bucket.admin.lock_of("k", version=info.version) == ObjectLock(kept)


async def test_a_default_retention_holds_what_is_written_after_it(locking):
    url, options = locking
    async with open_bucket(url, options=options) as bucket:
        assert await bucket.admin.get(DefaultRetention) is None
        await bucket.admin.set(DefaultRetention("GOVERNANCE", 2))
        assert await bucket.admin.get(DefaultRetention) == DefaultRetention("GOVERNANCE", 2)
        info = await bucket.put("k", b"1")
        with pytest.raises(ObjectLockedError):
            await bucket.delete("k", version=info.version)
        lock = await bucket.admin.lock_of("k")
        if lock.retention is not None:  # Versity heeds it, and doesn't write it to the version
            assert lock.retention.mode == "GOVERNANCE"
            left = lock.retention.until - datetime.now(UTC)
            assert timedelta(days=1, hours=23) < left <= timedelta(days=2)
        await bucket.admin.unset(DefaultRetention)
        assert await bucket.admin.get(DefaultRetention) is None


async def test_a_policy_comes_back_and_is_obeyed(place):
    url, options = place
    name = url.removeprefix("s3://")
    policy = BucketPolicy(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": ["s3:GetObject"],
                    "Resource": [f"arn:aws:s3:::{name}/public/*"],
                }
            ],
        }
    )

    def stranger(key):
        try:
            with urlopen(f"{options.endpoint_url}/{name}/{key}", timeout=10) as answer:
                return answer.read()
        except HTTPError as error:
            with error:
                return error.code

    async with open_bucket(url, options=options) as bucket:
        await bucket.put("public/k", b"seen")
        await bucket.put("k", b"hidden")
        assert await bucket.admin.get(BucketPolicy) is None
        assert await asyncio.to_thread(stranger, "public/k") == 403
        await bucket.admin.set(policy)
        found = await bucket.admin.get(BucketPolicy)
        assert found.document["Statement"][0]["Effect"] == "Allow"
        assert await asyncio.to_thread(stranger, "public/k") == b"seen"
        assert await asyncio.to_thread(stranger, "k") == 403
        await bucket.admin.unset(BucketPolicy)
        assert await bucket.admin.get(BucketPolicy) is None
        assert await asyncio.to_thread(stranger, "public/k") == 403


async def test_encryption_asked_for_is_confirmed_or_refused(request, place):
    url, options = place
    asked = replace(options, encryption="AES256")
    content = os.urandom(6 * MIB)
    async with open_bucket(url, options=asked) as bucket:
        if "minio" in request.node.name:
            for body in (b"secret", content):
                await bucket.put("k", body)
                assert await bucket.get("k") == body
            assert (await bucket.copy("k", "copied")).size == len(content)
            return
        for body in (b"secret", content):
            with pytest.raises(UnsupportedError, match="encryption AES256"):
                await bucket.put("k", body)
            assert not await bucket.exists("k")


async def test_default_encryption_by_key_comes_back(request):
    options = options_of("minio")
    url = new_name()
    async with open_bucket(url, options=options) as bucket:
        setting = DefaultEncryption("aws:kms", "holdfast")
        await bucket.admin.set(setting)
        assert await bucket.admin.get(DefaultEncryption) == setting
    remove(url, options)


async def test_uploads_under_way_are_listed_by_prefix_and_aborted(place):
    url, options = place
    async with open_bucket(url, options=options) as bucket:
        service = bucket._driver._service
        before = datetime.now(UTC) - timedelta(minutes=1)
        for key in ("a/1", "a/2", "b"):
            await service.call(S3Request("CreateMultipartUpload", "POST", key, (("uploads", ""),)))
        listed = [upload async for upload in bucket.admin.uploads("a/")]
        assert [upload.key for upload in listed] == ["a/1", "a/2"]
        assert all(before < upload.began for upload in listed)
        for _ in range(2):  # once is enough, and twice is no error
            await bucket.admin.abort(listed[0])
        assert [upload.key async for upload in bucket.admin.uploads()] == ["a/2", "b"]
        assert await bucket.sweep_incomplete(timedelta(0)) == 2


async def test_a_large_copy_is_made_in_parts_with_all_that_the_source_carries(place, monkeypatch):
    monkeypatch.setattr(multipart, "COPIED_PART", 5 * MIB)
    url, options = place
    content = os.urandom(11 * MIB)
    async with open_bucket(url, options=options) as bucket:
        tagged = PutOptions(tags={"a": "b"})
        await bucket.put("k", content, content_type="a/b", metadata={"m": "1"}, options=tagged)
        copied = await bucket.copy("k", "to")
        assert copied == await bucket.head("to")
        assert (copied.content_type, copied.metadata) == ("a/b", {"m": "1"})
        assert copied.etag.endswith("-3")
        assert await bucket.get("to") == content
        assert await bucket.tags("to") == {"a": "b"}
        assert [upload async for upload in bucket.admin.uploads()] == []


async def test_more_versions_than_a_page_lists_are_each_erased_and_counted_once(place):
    """They go while they are listed, so each page starts behind versions that are gone."""
    url, options = place
    async with open_bucket(url, options=options) as bucket:
        await bucket.admin.set(Versioning(enabled=True))
        keys = ["k/many"] * 1010 + [f"k/{number}" for number in range(10)]
        await asyncio.gather(*(bucket.put(key, b"x") for key in keys))
        await bucket.delete("k/many")
        await bucket.put("kept", b"x")
        erased = await bucket.erase_prefix("k/")
        assert (erased.objects, erased.markers, erased.held) == (1020, 1, ())
        assert [found.key async for found in bucket.versions()] == ["kept"]
