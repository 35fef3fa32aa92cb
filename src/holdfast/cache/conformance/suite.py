"""All cases, on the async and on the blocking cache of one backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.cache.conformance.expiry_cases import ExpiryCases
from holdfast.cache.conformance.harness import CacheHarness, blocking_cache
from holdfast.cache.conformance.load_cases import LoadCases
from holdfast.cache.conformance.name_cases import NameCases
from holdfast.cache.conformance.stored_value_cases import ValueCases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holdfast.cache.cache import Cache


@pytest.mark.anyio
class CacheConformance(ValueCases, ExpiryCases, NameCases, LoadCases):
    """Inherit this as a test class and give it a fixture ``harness``."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Run the async cases on asyncio."""
        return "asyncio"

    @pytest.fixture
    def harness(self) -> CacheHarness:
        """Return the backend's harness; the test class overrides this."""
        raise NotImplementedError("the test class gives a fixture that returns its harness")

    @pytest.fixture(params=["async", "blocking"])
    async def cache(
        self, harness: CacheHarness, request: pytest.FixtureRequest
    ) -> AsyncIterator[Cache[object]]:
        """Open the harness's cache, async and blocking."""
        opening = harness.open() if request.param == "async" else blocking_cache(harness)
        async with opening as cache:
            yield cache
