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
    "a_check_refuses_a_row_by_its_name",
    "a_patch_changes_what_it_names_and_nothing_else",
    "a_patch_holds_to_its_condition",
    "a_patch_holds_to_its_version",
    "a_plan_is_told_or_refused",
    "a_taken_key_or_unique_value_is_refused",
    "a_transaction_inside_another_is_a_part_of_it",
    "a_transaction_sees_its_own_writes",
    "a_transaction_that_raises_undoes_all",
    "a_unique_of_some_rows_leaves_the_others_alone",
    "a_unique_value_is_free_again_when_its_row_lets_go",
    "a_unique_without_case_folds_as_the_rules_do",
    "an_atomic_batch_is_stored_whole_or_not_at_all",
    "an_upsert_adds_or_overwrites",
    "an_upsert_keeps_references",
    "every_value_comes_back_in_value_and_type",
    "increments_add_to_what_is_stored",
    "many_are_deleted_by_key",
    "many_upserts_are_one_write",
    "of_each_part_as_many_are_taken_as_it_says",
    "pages_by_related_fields_stay_where_they_are",
    "pages_without_an_order_give_everything_once",
    "rows_may_come_and_go_while_a_stream_runs",
    "uniques_are_among_the_living",
    "what_cascades_goes_with_its_target",
)
"""The cases that moto is asked each time; `make moto` asks it nearly all, which takes minutes."""


@pytest.fixture(scope="module")
def moto():
    return KeepingDynamoDBHarness(store_url("moto", uuid4().hex))


@pytest.mark.parametrize("name", MOTO)
def test_another_emulator_agrees(moto, name):
    (case,) = (each for each in CASES if each.name == name)
    run_case(moto, case, blocking=True)
