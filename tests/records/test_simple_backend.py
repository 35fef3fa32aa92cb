"""A backend in one small file passes the whole suite."""

from pathlib import Path

import pytest

from holdfast.offload import TaskLock, ThreadLock
from holdfast.records import Store, StoreCapability
from holdfast.records.conformance import StoreConformance, StoreHarness
from holdfast.records.store import opening
from records import simple_backend
from records.simple_backend import ShelfDriver


class ShelfHarness(StoreHarness):
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.SQL_STATEMENTS,
        StoreCapability.ROW_LOCKS,
        StoreCapability.SEQUENCES,
        StoreCapability.VIEWS,
    }

    def __init__(self):
        """It lies in memory: there is no URL."""

    def open(self, entities, clock):
        return opening(Store(ShelfDriver(TaskLock), entities, clock=clock))

    def open_blocking(self, entities, clock):
        return opening(Store(ShelfDriver(ThreadLock), entities, clock=clock))


class TestShelf(StoreConformance):
    @pytest.fixture
    def harness(self):
        return ShelfHarness()


def test_the_backend_stays_small():
    lines = Path(simple_backend.__file__).read_text("utf-8").splitlines()
    code = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    assert len(code) < 260
