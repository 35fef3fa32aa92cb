"""The public suite on the backends that come with Holdfast."""

import pytest

from holdfast.records import StoreCapability
from holdfast.records.conformance import StoreConformance, StoreHarness


class MemoryHarness(StoreHarness):
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.SQL_STATEMENTS,
        StoreCapability.ROW_LOCKS,
    }


class TestMemory(StoreConformance):
    @pytest.fixture
    def harness(self):
        return MemoryHarness("memory://")


class SQLiteHarness(StoreHarness):
    capabilities = frozenset(StoreCapability) - {StoreCapability.ROW_LOCKS}


class TestSQLite(StoreConformance):
    @pytest.fixture
    def harness(self, tmp_path):
        return SQLiteHarness(f"sqlite:///{tmp_path}/store.db?synchronous=normal")
