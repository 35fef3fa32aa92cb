"""The public suite on real servers."""

import pytest

from holdfast.records.conformance import StoreConformance, StoreHarness


class TestPostgreSQL(StoreConformance):
    @pytest.fixture
    def harness(self, postgresql_url):
        return StoreHarness(postgresql_url)
