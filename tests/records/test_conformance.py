"""The public suite on the backends that come with Holdfast."""

import pytest

from holdfast.records import StoreCapability
from holdfast.records.conformance import KeepingHarness, StoreConformance, StoreHarness


class MemoryHarness(StoreHarness):
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.SQL_STATEMENTS,
        StoreCapability.ROW_LOCKS,
        StoreCapability.VIEWS,
    }


class TestMemory(StoreConformance):
    @pytest.fixture
    def harness(self):
        return MemoryHarness("memory://")


class SQLiteHarness(KeepingHarness):
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.ROW_LOCKS,
        StoreCapability.SEQUENCES,
    }


class TestSQLite(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, tmp_path_factory):
        folder = tmp_path_factory.mktemp("store")
        return SQLiteHarness(f"sqlite:///{folder}/store.db?synchronous=normal")
