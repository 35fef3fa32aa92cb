"""The public suite on DynamoDB's emulators."""

from uuid import uuid4

import pytest

from dynamodb_servers import store_url
from holdfast.errors import UnsupportedError
from holdfast.records import StoreCapability
from holdfast.records.conformance import (
    CASES,
    KeepingHarness,
    StoreConformance,
    StoreHarness,
    run_case,
)


class DynamoDBHarness(StoreHarness):
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.LARGE_WRITES,
        StoreCapability.MAPPED_CLASSES,
        StoreCapability.ROW_LOCKS,
        StoreCapability.SEQUENCES,
        StoreCapability.SERIALIZABLE_QUERIES,
        StoreCapability.SNAPSHOTS,
        StoreCapability.SQL_STATEMENTS,
        StoreCapability.VIEWS,
    }
    examples = 5


class KeepingDynamoDBHarness(DynamoDBHarness, KeepingHarness):
    async def clear(self, store):
        try:
            await super().clear(store)
        except UnsupportedError:  # more rows than one write can delete
            await store.drop_schema()


class TestDynoxide(StoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        return KeepingDynamoDBHarness(store_url("dynoxide", uuid4().hex))


MOTO = (
    "every_value_comes_back_in_value_and_type",
    "a_plan_is_told_or_refused",
    "an_upsert_adds_or_overwrites",
    "a_unique_value_is_free_again_when_its_row_lets_go",
    "an_atomic_batch_is_stored_whole_or_not_at_all",
    "increments_add_to_what_is_stored",
    "what_cascades_goes_with_its_target",
    "a_transaction_that_raises_undoes_all",
)
"""The cases that moto is asked too, which takes ten times as long for a call."""


@pytest.mark.parametrize("name", MOTO)
def test_another_emulator_agrees(name):
    (case,) = (each for each in CASES if each.name == name)
    run_case(DynamoDBHarness(store_url("moto", uuid4().hex)), case, blocking=True)
