"""The public suite on both backends, and on one that can less."""

from contextlib import asynccontextmanager, contextmanager

import pytest

from holdfast.objects import Bucket, BucketCapability, open_bucket, sync
from holdfast.objects.conformance import BucketConformance, BucketHarness
from holdfast.objects.drivers.memory import MemoryBucketDriver
from holdfast.offload import Inline, Threads

CONDITIONS = {BucketCapability.CONDITIONAL_CREATE, BucketCapability.CONDITIONAL_REPLACE}


SERVERS_ONLY = {
    BucketCapability.BUCKET_POLICY,
    BucketCapability.DEFAULT_ENCRYPTION,
    BucketCapability.LIFECYCLE,
    BucketCapability.OBJECT_LOCK,
    BucketCapability.PRESIGN,
    BucketCapability.PRESIGN_POST,
    BucketCapability.PUBLIC_ACCESS_BLOCK,
    BucketCapability.RESUMABLE_UPLOADS,
    BucketCapability.UPLOADS,
}


class MemoryHarness(BucketHarness):
    capabilities = frozenset(BucketCapability) - SERVERS_ONLY

    def open(self):
        return open_bucket("memory://")

    def open_blocking(self):
        return sync.open_bucket("memory://")


class DiskHarness(BucketHarness):
    capabilities = frozenset(BucketCapability) - SERVERS_ONLY - {BucketCapability.BUCKET_TAGS}

    def __init__(self, folder):
        self.url = folder.as_uri()

    def open(self):
        return open_bucket(self.url)

    def open_blocking(self):
        return sync.open_bucket(self.url)


class UnconditionalDriver(MemoryBucketDriver):
    """What some S3 servers are like: nothing conditional."""

    name = "unconditional"
    capabilities = (
        MemoryBucketDriver.capabilities
        - CONDITIONS
        - {BucketCapability.TAGS, BucketCapability.VERSIONS}
    )


class UnconditionalHarness(BucketHarness):
    capabilities = UnconditionalDriver.capabilities

    @asynccontextmanager
    async def open(self):
        offload = Threads("objects")
        yield Bucket(UnconditionalDriver(), offload)
        offload.close()

    @contextmanager
    def open_blocking(self):
        yield sync.Bucket(Bucket(UnconditionalDriver(), Inline()))


class TestMemory(BucketConformance):
    @pytest.fixture
    def harness(self):
        return MemoryHarness()


class TestDisk(BucketConformance):
    @pytest.fixture
    def harness(self, tmp_path):
        return DiskHarness(tmp_path / "bucket")


class TestUnconditional(BucketConformance):
    @pytest.fixture
    def harness(self):
        return UnconditionalHarness()
