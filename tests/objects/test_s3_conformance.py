"""The public suite on real S3 servers."""

import pytest

from holdfast.objects import Capability, open_bucket, sync
from holdfast.objects.conformance import BucketConformance, BucketHarness
from objects.s3_servers import SERVERS, new_name, options_of, remove


class S3Harness(BucketHarness):
    capabilities = frozenset(
        {Capability.CONDITIONAL_CREATE, Capability.CONDITIONAL_REPLACE, Capability.PRESIGN}
    )

    def __init__(self, url, options):
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
        yield S3Harness(url, options)
        remove(url, options)
