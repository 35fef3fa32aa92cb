"""All cases, on the async and on the blocking bucket of one backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.objects.conformance.files import FileCases
from holdfast.objects.conformance.governing import GoverningCases
from holdfast.objects.conformance.harness import BucketHarness, blocking_bucket
from holdfast.objects.conformance.history import HistoryCases
from holdfast.objects.conformance.labels import LabelCases
from holdfast.objects.conformance.listing import ListingCases
from holdfast.objects.conformance.mirroring import MirroringCases
from holdfast.objects.conformance.naming import NamingCases
from holdfast.objects.conformance.packing import PackingCases
from holdfast.objects.conformance.reading import ReadingCases
from holdfast.objects.conformance.writing import WritingCases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holdfast.objects.bucket import Bucket


@pytest.mark.anyio
class BucketConformance(
    WritingCases,
    ReadingCases,
    ListingCases,
    NamingCases,
    FileCases,
    LabelCases,
    HistoryCases,
    GoverningCases,
    PackingCases,
    MirroringCases,
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
