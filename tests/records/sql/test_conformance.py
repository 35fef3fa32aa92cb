"""The public suite on real servers."""

import pytest

from holdfast.records import StoreCapability
from holdfast.records.conformance import KeepingHarness, StoreConformance


class TestPostgreSQL(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, postgresql_url):
        with KeepingHarness(f"{postgresql_url}?schema=of_the_suite") as harness:
            yield harness


class MySQLFamilyHarness(KeepingHarness):
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.PERCENTILES,
        StoreCapability.TIME_ZONES,
    }


class TestMariaDB(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, mariadb_url):
        with MySQLFamilyHarness(mariadb_url) as harness:
            yield harness


class MySQLHarness(MySQLFamilyHarness):
    capabilities = MySQLFamilyHarness.capabilities - {StoreCapability.SEQUENCES}
    examples = 5  # what chance may find on MySQL alone is little, and MySQL is slow


class TestMySQL(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, mysql_url):
        with MySQLHarness(mysql_url) as harness:
            yield harness
