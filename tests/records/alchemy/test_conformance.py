"""The public suite on classes that SQLAlchemy mapped, asked in SQLAlchemy's words."""

import pytest

from holdfast.records.conformance import StoreConformance
from records.alchemy.harness import KeepingTwinHarness, TwinHarness


class TestMemory(StoreConformance):
    @pytest.fixture
    def harness(self):
        return TwinHarness("memory://")


class TestSQLite(StoreConformance):
    @pytest.fixture
    def harness(self, tmp_path):
        return TwinHarness(f"sqlite:///{tmp_path}/store.db?synchronous=normal")


class TestPostgreSQL(StoreConformance):
    @pytest.fixture
    def harness(self, postgresql_url):
        return KeepingTwinHarness(postgresql_url)
