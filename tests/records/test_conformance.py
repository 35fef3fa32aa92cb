"""The public suite on the backends that come with Holdfast."""

import pytest

from holdfast.records.conformance import StoreConformance, StoreHarness


class TestMemory(StoreConformance):
    @pytest.fixture
    def harness(self):
        return StoreHarness("memory://")


class TestSQLite(StoreConformance):
    @pytest.fixture
    def harness(self, tmp_path):
        return StoreHarness(f"sqlite:///{tmp_path}/store.db?synchronous=normal")
