"""The public suite on real servers."""

import pytest

from holdfast.records.conformance import KeepingHarness, StoreConformance


class TestPostgreSQL(StoreConformance):
    @pytest.fixture
    def harness(self, postgresql_url):
        return KeepingHarness(postgresql_url)


class TestMariaDB(StoreConformance):
    @pytest.fixture
    def harness(self, mariadb_url):
        return KeepingHarness(mariadb_url)
