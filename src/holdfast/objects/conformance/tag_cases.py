"""Cases of tags."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import InvalidValueError, ObjectNotFoundError, UnsupportedError
from holdfast.objects.driver import BucketCapability
from holdfast.objects.upload import PutOptions

if TYPE_CHECKING:
    from holdfast.objects.bucket import Bucket
    from holdfast.objects.conformance.harness import BucketHarness

TAGGED = PutOptions(tags={"camera": "north", "Size of it": "a b+c=d/e:f@g._-"})


class TagCases:
    """Cases of tags."""

    @pytest.fixture
    def _tags(self, harness: BucketHarness) -> None:
        if BucketCapability.TAGS not in harness.capabilities:
            pytest.skip("the refusal is a case of its own")

    async def test_tags_are_refused_where_none_are_kept(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        if BucketCapability.TAGS in harness.capabilities:
            return
        with pytest.raises(UnsupportedError, match="tags on objects"):
            await bucket.put("k", b"1", options=TAGGED)
        assert not await bucket.exists("k")
        with pytest.raises(UnsupportedError, match="tags on objects"):
            await bucket.tags("k")
        with pytest.raises(UnsupportedError, match="tags on objects"):
            await bucket.set_tags("k", {})

    @pytest.mark.usefixtures("_tags")
    async def test_an_object_is_put_with_its_tags(self, bucket: Bucket) -> None:
        await bucket.put("k", b"1", options=TAGGED)
        assert await bucket.tags("k") == TAGGED.tags
        await bucket.put("k", b"2")
        assert await bucket.tags("k") == {}

    @pytest.mark.usefixtures("_tags")
    async def test_tags_are_replaced_without_writing_the_object_anew(self, bucket: Bucket) -> None:
        info = await bucket.put("k", b"1", options=TAGGED)
        await bucket.set_tags("k", {"other": ""})
        assert await bucket.tags("k") == {"other": ""}
        head = await bucket.head("k")
        assert head is not None
        assert (replace(head, modified=info.modified), head.etag) == (info, info.etag)
        await bucket.set_tags("k", {})
        assert await bucket.tags("k") == {}

    @pytest.mark.usefixtures("_tags")
    async def test_a_copy_takes_the_tags_along(self, bucket: Bucket) -> None:
        await bucket.put("from", b"1", options=TAGGED)
        await bucket.copy("from", "to")
        assert await bucket.tags("to") == TAGGED.tags

    @pytest.mark.usefixtures("_tags")
    async def test_nothing_has_no_tags(self, bucket: Bucket) -> None:
        with pytest.raises(ObjectNotFoundError):
            await bucket.tags("k")
        with pytest.raises(ObjectNotFoundError):
            await bucket.set_tags("k", {"a": "b"})
        assert not await bucket.exists("k")

    @pytest.mark.parametrize(
        "tags",
        [
            {"": "x"},
            {"a" * 129: "x"},
            {"a": "x" * 257},
            {"aws:a": "x"},
            {"a": "<x>"},
            {"a": "x\n"},
            {"a": 1},
            {f"{number}": "x" for number in range(11)},
        ],
    )
    @pytest.mark.usefixtures("_tags")
    async def test_bad_tags_are_refused(self, bucket: Bucket, tags: dict[str, str]) -> None:
        await bucket.put("k", b"1", options=TAGGED)
        with pytest.raises(InvalidValueError, match=r"object\.tags"):
            await bucket.put("k", b"2", options=PutOptions(tags=tags))
        with pytest.raises(InvalidValueError, match=r"object\.tags"):
            await bucket.set_tags("k", tags)
        assert (await bucket.get("k"), await bucket.tags("k")) == (b"1", TAGGED.tags)
