"""The public suite on real servers."""

import pytest

from holdfast.records import StoreCapability
from holdfast.records.conformance import KeepingHarness, StoreConformance


class TestPostgreSQL(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, postgresql_url):
        return KeepingHarness(postgresql_url)


class MariaDBHarness(KeepingHarness):
    capabilities = frozenset(StoreCapability) - {StoreCapability.MAPPED_CLASSES}


class TestMariaDB(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, mariadb_url):
        return MariaDBHarness(mariadb_url)
