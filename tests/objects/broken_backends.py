"""Backends that are wrong in one way each; test_suite_catches.py runs the public suite on them.

Not collected by itself: its tests have to fail.
"""

from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import pytest

from holdfast.objects import Bucket, sync
from holdfast.objects.conformance import BucketConformance, BucketHarness
from holdfast.objects.drivers.memory import (
    MemoryBucketDriver,
    MemoryObjectWriter,
    MemoryRangeReader,
)
from holdfast.objects.object_info import CommitSpec, spec_of
from holdfast.offload import Inline, Threads


class IgnoresIfAbsent(MemoryBucketDriver):
    def publish(self, key, content, draft):
        return super().publish(key, content, replace(draft, if_absent=False))


class IgnoresIfMatch(MemoryBucketDriver):
    def publish(self, key, content, draft):
        return super().publish(key, content, replace(draft, if_match=None))


class EtagOfContent(MemoryBucketDriver):
    def publish(self, key, content, draft):
        info = super().publish(key, content, draft)
        return replace(info, etag=draft.sha256)


class LosesMetadataInCopy(MemoryBucketDriver):
    async def copy(self, source, target):
        stored = self.find(source)
        draft = replace(spec_of(stored.info), metadata={})
        return self.publish(target, stored.content, draft)


class ReturnsLiveObjects(MemoryBucketDriver):
    def describe(self, stored):
        return stored.info


class LosesTagsInCopy(MemoryBucketDriver):
    async def copy(self, source, target):
        stored = self.find(source)
        return self.publish(target, stored.content, spec_of(stored.info))


class TagsMakeAnotherEtag(MemoryBucketDriver):
    async def set_tags(self, key, tags):
        stored = self.find(key)
        self.publish(key, stored.content, replace(spec_of(stored.info), tags=tags))


class ListsOldVersionsFirst(MemoryBucketDriver):
    async def versions(self, prefix):
        every = [version async for version in super().versions(prefix)]
        for version in reversed(every):
            yield version


class RestoresByTakingOut(MemoryBucketDriver):
    async def restore(self, key, version):
        info = await super().restore(key, version)
        await self.delete_version(key, version)
        return info


class DeletesForGood(MemoryBucketDriver):
    async def delete(self, key):
        there = self.newest(key) is not None
        self._chains.pop(key, None)
        return there


class MovesInsteadOfCopying(MemoryBucketDriver):
    async def copy(self, source, target):
        info = await super().copy(source, target)
        await self.delete(source)
        return info


class AlwaysDeleted(MemoryBucketDriver):
    async def delete(self, key):
        await super().delete(key)
        return True


class CollapsesSlashes(MemoryBucketDriver):
    def write(self, key):
        return super().write(key.replace("//", "/"))


class ListsInOrderOfWriting(MemoryBucketDriver):
    async def list(self, prefix, *, after, delimiter):
        listed = [entry async for entry in super().list(prefix, after=after, delimiter=delimiter)]
        for entry in reversed(listed):
            yield entry


class StartsAtInsteadOfAfter(MemoryBucketDriver):
    async def list(self, prefix, *, after, delimiter):
        if after is not None and after in self._chains and after.startswith(prefix):
            yield await self.head(after)
        async for entry in super().list(prefix, after=after, delimiter=delimiter):
            yield entry


class TakesPrefixesForFolders(MemoryBucketDriver):
    async def list(self, prefix, *, after, delimiter):
        folder = prefix if not prefix or prefix.endswith("/") else prefix + "/"
        async for entry in super().list(folder, after=after, delimiter=delimiter):
            yield entry


class IgnoresTheDelimiter(MemoryBucketDriver):
    async def list(self, prefix, *, after, delimiter):
        async for entry in super().list(prefix, after=after, delimiter=None):
            yield entry


class ReadsWhatIsThereNow(MemoryBucketDriver):
    def read(self, key):
        return _Following(self, key)


class _Following(MemoryRangeReader):
    async def read(self, offset, size):
        return self._driver.find(self._key).content[offset : offset + size]


class PublishesWhatWasAborted(MemoryBucketDriver):
    def write(self, key):
        return _Hasty(self, key)


class _Hasty(MemoryObjectWriter):
    async def abort(self):
        content = b"".join(self._chunks)
        self._driver.publish(self._key, content, CommitSpec(len(content), "", "a/b", {}))


CAUGHT_BY = {
    IgnoresIfAbsent: "test_if_absent_stores_once",
    IgnoresIfMatch: "test_if_match_replaces_that_object_alone",
    EtagOfContent: "test_the_same_bytes_again_have_another_etag",
    LosesMetadataInCopy: "test_a_copy_is_an_object_of_its_own",
    ReturnsLiveObjects: "test_what_a_caller_does_to_a_result_stays_with_the_caller",
    MovesInsteadOfCopying: "test_a_copy_replaces_and_may_be_onto_itself",
    AlwaysDeleted: "test_delete_says_whether_it_was_there",
    CollapsesSlashes: "test_every_legal_key_is_its_own_and_comes_back_as_it_went_in",
    ListsInOrderOfWriting: "test_keys_come_in_code_point_order_with_their_infos",
    StartsAtInsteadOfAfter: "test_start_after_continues_where_another_listing_ended",
    TakesPrefixesForFolders: "test_a_prefix_is_text_not_a_folder",
    IgnoresTheDelimiter: "test_a_delimiter_gathers_keys_into_common_prefixes",
    ReadsWhatIsThereNow: "test_an_open_stream_stays_with_its_object",
    LosesTagsInCopy: "test_a_copy_takes_the_tags_along",
    TagsMakeAnotherEtag: "test_tags_are_replaced_without_writing_the_object_anew",
    ListsOldVersionsFirst: "test_versions_come_from_new_to_old_and_are_read_by_name",
    RestoresByTakingOut: "test_a_restored_version_is_the_newest_and_stays_what_it_was",
    DeletesForGood: "test_a_deleted_object_is_behind_a_marker",
    PublishesWhatWasAborted: "test_a_body_that_fails_stores_nothing",
}


class DriverHarness(BucketHarness):
    capabilities = MemoryBucketDriver.capabilities

    def __init__(self, driver):
        self.driver = driver

    @asynccontextmanager
    async def open(self):
        offload = Threads("objects")
        yield Bucket(self.driver, offload)
        offload.close()

    @contextmanager
    def open_blocking(self):
        yield sync.Bucket(Bucket(self.driver, Inline()))


class TestBroken(BucketConformance):
    @pytest.fixture(params=CAUGHT_BY, ids=lambda driver: driver.__name__)
    def harness(self, request):
        return DriverHarness(request.param())
