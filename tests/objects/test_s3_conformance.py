"""The public suite on real S3 servers."""

import pytest

from holdfast.objects import BucketCapability, open_bucket, sync
from holdfast.objects.conformance import BucketConformance, BucketHarness
from objects.s3_servers import SERVERS, new_name, options_of, remove

USUAL = {
    BucketCapability.BUCKET_POLICY,
    BucketCapability.BUCKET_TAGS,
    BucketCapability.CONDITIONAL_CREATE,
    BucketCapability.CONDITIONAL_REPLACE,
    BucketCapability.OBJECT_LOCK,
    BucketCapability.PRESIGN,
    BucketCapability.PRESIGN_POST,
    BucketCapability.RESUMABLE_UPLOADS,
    BucketCapability.TAGS,
    BucketCapability.UPLOADS,
    BucketCapability.VERSIONS,
}
CAPABILITIES = {
    "minio": frozenset(USUAL | {BucketCapability.DEFAULT_ENCRYPTION, BucketCapability.LIFECYCLE}),
    "versity": frozenset(USUAL),
}


class S3Harness(BucketHarness):
    capabilities = frozenset()

    def __init__(self, server, url, options):
        self.capabilities = CAPABILITIES[server]
        self.url = url
        self.options = options

    def open(self):
        return open_bucket(self.url, options=self.options)

    def open_blocking(self):
        return sync.open_bucket(self.url, options=self.options)


class TestS3(BucketConformance):
    @pytest.fixture(params=SERVERS)
    def harness(self, request):
        options = options_of(request.param)
        url = new_name()
        yield S3Harness(request.param, url, options)
        remove(url, options)
