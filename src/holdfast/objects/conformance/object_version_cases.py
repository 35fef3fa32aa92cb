"""Cases of versions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import ObjectNotFoundError, UnsupportedError
from holdfast.objects.bucket_settings import Versioning
from holdfast.objects.driver import BucketCapability
from holdfast.objects.upload import PutOptions

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.objects.bucket import Bucket
    from holdfast.objects.conformance.harness import BucketHarness
    from holdfast.objects.object_info import ObjectVersion


async def _history(bucket: Bucket, prefix: str = "") -> list[ObjectVersion]:
    return [version async for version in bucket.versions(prefix)]


class ObjectVersionCases:
    """Cases of versions."""

    @pytest.fixture
    async def versioned(self, bucket: Bucket, harness: BucketHarness) -> Bucket:
        if BucketCapability.VERSIONS not in harness.capabilities:
            pytest.skip("the refusal is a case of its own")
        await bucket.admin.set(Versioning(enabled=True))
        return bucket

    async def test_versions_are_refused_where_none_are_kept(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        if BucketCapability.VERSIONS in harness.capabilities:
            return
        await bucket.put("k", b"1")
        with pytest.raises(UnsupportedError, match="versions"):
            await bucket.admin.set(Versioning(enabled=True))
        with pytest.raises(UnsupportedError, match="versions"):
            await _history(bucket)
        with pytest.raises(UnsupportedError, match="versions"):
            await bucket.get("k", version="x")
        with pytest.raises(UnsupportedError, match="versions"):
            await bucket.delete("k", version="x")
        with pytest.raises(UnsupportedError, match="versions"):
            await bucket.restore("k", "x")
        assert await bucket.get("k") == b"1"

    async def test_versioning_is_switched_on_and_off(self, versioned: Bucket) -> None:
        assert await versioned.admin.get(Versioning) == Versioning(enabled=True)
        await versioned.admin.set(Versioning(enabled=False))
        assert await versioned.admin.get(Versioning) == Versioning(enabled=False)
        with pytest.raises(UnsupportedError):
            await versioned.admin.unset(Versioning)

    async def test_a_bucket_keeps_no_versions_until_it_is_told_to(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        if BucketCapability.VERSIONS not in harness.capabilities:
            return
        assert await bucket.admin.get(Versioning) in (None, Versioning(enabled=False))
        assert (await bucket.put("k", b"1")).version is None
        await bucket.put("k", b"22")
        only = await _history(bucket)
        assert [(v.key, v.version, v.latest, v.size) for v in only] == [("k", "null", True, 2)]
        await bucket.delete("k")
        assert await _history(bucket) == []

    async def test_versions_come_from_new_to_old_and_are_read_by_name(
        self, versioned: Bucket, tmp_path: Path
    ) -> None:
        infos = [await versioned.put("k", body) for body in (b"1", b"22", b"333")]
        await versioned.put("k2", b"other")
        versions = await _history(versioned, "k")
        assert [version.key for version in versions] == ["k", "k", "k", "k2"]
        mine = versions[:3]
        assert [version.version for version in mine] == [info.version for info in reversed(infos)]
        assert [version.latest for version in mine] == [True, False, False]
        assert [(version.size, version.etag) for version in mine] == [
            (info.size, info.etag) for info in reversed(infos)
        ]
        first = infos[0]
        assert first.version is not None
        assert await versioned.get("k") == b"333"
        assert await versioned.get("k", version=first.version) == b"1"
        head = await versioned.head("k", version=first.version)
        assert head is not None
        assert replace(head, modified=first.modified) == first
        async with versioned.open("k", version=first.version) as reader:
            assert await reader.read() == b"1"
        await versioned.download("k", tmp_path / "old", version=first.version)
        assert (tmp_path / "old").read_bytes() == b"1"

    async def test_a_version_that_never_was_is_not_there(self, versioned: Bucket) -> None:
        info = await versioned.put("k", b"1")
        await versioned.put("other", b"1")
        assert info.version is not None
        for key, version in (("other", info.version), ("k", "nonsense"), ("none", info.version)):
            assert await versioned.head(key, version=version) is None
            with pytest.raises(ObjectNotFoundError, match=f"no such version.*{version}"):
                await versioned.get(key, version=version)
            with pytest.raises(ObjectNotFoundError, match=f"no such version.*{version}"):
                await versioned.restore(key, version)
            assert await versioned.delete(key, version=version) is False
        assert await versioned.get("k") == b"1"

    async def test_a_deleted_object_is_behind_a_marker(self, versioned: Bucket) -> None:
        info = await versioned.put("k", b"1")
        assert info.version is not None
        assert await versioned.delete("k") is True
        assert await versioned.delete("k") is False
        assert await versioned.head("k") is None
        assert [found.key async for found in versioned.list()] == []
        marker, old = await _history(versioned)
        assert (marker.marker, marker.latest, marker.size) == (True, True, 0)
        assert (old.version, old.marker, old.latest) == (info.version, False, False)
        assert await versioned.get("k", version=info.version) == b"1"
        assert await versioned.head("k", version=marker.version) is None
        with pytest.raises(ObjectNotFoundError):
            await versioned.restore("k", marker.version)
        assert await versioned.delete("k", version=marker.version) is True
        assert await versioned.get("k") == b"1"

    async def test_a_deleted_version_is_gone_for_good(self, versioned: Bucket) -> None:
        first = await versioned.put("k", b"1")
        second = await versioned.put("k", b"2")
        assert first.version is not None
        assert second.version is not None
        assert await versioned.delete("k", version=second.version) is True
        assert await versioned.delete("k", version=second.version) is False
        assert await versioned.get("k") == b"1"
        assert [version.version for version in await _history(versioned)] == [first.version]

    async def test_a_restored_version_is_the_newest_and_stays_what_it_was(
        self, versioned: Bucket
    ) -> None:
        first = await versioned.put("k", b"1", content_type="text/css", metadata={"a": "1"})
        await versioned.put("k", b"2")
        assert first.version is not None
        restored = await versioned.restore("k", first.version)
        assert (restored.content_type, restored.metadata) == ("text/css", {"a": "1"})
        assert restored.version not in (None, first.version)
        assert await versioned.get("k") == b"1"
        assert await versioned.get("k", version=first.version) == b"1"
        assert len(await _history(versioned)) == 3
        await versioned.delete("k")
        await versioned.restore("k", first.version)
        assert await versioned.get("k") == b"1"

    async def test_what_was_written_before_and_after_has_the_null_version(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        if BucketCapability.VERSIONS not in harness.capabilities:
            return
        await bucket.put("k", b"before")
        await bucket.admin.set(Versioning(enabled=True))
        kept = await bucket.put("k", b"kept")
        assert await bucket.get("k", version="null") == b"before"
        await bucket.admin.set(Versioning(enabled=False))
        await bucket.put("k", b"after")
        assert await bucket.get("k", version="null") == b"after"
        names = [version.version for version in await _history(bucket)]
        assert names == ["null", kept.version]

    async def test_a_deletion_while_they_are_switched_off_leaves_the_other_versions(
        self, versioned: Bucket
    ) -> None:
        kept = await versioned.put("k", b"kept")
        await versioned.admin.set(Versioning(enabled=False))
        await versioned.put("k", b"null")
        assert await versioned.delete("k") is True
        assert await versioned.delete("k") is False
        found = [(version.version, version.marker) for version in await _history(versioned)]
        assert found == [("null", True), (kept.version, False)]
        assert await versioned.delete("k", version="null") is True
        assert await versioned.get("k") == b"kept"

    async def test_a_version_comes_back_with_its_tags(
        self, versioned: Bucket, harness: BucketHarness
    ) -> None:
        if BucketCapability.TAGS not in harness.capabilities:
            return
        first = await versioned.put("k", b"1", options=PutOptions(tags={"a": "1"}))
        await versioned.put("k", b"2", options=PutOptions(tags={"a": "2"}))
        assert first.version is not None
        await versioned.restore("k", first.version)
        assert await versioned.tags("k") == {"a": "1"}
        await versioned.delete("k", version=(await _history(versioned))[0].version)
        assert await versioned.tags("k") == {"a": "2"}
