"""The public suite on DynamoDB's emulators."""

from uuid import uuid4

import pytest

from dynamodb_servers import store_url
from holdfast.records import StoreCapability
from holdfast.records.conformance import StoreConformance, StoreHarness


class DynamoDBHarness(StoreHarness):
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.LARGE_WRITES,
        StoreCapability.MAPPED_CLASSES,
        StoreCapability.ROW_LOCKS,
        StoreCapability.SERIALIZABLE_QUERIES,
        StoreCapability.SNAPSHOTS,
        StoreCapability.SQL_STATEMENTS,
    }
    examples = 5


class TestDynoxide(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        return DynamoDBHarness(store_url("dynoxide", uuid4().hex))
