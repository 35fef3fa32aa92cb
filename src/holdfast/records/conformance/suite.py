"""All cases on one backend, awaited and blocking."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from holdfast.blocking import run
from holdfast.records.conformance import (
    cancellation,
    concurrency,
    documents,
    figures,
    orders,
    pages,
    queries,
    refusals,
    relations,
    texts,
    transactions,
    upserts,
    values,
    writes,
)
from holdfast.records.conformance.case import Capability, Case, cases_of
from holdfast.records.conformance.entities import ENTITIES
from holdfast.records.conformance.lab import PATIENCE, Clock, Lab
from holdfast.records.conformance.lacking import REFUSALS
from holdfast.records.conformance.machine import compare_with_model

if TYPE_CHECKING:
    from holdfast.records.conformance.harness import StoreHarness
    from holdfast.records.store import Store

CASES = cases_of(
    values,
    texts,
    documents,
    queries,
    figures,
    orders,
    pages,
    upserts,
    writes,
    relations,
    transactions,
    concurrency,
    cancellation,
    refusals,
)

_RUNS = [
    pytest.param(each, how, id=f"{each.name}-{how}")
    for each in CASES
    for how in (("awaited",) if each.tasks_only else ("awaited", "blocking"))
]


class StoreConformance:
    """Inherit this as a test class and give it a fixture ``harness``, fresh for each test.

    A case whose capability the backend lacks proves the refusal instead. No case can be left out:
    a subclass that replaces a test of the suite is an error.
    """

    def __init_subclass__(cls) -> None:
        for name in vars(StoreConformance):
            if name.startswith("test_") and name in vars(cls):
                raise TypeError(f"{cls.__name__}.{name}: a backend does not replace a case")

    @pytest.fixture
    def harness(self) -> StoreHarness:
        raise NotImplementedError("the test class gives a fixture that returns its harness")

    @pytest.mark.parametrize(("case", "how"), _RUNS)
    def test_case(self, harness: StoreHarness, case: Case, how: str) -> None:
        run_case(harness, case, blocking=how == "blocking")

    @pytest.mark.parametrize("capability", list(Capability), ids=lambda each: each.name.lower())
    def test_what_is_lacking_is_refused(
        self, harness: StoreHarness, capability: Capability
    ) -> None:
        if capability in harness.capabilities:
            return  # the cases that need it have proved it
        asyncio.run(_prove(harness, REFUSALS[capability], blocking=False))

    @pytest.mark.parametrize("how", ["awaited", "blocking"])
    def test_random_work_agrees_with_a_naive_model(self, harness: StoreHarness, how: str) -> None:
        compare_with_model(harness, blocking=how == "blocking")


def run_case(harness: StoreHarness, case: Case, *, blocking: bool) -> None:
    """Prove *case* on a new store of *harness*; raise what tells that it does not hold."""
    missing = case.needs - harness.capabilities
    proof = case if not missing else REFUSALS[min(missing, key=lambda each: each.name)]
    if blocking:
        run(_prove(harness, proof, blocking=True))
    else:
        asyncio.run(_in_time(_prove(harness, proof, blocking=False)))


async def _in_time(proof: asyncio.Future[None] | object) -> None:
    async with asyncio.timeout(PATIENCE):
        await proof  # type: ignore[misc]


async def _prove(harness: StoreHarness, case: Case, *, blocking: bool) -> None:
    clock = Clock()
    opened = harness.open_blocking if blocking else harness.open
    store: Store = opened(ENTITIES, clock)
    async with store:
        await store.create_schema()
        try:
            await case.prove(Lab(store, clock, blocking=blocking))
        except BaseException:
            await store.drop_schema()
            raise
        await harness.clear(store)
