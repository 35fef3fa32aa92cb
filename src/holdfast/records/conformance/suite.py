"""All cases on one backend, awaited and blocking."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from holdfast.blocking import run
from holdfast.records.conformance import (
    aggregate_cases,
    block_cases,
    cancellation_cases,
    chosen_value_cases,
    concurrency_cases,
    constraint_cases,
    default_cases,
    document_cases,
    expression_cases,
    grouping_cases,
    json_edit_cases,
    key_cases,
    link_cases,
    lock_cases,
    order_cases,
    page_cases,
    part_load_cases,
    plan_cases,
    query_cases,
    refusal_cases,
    related_aggregate_cases,
    related_cases,
    relation_cases,
    schema_cases,
    search_cases,
    sequence_cases,
    set_cases,
    soft_deletion_cases,
    take_cases,
    text_cases,
    transaction_cases,
    upsert_cases,
    value_cases,
    write_cases,
)
from holdfast.records.conformance.capability_cases import REFUSALS
from holdfast.records.conformance.case import Case, cases_of
from holdfast.records.conformance.lab import PATIENCE, Clock, Lab
from holdfast.records.conformance.sample_entities import entities_for
from holdfast.records.conformance.state_machine import compare_with_model
from holdfast.records.driver import StoreCapability

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from holdfast.records.conformance.harness import StoreHarness

CASES = cases_of(
    value_cases,
    text_cases,
    document_cases,
    json_edit_cases,
    expression_cases,
    query_cases,
    aggregate_cases,
    order_cases,
    page_cases,
    key_cases,
    link_cases,
    plan_cases,
    upsert_cases,
    default_cases,
    sequence_cases,
    write_cases,
    set_cases,
    take_cases,
    chosen_value_cases,
    constraint_cases,
    schema_cases,
    soft_deletion_cases,
    relation_cases,
    related_cases,
    part_load_cases,
    search_cases,
    related_aggregate_cases,
    grouping_cases,
    transaction_cases,
    block_cases,
    lock_cases,
    concurrency_cases,
    cancellation_cases,
    refusal_cases,
)
"""Every case that a backend of records has to pass."""

_RUNS = [
    pytest.param(each, how, id=f"{each.name}-{how}")
    for each in CASES
    for how in (("awaited",) if each.tasks_only else ("awaited", "blocking"))
]


class StoreConformance:
    """Inherit this as a test class and give it a fixture ``harness``, fresh for each test.

    One that keeps its tables may be of scope "class". A case whose capability the backend lacks
    proves the refusal instead. No case can be left out: a subclass that replaces a test of the
    suite is an error.
    """

    def __init_subclass__(cls) -> None:
        for name in vars(StoreConformance):
            if name.startswith("test_") and name in vars(cls):
                raise TypeError(f"{cls.__name__}.{name}: a backend does not replace a case")

    @pytest.fixture
    def harness(self) -> StoreHarness:
        """Return the harness; a subclass says which."""
        raise NotImplementedError("the test class gives a fixture that returns its harness")

    @pytest.mark.parametrize(("case", "how"), _RUNS)
    def test_case(self, harness: StoreHarness, case: Case, how: str) -> None:
        """Prove one case."""
        run_case(harness, case, blocking=how == "blocking")

    @pytest.mark.parametrize("how", ["awaited", "blocking"])
    def test_the_store_says_what_it_can(self, harness: StoreHarness, how: str) -> None:
        """A store's capabilities are those that the harness declares."""
        opened = harness.open_blocking if how == "blocking" else harness.open

        async def capabilities() -> frozenset[StoreCapability]:
            async with opened(entities_for(harness.capabilities), Clock()) as store:
                return store.capabilities

        found = run(capabilities()) if how == "blocking" else asyncio.run(capabilities())
        assert found == harness.capabilities

    @pytest.mark.parametrize(
        "capability", list(StoreCapability), ids=lambda each: each.name.lower()
    )
    def test_what_is_lacking_is_refused(
        self, harness: StoreHarness, capability: StoreCapability
    ) -> None:
        """What the harness does not declare is refused by name."""
        if capability in harness.capabilities:
            return  # the cases that need it have proved it
        harness.run(_prove(harness, REFUSALS[capability], blocking=False))

    @pytest.mark.parametrize("how", ["awaited", "blocking"])
    def test_random_work_agrees_with_a_naive_model(self, harness: StoreHarness, how: str) -> None:
        """Random work gives what the naive model gives."""
        compare_with_model(harness, blocking=how == "blocking")


def run_case(harness: StoreHarness, case: Case, *, blocking: bool) -> None:
    """Prove *case* on a new store of *harness*; raise what tells that it does not hold."""
    missing = case.needs - harness.capabilities
    proof = case if not missing else REFUSALS[min(missing, key=lambda each: each.name)]
    if blocking:
        run(_prove(harness, proof, blocking=True))
    else:
        harness.run(_in_time(_prove(harness, proof, blocking=False)))


async def _in_time(proof: Awaitable[None]) -> None:
    async with asyncio.timeout(PATIENCE):
        await proof


async def _prove(harness: StoreHarness, case: Case, *, blocking: bool) -> None:
    clock = Clock()
    async with harness.store(clock, blocking=blocking) as store:
        await case.prove(Lab(store, clock, blocking=blocking))
