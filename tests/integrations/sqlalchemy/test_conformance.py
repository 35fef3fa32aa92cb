"""The public suite on classes that SQLAlchemy mapped, asked in SQLAlchemy's words."""

import pytest

from holdfast.records import StoreCapability
from holdfast.records.conformance import StoreConformance
from integrations.sqlalchemy.harness import KeepingTwinHarness, TwinHarness


class MemoryTwinHarness(TwinHarness):
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.EXPRESSIONS,
        StoreCapability.SQL_STATEMENTS,
        StoreCapability.ROW_LOCKS,
        StoreCapability.VIEWS,
    }


class SQLiteTwinHarness(KeepingTwinHarness):
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.EXPRESSIONS,
        StoreCapability.ROW_LOCKS,
        StoreCapability.SEQUENCES,
    }


class TestMemory(StoreConformance):
    @pytest.fixture
    def harness(self):
        return MemoryTwinHarness("memory://")


class TestSQLite(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, tmp_path_factory):
        folder = tmp_path_factory.mktemp("store")
        return SQLiteTwinHarness(f"sqlite:///{folder}/store.db?synchronous=normal")


class ServerTwinHarness(KeepingTwinHarness):
    capabilities = frozenset(StoreCapability) - {StoreCapability.EXPRESSIONS}


class TestPostgreSQL(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, postgresql_url):
        return ServerTwinHarness(postgresql_url)


class MySQLFamilyTwinHarness(KeepingTwinHarness):
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.EXPRESSIONS,
        StoreCapability.PERCENTILES,
        StoreCapability.TIME_ZONES,
    }


class TestMariaDB(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, mariadb_url):
        with MySQLFamilyTwinHarness(mariadb_url) as harness:
            yield harness


class MySQLTwinHarness(MySQLFamilyTwinHarness):
    capabilities = MySQLFamilyTwinHarness.capabilities - {StoreCapability.SEQUENCES}
    examples = 5  # as for entities: what chance may find on MySQL alone is little


class TestMySQL(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, mysql_url):
        with MySQLTwinHarness(mysql_url) as harness:
            yield harness
