"""The public suite on real servers."""

import pytest

from holdfast.records.conformance import StoreConformance, StoreHarness


class TestPostgreSQL(StoreConformance):
    @pytest.fixture
    def harness(self, postgresql_url):
        return StoreHarness(postgresql_url)


class TestMariaDB(StoreConformance):
    @pytest.fixture
    def harness(self, mariadb_url):
        return StoreHarness(mariadb_url)
