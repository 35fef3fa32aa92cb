"""All cases, on the async and on the blocking bucket of one backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.objects.conformance.administration_cases import AdministrationCases
from holdfast.objects.conformance.compression_cases import CompressionCases
from holdfast.objects.conformance.folder_sync_cases import FolderSyncCases
from holdfast.objects.conformance.harness import BucketHarness, blocking_bucket
from holdfast.objects.conformance.object_file_cases import ObjectFileCases
from holdfast.objects.conformance.object_key_cases import ObjectKeyCases
from holdfast.objects.conformance.object_listing_cases import ObjectListingCases
from holdfast.objects.conformance.object_read_cases import ObjectReadCases
from holdfast.objects.conformance.object_version_cases import ObjectVersionCases
from holdfast.objects.conformance.object_write_cases import ObjectWriteCases
from holdfast.objects.conformance.tag_cases import TagCases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holdfast.objects.bucket import Bucket


@pytest.mark.anyio
class BucketConformance(
    ObjectWriteCases,
    ObjectReadCases,
    ObjectListingCases,
    ObjectKeyCases,
    ObjectFileCases,
    TagCases,
    ObjectVersionCases,
    AdministrationCases,
    CompressionCases,
    FolderSyncCases,
):
    """Inherit this as a test class and give it a fixture ``harness``."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    def harness(self) -> BucketHarness:
        raise NotImplementedError("the test class gives a fixture that returns its harness")

    @pytest.fixture(params=["async", "blocking"])
    async def bucket(
        self, harness: BucketHarness, request: pytest.FixtureRequest
    ) -> AsyncIterator[Bucket]:
        opening = harness.open() if request.param == "async" else blocking_bucket(harness)
        async with opening as bucket:
            yield bucket
