"""The public suite on real servers."""

import pytest

from holdfast.records import StoreCapability
from holdfast.records.conformance import KeepingHarness, StoreConformance


class TestPostgreSQL(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, postgresql_url):
        return KeepingHarness(postgresql_url)


class MySQLFamilyHarness(KeepingHarness):
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.MAPPED_CLASSES,
        StoreCapability.PERCENTILES,
        StoreCapability.TIME_ZONES,
    }


class TestMariaDB(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, mariadb_url):
        return MySQLFamilyHarness(mariadb_url)


class MySQLHarness(MySQLFamilyHarness):
    examples = 5  # what chance may find on MySQL alone is little, and MySQL is slow


class TestMySQL(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, mysql_url):
        return MySQLHarness(mysql_url)
