"""The public suite on classes that SQLAlchemy mapped, asked in SQLAlchemy's words."""

import pytest

from holdfast.records import StoreCapability
from holdfast.records.conformance import StoreConformance
from integrations.sqlalchemy.harness import KeepingTwinHarness, TwinHarness


class MemoryTwinHarness(TwinHarness):
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.SQL_STATEMENTS,
        StoreCapability.ROW_LOCKS,
    }


class SQLiteTwinHarness(TwinHarness):
    capabilities = frozenset(StoreCapability) - {StoreCapability.ROW_LOCKS}


class TestMemory(StoreConformance):
    @pytest.fixture
    def harness(self):
        return MemoryTwinHarness("memory://")


class TestSQLite(StoreConformance):
    @pytest.fixture
    def harness(self, tmp_path):
        return SQLiteTwinHarness(f"sqlite:///{tmp_path}/store.db?synchronous=normal")


class TestPostgreSQL(StoreConformance):
    @pytest.fixture
    def harness(self, postgresql_url):
        return KeepingTwinHarness(postgresql_url)
