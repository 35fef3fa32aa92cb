"""Cases of settings of a bucket, object lock, incomplete uploads and presigned forms."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from holdfast.clock import utc_now
from holdfast.errors import InvalidValueError, UnsupportedError
from holdfast.objects.bucket_settings import (
    REQUIRED,
    BucketPolicy,
    BucketTags,
    DefaultEncryption,
    DefaultRetention,
    Lifecycle,
    LifecycleRule,
    PublicAccessBlock,
    Retention,
    Versioning,
)
from holdfast.objects.driver import BucketCapability
from holdfast.objects.presign import PresignPostOptions

if TYPE_CHECKING:
    from holdfast.objects.bucket import Bucket
    from holdfast.objects.bucket_settings import Setting
    from holdfast.objects.conformance.harness import BucketHarness
    from holdfast.objects.presign import PresignedPost

RULES = Lifecycle(
    (
        LifecycleRule(name="frames", prefix="frames/", expire=30),
        LifecycleRule(name="old", prefix="raw/", expire_old=7, enabled=False),
        LifecycleRule(name="by tag", prefix="x/", tags={"keep": "no", "who": "me"}, expire=1),
    )
)
SETTINGS: tuple[Setting, ...] = (
    RULES,
    BucketTags({"team": "video", "Size of it": "a b"}),
    DefaultEncryption(),
    PublicAccessBlock(block_policy=False),
)
EVERY: tuple[Setting, ...] = (
    *SETTINGS,
    Versioning(enabled=True),
    DefaultRetention("GOVERNANCE", 1),
    BucketPolicy({"Version": "2012-10-17", "Statement": []}),
)


async def _sent(post: PresignedPost, content: bytes, **other: str) -> int:
    """Send the form as a browser would; return the status."""
    mark = uuid4().hex
    parts = [
        f'--{mark}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in {**post.fields, **other}.items()
    ]
    head = f'--{mark}\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
    body = f"{''.join(parts)}{head}".encode() + content + f"\r\n--{mark}--\r\n".encode()

    def send() -> int:
        kind = {"content-type": f"multipart/form-data; boundary={mark}"}
        request = Request(post.url, data=body, headers=kind, method="POST")  # noqa: S310 - our server's
        try:
            with urlopen(request, timeout=10) as answer:  # noqa: S310 - the same
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code

    return await asyncio.to_thread(send)


class AdministrationCases:
    """Cases of administration."""

    @pytest.mark.parametrize("setting", EVERY, ids=lambda setting: type(setting).__name__)
    async def test_a_setting_that_the_backend_lacks_is_refused(
        self, bucket: Bucket, harness: BucketHarness, setting: Setting
    ) -> None:
        capability = REQUIRED[type(setting)]
        if capability in harness.capabilities:
            return
        with pytest.raises(UnsupportedError) as caught:
            await bucket.admin.set(setting)
        assert caught.value.capability == capability
        kind: Any = type(setting)
        with pytest.raises(UnsupportedError):
            await bucket.admin.get(kind)
        with pytest.raises(UnsupportedError):
            await bucket.admin.unset(type(setting))

    @pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: type(setting).__name__)
    async def test_a_setting_comes_back_as_it_was_made_and_goes(
        self, bucket: Bucket, harness: BucketHarness, setting: Setting
    ) -> None:
        kind: Any = type(setting)
        if REQUIRED[kind] not in harness.capabilities:
            return
        assert await bucket.admin.get(kind) is None
        await bucket.admin.set(setting)
        assert await bucket.admin.get(kind) == setting
        await bucket.admin.unset(kind)
        assert await bucket.admin.get(kind) is None
        await bucket.admin.unset(kind)

    async def test_a_setting_replaces_the_one_before_as_a_whole(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        if BucketCapability.BUCKET_TAGS not in harness.capabilities:
            return
        await bucket.admin.set(BucketTags({"a": "1", "b": "2"}))
        await bucket.admin.set(BucketTags({"c": "3"}))
        assert await bucket.admin.get(BucketTags) == BucketTags({"c": "3"})

    @pytest.mark.parametrize(
        "make",
        [
            lambda: LifecycleRule(name="does nothing"),
            lambda: LifecycleRule(name="", expire=1),
            lambda: LifecycleRule(name="today", expire=0),
            lambda: LifecycleRule(name="x", tags={"a": "b"}, abort_uploads=1),
            lambda: Lifecycle(()),
            lambda: Lifecycle(RULES.rules * 2),
            lambda: BucketTags({"<": ">"}),
            lambda: DefaultEncryption("AES256", "key"),
            lambda: DefaultRetention("GOVERNANCE", 0),
            lambda: Retention("NONE", utc_now()),  # type: ignore[arg-type]
            lambda: Retention("GOVERNANCE", datetime(2030, 1, 1)),  # noqa: DTZ001 - that is it
            lambda: PresignPostOptions(expires=timedelta(days=8)),
            lambda: PresignPostOptions(least=2, most=1),
        ],
    )
    def test_a_setting_that_means_nothing_cannot_be_made(self, make: object) -> None:
        assert callable(make)
        with pytest.raises(InvalidValueError):
            make()

    async def test_locks_are_refused_where_there_are_none(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        if BucketCapability.OBJECT_LOCK in harness.capabilities:
            return
        await bucket.put("k", b"1")
        until = Retention("GOVERNANCE", utc_now() + timedelta(days=1))
        for call in (
            bucket.admin.lock_of("k"),
            bucket.admin.retain("k", until),
            bucket.admin.hold("k"),
            bucket.admin.release("k"),
        ):
            with pytest.raises(UnsupportedError, match="object lock"):
                await call

    async def test_uploads_under_way_are_listed_or_refused(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        if BucketCapability.UPLOADS in harness.capabilities:
            assert [upload async for upload in bucket.admin.uploads()] == []
            return
        with pytest.raises(UnsupportedError, match="uploads in parts"):
            [upload async for upload in bucket.admin.uploads()]

    async def test_a_form_is_good_for_what_it_grants(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        if BucketCapability.PRESIGN_POST not in harness.capabilities:
            with pytest.raises(UnsupportedError, match="POST policies"):
                await bucket.presign_post("k")
            return
        options = PresignPostOptions(
            content_type="text/css", least=3, most=9, expires=timedelta(minutes=5)
        )
        before = utc_now()
        post = await bucket.presign_post("ü k.css", options)
        assert before < post.expires <= before + timedelta(minutes=5)
        assert await _sent(post, b"body {}") in (200, 201, 204)
        head = await bucket.head("ü k.css")
        assert head is not None
        assert (head.size, head.content_type) == (7, "text/css")
        for refused in (
            _sent(post, b"12"),
            _sent(post, b"0123456789"),
            _sent(post, b"12345", **{"Content-Type": "text/html"}),
            _sent(post, b"12345", key="another"),
            _sent(replace(post, fields={**post.fields, "policy": "e30="}), b"12345"),
        ):
            assert 400 <= await refused < 500
        assert await bucket.get("ü k.css") == b"body {}"
        assert not await bucket.exists("another")
