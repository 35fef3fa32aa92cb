"""The public suite on real S3 servers."""

import pytest

from holdfast.objects import Capability, open_bucket, sync
from holdfast.objects.conformance import BucketConformance, BucketHarness
from objects.s3_servers import SERVERS, new_name, options_of, remove

USUAL = {
    Capability.BUCKET_POLICY,
    Capability.BUCKET_TAGS,
    Capability.CONDITIONAL_CREATE,
    Capability.CONDITIONAL_REPLACE,
    Capability.OBJECT_LOCK,
    Capability.PRESIGN,
    Capability.PRESIGN_POST,
    Capability.RESUMABLE_UPLOADS,
    Capability.TAGS,
    Capability.UPLOADS,
    Capability.VERSIONS,
}
CAPABILITIES = {
    "minio": frozenset(USUAL | {Capability.DEFAULT_ENCRYPTION, Capability.LIFECYCLE}),
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
